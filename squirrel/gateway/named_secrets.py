"""The calls on named secrets: put and never shown again, rotated with the one before still good for a while."""

from __future__ import annotations

import asyncio
from typing import Any, Final
from urllib.parse import quote

import msgspec
from msgspec.structs import replace
from starlette.responses import Response

from squirrel.gateway.call import Call
from squirrel.gateway.definition_log import DefinitionLog
from squirrel.gateway.problems import Answered, invalid
from squirrel.model.clock import Clock
from squirrel.model.errors import Problem, Refused
from squirrel.model.instants import format_instant
from squirrel.model.limits import DESCRIPTION_CHARS_MAX, REQUEST_BYTES_MAX
from squirrel.wire.documents.json_text import read_document
from squirrel.wire.documents.names import unknown
from squirrel.wire.documents.values import read_number, read_prose
from squirrel.wire.secret_book import (
    ROTATION_SECONDS_MAX,
    SealedValue,
    SecretBook,
    StoredSecret,
    encode_secret,
    secret_key,
    secret_place,
)
from squirrel.wire.secret_texts import NO_KEY_REASON, SECRET_CHARS_MAX, SHOWN, secret_name_problem
from squirrel.wire.vault import NoKey, Vault

SECRETS_MAX: Final = 1000  # per namespace
_NAMES: Final = ("value", "description", "keep_previous_seconds")
_SHOWN: Final = frozenset({"name", "created_at", "updated_at", "previous_until"})


class NamedSecrets:
    """Handlers. `vault` None: this gateway has none and stores nothing."""

    def __init__(self, clock: Clock, log: DefinitionLog, book: SecretBook, vault: Vault | None) -> None:
        self._clock = clock
        self._log = log
        self._book = book
        self._vault = vault or Vault()
        self._turn = asyncio.Lock()  # 201 or 200, and the value before, follow from what was there

    async def list(self, call: Call) -> Response:
        """GET /secrets: names and dates."""
        items = [self._document(each) for each in self._book.all(call.namespace)]
        return _json({"items": items, "next_cursor": None})

    async def get(self, call: Call) -> Response:
        """GET /secrets/{name}."""
        return _json(self._document(self._get(call)))

    async def put(self, call: Call) -> Response:
        """PUT /secrets/{name}: 201 new, 200 changed; without `value` only the description changes."""
        name = call.path["name"]
        async with self._turn:
            before = self._book.get(call.namespace, name)
            if before is None and len(self._book.all(call.namespace)) >= SECRETS_MAX:
                raise invalid("name", f"would be secret {SECRETS_MAX + 1}, the limit is {SECRETS_MAX}; delete some")
            stored = self._read(call.namespace, name, call.body, before)
            await self._log.write(secret_key(call.namespace, name), encode_secret(stored))
        document = self._document(stored)
        if before is not None:
            return _json(document)
        return _json(document, 201, {"Location": f"/api/v1/secrets/{quote(name)}"})

    async def delete(self, call: Call) -> Response:
        """DELETE /secrets/{name}. Calls that need it fail from now on, and say so."""
        async with self._turn:
            stored = self._get(call)
            await self._log.write(secret_key(call.namespace, stored.name), None)
        return Response(status_code=204)

    def _read(self, namespace: str, name: str, body: bytes, before: StoredSecret | None) -> StoredSecret:
        values = read_document(body, REQUEST_BYTES_MAX).values
        problems = [unknown(key, key, _NAMES) for key in values if key not in _NAMES and key not in _SHOWN]
        if (reason := secret_name_problem(name)) is not None:
            problems.append(Problem("name", reason))
        description = before.description if before is not None else ""
        if values.get("description") is not None:
            description = read_prose("description", values["description"], problems, DESCRIPTION_CHARS_MAX) or ""
        kept_seconds = 0.0
        if values.get("keep_previous_seconds") is not None:
            given = values["keep_previous_seconds"]
            kept_seconds = read_number("keep_previous_seconds", given, problems, 0, ROTATION_SECONDS_MAX) or 0.0
        value = values.get("value")
        if value == SHOWN and before is not None:
            value = None
        if value is None and before is None:
            problems.append(Problem("value", "is missing; send the secret as a string"))
        elif value is not None and not (
            isinstance(value, str) and 1 <= len(value) <= SECRET_CHARS_MAX and "\0" not in value
        ):
            problems.append(Problem("value", f"must be a string of 1 to {SECRET_CHARS_MAX} characters without NUL"))
        if problems:
            raise Refused("invalid", problems)
        now_ms = self._clock.now_ms()
        made = before or StoredSecret(name, [], created_ms=now_ms)
        made = replace(made, description=description, updated_ms=now_ms)
        if value is None:
            return made
        try:
            sealed = self._vault.seal(value, secret_place(namespace, name))
        except NoKey:
            raise invalid("value", NO_KEY_REASON) from None
        return replace(made, values=_rotated(sealed, made.values, now_ms, round(kept_seconds * 1000)))

    def _get(self, call: Call) -> StoredSecret:
        name = call.path["name"]
        stored = self._book.get(call.namespace, name)
        if stored is None:
            reason = secret_name_problem(name)
            detail = f"there is no secret {name} in this namespace" if reason is None else f"a secret's name {reason}"
            raise Answered("not_found", detail)
        return stored

    def _document(self, stored: StoredSecret) -> dict[str, Any]:
        document: dict[str, Any] = {
            "name": stored.name,
            "value": SHOWN,
            "description": stored.description,
            "created_at": format_instant(stored.created_ms),
            "updated_at": format_instant(stored.updated_ms),
        }
        until_ms = stored.values[1].until_ms if len(stored.values) > 1 else None
        if until_ms is not None and until_ms > self._clock.now_ms():
            document["previous_until"] = format_instant(until_ms)
        return document


def _rotated(sealed: str, before: list[SealedValue], now_ms: int, kept_ms: int) -> list[SealedValue]:
    """The new value, and the one before it while it is kept. The same value again changes nothing of that."""
    if before and before[0].sealed == sealed:
        return before
    kept = [SealedValue(before[0].sealed, now_ms + kept_ms)] if before and kept_ms else []
    return [SealedValue(sealed), *kept]


def _json(document: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(document), status, headers, "application/json")
