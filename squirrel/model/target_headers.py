"""Which headers a user may add to a call: names, values, and the ones that are ours or the protocol's.

Source: RFC 9110 5.5 and 5.6.2, RFC 9112 6; reference/reliability.md 3.3. Used at the doors, to refuse, and by the executor, to
be sure: nothing that a user wrote may end a header line.
"""

from __future__ import annotations

import re
from typing import Final

from squirrel.model.limits import TARGET_HEADER_BYTES_MAX, TARGET_HEADERS_MAX

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_VALUE: Final = re.compile(
    r"[\t\x20-\x7e\xa1-\xff]*"
)  # visible latin-1; no C0, DEL, C1, and nothing that is cut to a byte
RESERVED_PREFIXES: Final = ("webhook-", "squirrel-", "proxy-")
RESERVED_NAMES: Final = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "http2-settings",
        "idempotency-key",
        "keep-alive",
        "te",
        "traceparent",
        "tracestate",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


def header_problem(name: object, value: object) -> str | None:
    """Why this header cannot be sent, with the fix, or None."""
    if not isinstance(name, str) or not isinstance(value, str):
        return "must be a string for a string"
    if _NAME.fullmatch(name) is None:
        return "is no header name; use letters, digits and hyphens"
    lowered = name.lower()
    if lowered in RESERVED_NAMES or lowered.startswith(RESERVED_PREFIXES):
        return "is set by Squirrel or by the protocol; leave it out"
    if _VALUE.fullmatch(value) is None:
        return "holds a line break, a control character or one beyond Latin-1; encode the value, e.g. as base64"
    if value != value.strip(" \t"):
        return "begins or ends with a blank; strip it"
    if len(name) + len(value) > TARGET_HEADER_BYTES_MAX:
        return f"must have at most {TARGET_HEADER_BYTES_MAX} bytes with its name"
    return None


def headers_problem(headers: tuple[tuple[str, str], ...]) -> tuple[str, str] | None:
    """The first (header name, why) among them that cannot be sent, or None."""
    if len(headers) > TARGET_HEADERS_MAX:
        return "", f"has {len(headers)} entries; at most {TARGET_HEADERS_MAX} may be sent"
    seen: set[str] = set()
    for name, value in headers:
        problem = header_problem(name, value)
        if problem is not None:
            return name, problem
        if name.lower() in seen:
            return name, "stands there twice; join the values with a comma"
        seen.add(name.lower())
    return None
