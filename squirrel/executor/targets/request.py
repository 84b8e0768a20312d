"""The bytes of a webhook request: what never changes for a target is made once, what a call adds is one format.

Source: api.md, "What a target receives"; RFC 9112. User text reaches header lines here (event, schedule id, traceparent, the
target's own headers), so everything is either of a safe alphabet or percent-encoded UTF-8.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final
from urllib.parse import quote

from msgspec import Struct

from squirrel.model.addresses import CheckedUrl, normalise_url
from squirrel.model.completion_token import HEADER
from squirrel.model.errors import Refused
from squirrel.model.instants import format_instant
from squirrel.model.signing import signatures
from squirrel.model.target import HttpTarget
from squirrel.model.target_headers import headers_problem
from squirrel.wire.attempt import Attempt

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_BODILESS: Final = frozenset(
    {"GET", "HEAD", "OPTIONS"}
)  # send no message; a verbatim body is sent when the target has one
USER_AGENT: Final = "Squirrel/1 (+webhook)"
# Visible ASCII and inner blanks, without the percent sign: so what was encoded can be told from what was not.
_PLAIN: Final = re.compile(r"[!-$&-~](?:[ -$&-~]*[!-$&-~])?", re.ASCII)
_PLAIN_MARKS: Final = (
    "!\"#$&'()*+,/:;<=>?@[\\]^`{|}"  # with letters, digits and _.-~: visible ASCII but the percent sign
)
_TRACEPARENT: Final = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)
_RUN_HASH: Final = re.compile(r"run_([0-9a-f]{32})", re.ASCII)


class Prepared(Struct, frozen=True):
    """All of a target's request that no call changes."""

    url: CheckedUrl
    head: str  # request line and constant headers, each ended; Latin-1
    is_head: bool
    sends_message: bool


def prepare(target: HttpTarget) -> Prepared:
    """Checks a target as if nobody had before. Raises Refused, with the field below `target`."""
    url = normalise_url(target.url, "target.url")
    if target.method not in METHODS:
        raise Refused.one("target.method", f"must be one of {', '.join(sorted(METHODS))}")
    problem = headers_problem(target.headers)
    if problem is not None:
        raise Refused.one(f"target.headers.{header_text(problem[0][:64])}".rstrip("."), problem[1])
    names = {name.lower() for name, _ in target.headers}
    lines = [f"{target.method} {url.request_target} HTTP/1.1", f"host: {url.host_header}", "accept-encoding: identity"]
    if "accept" not in names:
        lines.append("accept: */*")
    if "user-agent" not in names:
        lines.append(f"user-agent: {USER_AGENT}")
    if "content-type" not in names:
        lines.append("content-type: application/json")
    lines.extend(f"{name}: {value}" for name, value in target.headers)
    return Prepared(
        url=url,
        head="\r\n".join(lines) + "\r\n",
        is_head=target.method == "HEAD",
        sends_message=target.body is None and target.method not in _BODILESS,
    )


def request_bytes(prepared: Prepared, attempt: Attempt, body: bytes, now_ms: int) -> bytes:
    """The whole request. `now_ms` is the time of the attempt, which the signature covers."""
    run_id = header_text(attempt.run_id)
    timestamp_s = now_ms // 1000
    signed = ""
    if attempt.signing_keys:
        signed = f"webhook-signature: {signatures(attempt.signing_keys, run_id, timestamp_s, body)}\r\n"
    promised = f"{HEADER}: {attempt.completion_token}\r\n" if attempt.completion_token else ""
    head = (
        f"{prepared.head}webhook-id: {run_id}\r\nwebhook-timestamp: {timestamp_s}\r\n{signed}"
        f"idempotency-key: {run_id}\r\nsquirrel-schedule-id: {header_text(attempt.schedule_id)}\r\n"
        f"squirrel-event: {header_text(attempt.event)}\r\nsquirrel-attempt: {attempt.number}\r\n{promised}"
        f"squirrel-scheduled-for: {format_instant(attempt.due_ms)}\r\n"
        f"traceparent: {traceparent(attempt)}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode("latin-1") + body


@lru_cache(8192)
def header_text(text: str) -> str:
    """`text` as a header value: itself when that is safe, else percent-encoded UTF-8."""
    if _PLAIN.fullmatch(text) is not None:
        return text
    return quote(text, safe=_PLAIN_MARKS, errors="surrogatepass")


def traceparent(attempt: Attempt) -> str:
    """The caller's when it is one (W3C trace context), else a trace per run and a span per attempt."""
    if _TRACEPARENT.fullmatch(attempt.traceparent):
        return attempt.traceparent
    match = _RUN_HASH.fullmatch(attempt.run_id)
    trace = match.group(1) if match else attempt.run_id.encode("utf-8", "surrogatepass").hex()[-32:].rjust(32, "0")
    return f"00-{trace}-{attempt.number:016x}-01"
