"""What came in over the inbox is sealed before it goes on: in creates, and in changes that the engine will merge."""

from __future__ import annotations

import json
from typing import Any

import pytest

from squirrel.intake import Accepted, Refusal, Surroundings, decide
from squirrel.model.target import HttpTarget, PluginTarget
from squirrel.wire.documents import TargetPolicy, apply_patch
from squirrel.wire.records import encode_command
from squirrel.wire.secret_texts import NAMED, SEALED
from squirrel.wire.vault import Vault
from tests.hostile_urls import URLS
from tests.unit.intake.test_step import record_of, routes
from tests.unit.wire.door import NOW_MS, plain

CANARY = "canary-4711-secret"
VAULT = Vault([b"k" * 32])


def decided(value: Any, vault: Vault = VAULT) -> Accepted | Refusal:
    return decide(record_of(value), now_ms=NOW_MS, around=Surroundings(routes, TargetPolicy(vault=vault)))


def accepted(value: Any) -> Accepted:
    found = decided(value)
    assert isinstance(found, Accepted), found
    assert CANARY.encode() not in encode_command(found.command)
    return found


SLACK = {"type": "slack", "url": f"https://hooks.slack.com/{CANARY}"}


def test_creates_are_sealed() -> None:
    target = {"url": "https://h.example/", "headers": {"Authorization": CANARY, "X-Key": {"secret": "k"}, "X-A": "a"}}
    spec = accepted(plain(target=target, fallback=[SLACK])).command.spec
    assert spec is not None
    assert isinstance(spec.target, HttpTarget)
    headers = dict(spec.target.headers)
    assert VAULT.open(headers["Authorization"].removeprefix(SEALED), "default") == CANARY
    assert (headers["X-Key"], headers["X-A"]) == (NAMED + "k", "a")
    assert isinstance(spec.fallback[0].target, PluginTarget)


@pytest.mark.parametrize(
    "change",
    [
        {"target": {"headers": {"Authorization": CANARY, "X-A": "b"}}},
        {"headers": {"Authorization": CANARY}},
        {"target": {"url": "https://other.example/", "headers": {"Cookie": CANARY}}},
        {"target": {"auth": {"type": "bearer", "token": CANARY}}},
        {"target": SLACK},
        {"fallback": [{"url": "https://b.example/", "headers": {"X-Token": CANARY}}, SLACK]},
    ],
)
def test_changes_are_sealed_and_the_engine_can_apply_them(change: dict[str, Any]) -> None:
    before = accepted(plain(target={"url": "https://h.example/", "headers": {"X-A": "a", "X-B": "b"}})).command.spec
    assert before is not None
    command = accepted({"op": "update", "id": "a", **change}).command
    after = apply_patch(before, command.patch, schedule_id="a", now_ms=NOW_MS)
    assert after != before
    again = apply_patch(after, b'{"name": "n"}', schedule_id="a", now_ms=NOW_MS)
    assert again.target == after.target
    if "headers" in str(change) and "target" in change:
        assert isinstance(after.target, HttpTarget)
        assert ("X-B", "b") in after.target.headers, "what a change does not name stays"


def test_a_change_may_take_a_header_away_beside_one_that_is_secret() -> None:
    before = accepted(plain(target={"url": "https://h.example/", "headers": {"X-A": "a"}})).command.spec
    assert before is not None
    patch = accepted({"op": "update", "id": "a", "target": {"headers": {"X-A": None, "X-Token": CANARY}}}).command.patch
    after = apply_patch(before, patch, schedule_id="a", now_ms=NOW_MS)
    assert isinstance(after.target, HttpTarget)
    assert [name for name, _ in after.target.headers] == ["X-Token"]


@pytest.mark.parametrize("value", ["\0e00000000.AAAA", "\0nname", "***"])
def test_what_looks_like_a_stored_secret_is_refused(value: str) -> None:
    for target in (
        {"headers": {"Authorization": value}},
        {"type": "slack", "url": value},
        {"auth": {"type": "bearer", "token": value}},
    ):
        assert isinstance(decided({"op": "update", "id": "a", "target": target}), Refusal), target
        assert isinstance(decided(plain(target={"url": "https://h.example/", **target})), Refusal)


def test_without_a_key_a_secret_is_refused_with_the_setting() -> None:
    for value in (plain(target=SLACK), {"op": "update", "id": "a", "target": {"headers": {"X-Token": CANARY}}}):
        refused = decided(value, Vault())
        assert isinstance(refused, Refusal)
        assert "SQUIRREL_ENCRYPTION_KEYS" in refused.detail
        assert CANARY not in refused.detail


def test_no_hostile_address_comes_in() -> None:
    def taken(value: Any) -> bool:
        return isinstance(decided(json.dumps(value).encode()), Accepted)  # lone surrogates as escapes

    assert not [url for url in URLS if taken(plain(target={"url": url}))]
    assert not [url for url in URLS if taken(plain(fallback=[{"url": url}]))]
    assert not [url for url in URLS if taken({"op": "update", "id": "a", "target": {"url": url}})]
    assert not [url for url in URLS if taken({"op": "update", "id": "a", "fallback": [{"url": url}]})]
