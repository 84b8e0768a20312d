"""The bytes of a request: the documented headers, and nothing that a user wrote ends a line."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import unquote

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from squirrel.executor.targets.request import header_text, prepare, request_bytes
from squirrel.model.errors import Refused
from squirrel.model.signing import parse_secret
from squirrel.model.target import HttpTarget
from squirrel.model.target_headers import header_problem, headers_problem
from tests.unit.executor.conftest import RUN, attempt_at
from tests.unit.model.test_signing import SECRET

HOSTILE = [
    *("a\rb", "a\nb", "a\r\nx: y", "a\0b", "a\x0bb", "a\x85b", "\u560a\u560dx: y", "\ud800", " lead", "trail "),
    *("\t", "", "%0d%0a", "\u00e4\u4f8b", "x" * 255),
]


def parts(data: bytes) -> tuple[str, dict[str, str], bytes]:
    head, _, body = data.partition(b"\r\n\r\n")
    line, *lines = head.decode("latin-1").split("\r\n")
    pairs = [each.split(": ", 1) for each in lines]
    assert len({name for name, _ in pairs}) == len(pairs), "a header stands there twice"
    return line, dict(pairs), body


def test_documented_headers() -> None:
    attempt = msgspec.structs.replace(attempt_at("http://Example.com:81/a?b"), signing_keys=(parse_secret(SECRET),))
    line, headers, body = parts(request_bytes(prepare(attempt.target), attempt, attempt.message, 1_800_000_000_999))
    assert line == "POST /a?b HTTP/1.1"
    assert body == attempt.message
    signature = headers.pop("webhook-signature")
    assert headers == {
        "host": "example.com:81",
        "accept-encoding": "identity",
        "accept": "*/*",
        "user-agent": "Squirrel/1 (+webhook)",
        "content-type": "application/json",
        "webhook-id": RUN,
        "webhook-timestamp": "1800000000",
        "idempotency-key": RUN,
        "squirrel-schedule-id": "paper-1",
        "squirrel-event": "email.send",
        "squirrel-attempt": "2",
        "squirrel-scheduled-for": "2027-01-15T08:00:00.000Z",
        "traceparent": f"00-{RUN[4:]}-0000000000000002-01",
        "content-length": str(len(body)),
    }
    assert signature.startswith("v1,")
    assert signature == Webhook(SECRET).sign(RUN, datetime.fromtimestamp(1_800_000_000, UTC), body.decode())


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("field", ["event", "schedule_id", "run_id", "traceparent"])
def test_hostile_text_stays_in_its_line(field: str, text: str) -> None:
    attempt = attempt_at("http://example.com/")
    plain = parts(request_bytes(prepare(attempt.target), attempt, b"{}", 0))[1]
    hostile = msgspec.structs.replace(attempt, **{field: text})
    data = request_bytes(prepare(hostile.target), hostile, b"{}", 0)
    _, headers, body = parts(data)
    assert headers.keys() == plain.keys()
    assert body == b"{}"
    assert all(0x20 <= each < 0x7F for each in data.replace(b"\r\n", b""))


@given(st.text())
def test_header_text_is_safe_and_reversible(text: str) -> None:
    encoded = header_text(text)
    assert encoded.isascii()
    assert encoded.isprintable()
    assert encoded == encoded.strip()
    assert unquote(encoded, errors="surrogatepass") == text


def test_users_headers() -> None:
    target = HttpTarget(
        "http://example.com/", headers=(("X-Team", "a b\t\u00e9"), ("Content-Type", "text/plain"), ("User-Agent", "u"))
    )
    attempt = attempt_at("http://example.com/")
    _, headers, _ = parts(request_bytes(prepare(target), attempt, b"", 0))
    assert headers["X-Team"] == "a b\t\u00e9"
    assert headers["Content-Type"] == "text/plain"
    assert "content-type" not in headers
    assert headers["User-Agent"] == "u"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((f"x-{index}", text) for index, text in enumerate(HOSTILE[:10])),
        *(
            (name, "v")
            for name in (
                "", "a b", "a:b", "a\r\nb", "\u00e4", "Host", "HOST", "content-length", "Transfer-Encoding", "connection",
                "keep-alive", "TE", "trailer", "upgrade", "expect", "proxy-authorization", "Proxy-Connection", "webhook-id",
                "Webhook-Signature", "squirrel-event", "SQUIRREL-x", "idempotency-key", "traceparent", "accept-encoding",
            )
        ),
        ("x", "v" * 8192),
        ("\ud800", "v"),
    ],
)  # fmt: skip
def test_bad_header_is_refused(name: str, value: str) -> None:
    assert header_problem(name, value)
    with pytest.raises(Refused):
        prepare(HttpTarget("http://example.com/", headers=((name, value),)))


def test_headers_are_text() -> None:
    assert header_problem("x", 1)
    assert header_problem(1, "v")


def test_number_of_headers_and_doubles() -> None:
    assert headers_problem(tuple((f"x-{n}", "v") for n in range(64))) is None
    assert headers_problem(tuple((f"x-{n}", "v") for n in range(65)))
    assert headers_problem((("x-a", "1"), ("X-A", "2")))


@pytest.mark.parametrize("method", ["CONNECT", "TRACE", "post", "GET /x", "", "P\r\n"])
def test_method_is_one_of_ours(method: str) -> None:
    with pytest.raises(Refused, match=r"target\.method"):
        prepare(HttpTarget("http://example.com/", method=method))


def test_callers_traceparent_is_kept_when_it_is_one() -> None:
    given_trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    attempt = msgspec.structs.replace(attempt_at("http://example.com/"), traceparent=given_trace)
    assert parts(request_bytes(prepare(attempt.target), attempt, b"", 0))[1]["traceparent"] == given_trace
