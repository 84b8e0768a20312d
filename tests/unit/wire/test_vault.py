"""Secrets at rest: bound to their place, stable for one text, readable after rotation, and never without a key."""

from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from squirrel.model.errors import Refused
from squirrel.wire.vault import KEYS_MAX, CannotOpen, NoKey, Vault, parse_keys

OLD, NEW = b"o" * 32, b"n" * 32


@given(st.text(st.characters(), max_size=200), st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_what_is_sealed_opens_in_its_place_only(text: str, place: str) -> None:
    vault = Vault([NEW])
    sealed = vault.seal(text, place)
    assert vault.open(sealed, place) == text
    with pytest.raises(CannotOpen):
        vault.open(sealed, place + "x")


def test_one_text_in_one_place_is_one_sealed_text_and_holds_nothing_of_it() -> None:
    vault = Vault([NEW])
    sealed = vault.seal("Bearer canary-4711", "default")
    assert sealed == vault.seal("Bearer canary-4711", "default")
    assert sealed != vault.seal("Bearer canary-4711", "acme")
    assert "canary" not in sealed
    assert "canary" not in repr(vault)


def test_after_a_rotation_new_texts_are_of_the_new_key_and_old_ones_open() -> None:
    before = Vault([OLD]).seal("secret", "default")
    rotated = Vault([NEW, OLD])
    assert rotated.open(before, "default") == "secret"
    after = rotated.seal("secret", "default")
    assert after.partition(".")[0] == rotated.key_ids[0] != before.partition(".")[0]
    assert Vault([NEW]).open(after, "default") == "secret"
    with pytest.raises(CannotOpen, match="SQUIRREL_ENCRYPTION_KEYS"):
        Vault([NEW]).open(before, "default")


@pytest.mark.parametrize(
    "change", [lambda s: s[:-4] + "AAAA", lambda s: s[:20], lambda s: s + "!", lambda s: "", lambda s: "."]
)
def test_a_changed_text_does_not_open_and_the_error_does_not_quote_it(change: object) -> None:
    vault = Vault([NEW])
    damaged = change(vault.seal("secret", "default"))  # type: ignore[operator]
    with pytest.raises(CannotOpen) as error:
        vault.open(damaged, "default")
    assert not damaged or damaged not in str(error.value)


def test_without_a_key_nothing_is_sealed() -> None:
    assert not Vault().can_seal
    with pytest.raises(NoKey, match="SQUIRREL_ENCRYPTION_KEYS"):
        Vault().seal("secret", "default")


def test_keys_are_read_in_both_alphabets_and_refused_without_being_quoted() -> None:
    text = b64encode(b"\xfb\xff" * 16).decode()
    assert parse_keys([text, b64encode(OLD).decode()]) == (b"\xfb\xff" * 16, OLD)
    assert parse_keys([text.replace("+", "-").replace("/", "_").rstrip("=")]) == (b"\xfb\xff" * 16,)
    for wrong in (["short"], [text, text], [b64encode(bytes([n]) * 32).decode() for n in range(KEYS_MAX + 1)]):
        with pytest.raises(Refused) as refused:
            parse_keys(wrong)
        assert wrong[0] not in str(refused.value)
