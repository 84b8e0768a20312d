"""Completion tokens: whole, of this installation, or nothing."""

from __future__ import annotations

import pytest

from squirrel.model.completion_token import Claim, completion_key, read_claim, sign_claim

KEY = completion_key("a secret of the installation")
CLAIM = Claim("team-a", "paper:1~x", "run_0123456789abcdef0123456789abcdef", 3)
assert KEY is not None
TOKEN = sign_claim(KEY, CLAIM)


def test_a_token_says_which_attempt_it_is_for() -> None:
    assert read_claim(KEY, TOKEN) == CLAIM


@pytest.mark.parametrize(
    "token",
    [
        "", ".", "..", "sqc1..", TOKEN[:-2], TOKEN[1:], TOKEN.replace("sqc1", "sqc2"), TOKEN + "=", "sqc1." + "a" * 5000,
        TOKEN.replace(".", "\u0131"), sign_claim(completion_key("another") or b"", CLAIM),
    ],
)  # fmt: skip
def test_anything_else_is_none(token: str) -> None:
    assert read_claim(KEY, token) is None


def test_every_changed_character_breaks_it() -> None:
    for index in range(5, len(TOKEN) - 1):  # the last one has bits that base64 does not use
        changed = TOKEN[:index] + ("A" if TOKEN[index] != "A" else "B") + TOKEN[index + 1 :]
        assert read_claim(KEY, changed) is None, index


def test_without_a_secret_there_is_no_key_and_no_token_is_taken() -> None:
    assert completion_key("") is None
    assert read_claim(None, TOKEN) is None
