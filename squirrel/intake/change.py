"""`{"op": "update|cancel|pause|resume|trigger", "id": ..., ...}` -> a command that waits for the create of its schedule.

A change to a schedule in a group names the group too, for the group decides the partition in which the schedule lives.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

import orjson

from squirrel.intake.envelope import Envelope
from squirrel.model.errors import Problem, Refused
from squirrel.model.ids import id_problem
from squirrel.model.limits import GROUP_CHARS_MAX, KIB
from squirrel.recurrence import CalendarLookup
from squirrel.wire.documents.change import check_patch
from squirrel.wire.documents.json_text import Document, visible
from squirrel.wire.documents.names import unknown
from squirrel.wire.documents.sealed_patch import sealed_parts
from squirrel.wire.documents.target import TargetPolicy
from squirrel.wire.documents.values import read_text
from squirrel.wire.records import Command, Op

_NOTHING: Final[Mapping[str, bytes]] = {}
CHANGES: Final[dict[str, Op]] = {
    "update": "retime",
    "cancel": "cancel",
    "pause": "pause",
    "resume": "resume",
    "trigger": "trigger",
}
PATCH_BYTES_MAX: Final = 512 * KIB  # a message at its limit and all else; the command must fit a record
# `group` is here because it says where the schedule lives; like the id it never changes.
_ENVELOPE: Final = frozenset({"op", "id", "group", "namespace", "if_revision", "force"})
FORCES: Final = ("next", "now")  # of an update, as `?force=` of a PATCH


def decide_change(
    document: Document,
    operation: str,
    envelope: Envelope,
    *,
    command_id: str,
    now_ms: int,
    policy: TargetPolicy,
    calendars: CalendarLookup,
) -> Command:
    """One change, as far as it can be checked without its schedule. Raises Refused."""
    values = document.values
    problems = _envelope_problems(values, operation)
    patch = b""
    if operation == "update":
        patch = _patch(document)
    else:
        problems.extend(unknown(visible(key), key, _ENVELOPE) for key in values if key not in _ENVELOPE)
    if problems:
        raise Refused("missing_id" if problems[0].field == "id" and values.get("id") is None else "invalid", problems)
    if operation == "update":
        check_patch(document, now_ms=now_ms, policy=policy, skip=_ENVELOPE, calendars=calendars)
        patch = _patch(document, sealed_parts(document, policy))
    return Command(
        op=CHANGES[operation],
        namespace=envelope.namespace,
        id=cast("str", values["id"]),
        command_id=command_id,
        accepted_ms=now_ms,
        park=True,
        if_revision=values.get("if_revision"),
        force=values.get("force") or "",
        patch=patch,
        actor="inbox",
    )


def _envelope_problems(values: dict[str, Any], operation: str) -> list[Problem]:
    problems = []
    reason = "is missing; name the schedule" if values.get("id") is None else id_problem(values["id"])
    if reason is not None:
        problems.append(Problem("id", reason))
    revision = values.get("if_revision")
    if revision is not None and (isinstance(revision, bool) or not isinstance(revision, int) or revision < 1):
        problems.append(Problem("if_revision", "must be a revision, a whole number from 1"))
    if (group := values.get("group")) is not None:
        read_text("group", group, problems, GROUP_CHARS_MAX)
    force = values.get("force")
    if force is not None and operation != "update":
        problems.append(Problem("force", f"says how an update meets an open run; leave it out of a {operation}"))
    elif force is not None and force not in FORCES:
        reason = 'must be "next", for the runs after the one under way, or "now", which gives up what is under way'
        problems.append(Problem("force", reason))
    return problems


def _patch(document: Document, sealed: Mapping[str, bytes] = _NOTHING) -> bytes:
    """The change alone, its values byte for byte but for those whose secrets were `sealed`."""
    keys = [key for key in document.values if key not in _ENVELOPE]
    parts = [orjson.dumps(key) + b":" + (sealed.get(key) or document.raw(key)) for key in keys]
    if not parts:
        raise Refused.one("op", "is an update that names nothing to change; add the fields to change, such as when")
    patch = b"{" + b",".join(parts) + b"}"
    if len(patch) > PATCH_BYTES_MAX:
        reason = f"has {len(patch)} bytes, the limit of an update is {PATCH_BYTES_MAX}; send less"
        raise Refused.one("body", reason, code="too_large")
    return patch
