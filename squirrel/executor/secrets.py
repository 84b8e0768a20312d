"""Secrets opened for one call: sealed texts by the vault, names through the definitions topic. Nothing opened leaves the call."""

from __future__ import annotations

import orjson
from msgspec.structs import replace

from squirrel.model.clock import Clock
from squirrel.wire.attempt import Outcome
from squirrel.wire.route_book import Definitions
from squirrel.wire.secret_book import SecretBook, secret_place
from squirrel.wire.secret_texts import NAMED, SEALED, is_hidden
from squirrel.wire.target_types import CallFailed
from squirrel.wire.vault import CannotOpen, Vault

SCRUBBED = b"***"
SCRUB_CHARS_MIN = 6  # shorter ones are ordinary text somewhere


class Secrets:
    """Opens what targets hold. One per process."""

    def __init__(self, vault: Vault, definitions: Definitions, clock: Clock) -> None:
        self._vault = vault
        self._book = SecretBook(definitions)
        self._clock = clock

    def texts(self, stored: str, namespace: str) -> tuple[str, ...]:
        """What a stored text stands for: newest first, and during a rotation the one before too. Raises CallFailed."""
        try:
            if stored.startswith(SEALED):
                return (self._vault.open(stored[len(SEALED) :], namespace),)
            if stored.startswith(NAMED):
                return self._named(stored[len(NAMED) :], namespace)
        except CannotOpen as error:
            raise CallFailed("secret", f"a secret of the target cannot be opened: {error}") from None
        return (stored,)

    def text(self, stored: str, namespace: str) -> str:
        """The newest. Raises CallFailed."""
        return self.texts(stored, namespace)[0]

    def _named(self, name: str, namespace: str) -> tuple[str, ...]:
        found = self._book.get(namespace, name)
        if found is None:
            raise CallFailed(
                "secret", f"there is no secret {name} in the namespace {namespace}; PUT /api/v1/secrets/{name}"
            )
        now_ms = self._clock.now_ms()
        sealed = [each.sealed for each in found.values if each.until_ms is None or each.until_ms > now_ms]
        return tuple(self._vault.open(each, secret_place(namespace, name)) for each in sealed)

    def opened(self, value: object, namespace: str, seen: set[str]) -> object:
        """A stored JSON value with every secret in it opened; each is added to `seen`."""
        if isinstance(value, str):
            if not is_hidden(value):
                return value
            text = self.text(value, namespace)
            seen.add(text)
            return text
        if isinstance(value, dict):
            return {key: self.opened(each, namespace, seen) for key, each in value.items()}
        if isinstance(value, list):
            return [self.opened(each, namespace, seen) for each in value]
        return value


def scrubbed(outcome: Outcome, secrets: set[str]) -> Outcome:
    """The outcome without the secrets of its call: a target that answers with what it got must not publish them."""
    longest = sorted((each for each in secrets if len(each) >= SCRUB_CHARS_MIN), key=len, reverse=True)
    body, detail, headers = outcome.body, outcome.error_detail, outcome.headers
    for each in longest:
        for form in {each.encode("utf-8", "replace"), orjson.dumps(each)[1:-1]} if _writable(each) else ():
            body = body.replace(form, SCRUBBED)
        detail = detail.replace(each, SCRUBBED.decode())
        if any(each in value for value in headers.values()):
            headers = {name: value.replace(each, SCRUBBED.decode()) for name, value in headers.items()}
    if body is outcome.body and detail is outcome.error_detail and headers is outcome.headers:
        return outcome
    return replace(outcome, body=body, error_detail=detail, headers=headers)


def _writable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
