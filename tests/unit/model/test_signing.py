"""Standard Webhooks: its published vector, its own library as the oracle, rotation, refusals."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from squirrel.model.errors import Refused
from squirrel.model.signing import KEYS_MAX, parse_secret, parse_secrets, signatures

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_published_vector() -> None:
    signature = signatures((parse_secret(SECRET),), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(st.binary(min_size=24, max_size=64), st.text(max_size=200), st.integers(0, 4_000_000_000))
def test_library_agrees(key: bytes, body: str, second: int) -> None:
    payload = body.encode("utf-8", "replace")
    oracle = Webhook(b64encode(key).decode())
    expected = oracle.sign("run_1", datetime.fromtimestamp(second, UTC), payload.decode())
    assert signatures((key,), "run_1", second, payload) == expected


def test_both_keys_sign_while_rotating() -> None:
    new, old = parse_secrets([SECRET, "whsec_" + b64encode(b"o" * 32).decode()])
    both = signatures((new, old), "run_1", 1, b"{}")
    assert both.split(" ") == [signatures((new,), "run_1", 1, b"{}"), signatures((old,), "run_1", 1, b"{}")]


def test_unpadded_base64_is_read() -> None:
    assert parse_secret("whsec_" + b64encode(b"k" * 25).decode().rstrip("=")) == b"k" * 25


@pytest.mark.parametrize(
    "text",
    [
        "",
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsec_",
        "whsec_!!!!",
        "whsec_" + b64encode(b"k" * 23).decode(),
        "whsec_" + b64encode(b"k" * 65).decode(),
        "whsec_\u00e4" + b64encode(b"k" * 32).decode(),
    ],
)
def test_bad_secret_is_refused_unquoted(text: str) -> None:
    with pytest.raises(Refused) as caught:
        parse_secret(text, "signing.secret")
    assert caught.value.problems[0].field == "signing.secret"
    assert len(text) < 10 or text[6:] not in str(caught.value)


def test_number_of_active_keys_is_bounded() -> None:
    with pytest.raises(Refused, match="retire the oldest"):
        parse_secrets([SECRET] * (KEYS_MAX + 1))
    with pytest.raises(Refused, match=r"signing\.secrets\[1\]"):
        parse_secrets([SECRET, "x"])
