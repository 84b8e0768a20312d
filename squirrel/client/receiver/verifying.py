"""Standard Webhooks from the receiver's side: the signature covers id, time and body, so none of them can be changed or reused.

Source: the Standard Webhooks specification 1.0.0, "Verifying webhooks"; the signing half is `squirrel.model.signing`.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from squirrel.model.errors import SquirrelError
from squirrel.model.signing import parse_secrets, signatures

TOLERANCE_SECONDS: Final = 300.0  # how far the sender's clock and ours may be apart, and how long a copy stays usable
SIGNATURES_MAX: Final = 16  # in one header; a sender rotates at most four keys


class NotVerified(SquirrelError):
    """This call was not signed with one of our secrets, or is too old: answer 401 and do nothing."""


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """One verified call. `id` is the run: the same for all its attempts, so it is what to remember against repeats."""

    id: str
    timestamp: int
    schedule_id: str
    event: str
    attempt: int
    scheduled_for: str
    body: bytes

    @property
    def message(self) -> Any:
        """The body read as JSON. Raises ValueError (msgspec's) when it is none."""
        return msgspec.json.decode(self.body)


def verify(
    headers: Mapping[str, str],
    body: bytes,
    secrets: str | Iterable[str],
    now: float,
    *,
    tolerance_seconds: float = TOLERANCE_SECONDS,
) -> Received:
    """What was received, once it is certain that a holder of one of `secrets` (`whsec_…`) sent exactly this just now.

    `headers` in any case; `body` the bytes as they arrived, not JSON that was read and written again; `now` in epoch
    seconds. Raises NotVerified with the reason, Refused when a secret of ours is malformed. Compares in constant time.
    """
    given = {name.lower(): value for name, value in headers.items()}
    keys = parse_secrets((secrets,) if isinstance(secrets, str) else tuple(secrets), "secrets")
    if not keys:
        raise NotVerified("no secret is set, so nothing can be verified")
    message_id, sent_at, signed = (
        _needed(given, name) for name in ("webhook-id", "webhook-timestamp", "webhook-signature")
    )
    if not (sent_at.isascii() and sent_at.isdigit() and len(sent_at) <= 12):
        raise NotVerified("webhook-timestamp is no number of seconds")
    apart = abs(now - int(sent_at))
    if not apart <= tolerance_seconds:
        raise NotVerified(
            f"webhook-timestamp is {apart:.0f} s from our clock; more than {tolerance_seconds:g} s are refused"
        )
    expected = signatures(keys, message_id, int(sent_at), body).encode().split()
    found = signed.encode().split()[:SIGNATURES_MAX]
    # Every pair is compared, so that the time taken says nothing about which one fits.
    if not sum([hmac.compare_digest(ours, theirs) for ours in expected for theirs in found]):
        raise NotVerified("webhook-signature was not made with one of our secrets over this id, time and body")
    return received(given, body)


def received(headers: Mapping[str, str], body: bytes) -> Received:
    """The call as it says of itself, without any check. Header names in lower case."""
    return Received(
        id=headers.get("webhook-id", ""),
        timestamp=_number(headers.get("webhook-timestamp")),
        schedule_id=headers.get("squirrel-schedule-id", ""),
        event=headers.get("squirrel-event", ""),
        attempt=_number(headers.get("squirrel-attempt")),
        scheduled_for=headers.get("squirrel-scheduled-for", ""),
        body=body,
    )


def _needed(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name)
    if not value:
        raise NotVerified(f"the header {name} is missing; is a signing secret set in Squirrel?")
    return value


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= 12 else 0
