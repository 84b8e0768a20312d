"""The JSON schemas of target types, secrets and breakers: sent and received."""

from __future__ import annotations

from typing import Any, Final

from squirrel.gateway.schemas import Schema, closed, number, text
from squirrel.wire.secret_book import ROTATION_SECONDS_MAX

_TEXT: Final[Schema] = {"type": "string"}
_INSTANT: Final[Schema] = {"type": "string", "format": "date-time"}
_WHOLE: Final[Schema] = {"type": "integer", "minimum": 0}


def _open(required: list[str], **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": required}


def _page(items: Schema) -> Schema:
    return _open(
        ["items", "next_cursor"], items={"type": "array", "items": items}, next_cursor={"type": ["string", "null"]}
    )


_SECRET: Final = _open(
    ["name", "value", "created_at", "updated_at"],
    name=_TEXT, value={"const": "***"}, description=_TEXT, created_at=_INSTANT, updated_at=_INSTANT, previous_until=_INSTANT,
)  # fmt: skip
_TYPE: Final = _open(
    ["type", "title", "schema", "secrets", "needs"],
    type=_TEXT, title=_TEXT, description=_TEXT, schema={"type": "object"}, secrets={"type": "array", "items": _TEXT},
    example={"type": "object"}, needs={**_TEXT, "description": "the package to install before it can be called"},
)  # fmt: skip
_BREAKER: Final = _open(
    ["name", "host", "state", "failing_since", "failures", "put_off"],
    name=_TEXT, host=_TEXT, state={"type": "string", "enum": ["closed", "open", "half_open", "disabled"]},
    failing_since=_INSTANT, disabled_at=_INSTANT, failures=_WHOLE, failures_in_a_row=_WHOLE, put_off=_WHOLE,
    retry_in_seconds={"type": "number"}, last_error=_TEXT, executors=_WHOLE,
)  # fmt: skip
TARGETS: Final[dict[str, Any]] = {
    "NewSecret": closed(
        ["value"],
        value=text(4096, r"^[ -~]+$", description="stored encrypted and never shown again"),
        description=text(1024),
        keep_previous_seconds=number(0, ROTATION_SECONDS_MAX, description="the value before stays good for so long"),
    ),
    "Secret": _SECRET,
    "SecretPage": _page(_SECRET),
    "TargetTypePage": _page(_TYPE),
    "BreakerPage": _page(_BREAKER),
    "ClosedBreaker": _open(["name", "state"], name=_TEXT, state={"const": "closed"}, executors_silent=_WHOLE),
}
