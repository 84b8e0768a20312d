"""Our own target types pass the suite that plugins are held to, and the suite finds what it looks for."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from squirrel.executor.conformance import examine
from squirrel.runtime.clock import SystemClock
from squirrel.wire.target_types import Attempt, CallFailed, Network, Reply, Secret, TargetType, expect_success
from squirrel.wire.target_types.registry import OURS


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A webhook with a key."""

    url: str
    key: Secret = ""


async def send(config: Config, attempt: Attempt, network: Network) -> Reply:
    return expect_success(
        await network.request("POST", config.url, headers={"x-key": config.key}, body=attempt.message)
    )


GOOD = TargetType(
    kind="good",
    title="Good",
    description="As it should be.",
    config=Config,
    send=send,
    example={"url": "https://good.example/hook", "key": "k"},
    dials=lambda config: [("url", config.url)],
)


async def wrong(found: TargetType) -> list[str]:
    return [f"{each.check}: {each.wrong}" for each in await examine(found, SystemClock()) if each.wrong]


@pytest.mark.parametrize("found", OURS, ids=lambda each: each.kind)
async def test_ours(found: TargetType) -> None:
    if found.kind == "workflow":
        pytest.skip("the engine starts workflows; nothing is called")
    assert await wrong(found) == []


async def test_a_good_one_passes() -> None:
    assert await wrong(replace(GOOD, example={"url": "https://good.example/hook"})) == []


class Loose(msgspec.Struct):
    """Takes anything."""

    url: str = ""


async def _raises(config: Config, attempt: Attempt, network: Network) -> Reply:
    raise KeyError("x")


async def _tells(config: Config, attempt: Attempt, network: Network) -> Reply:
    raise CallFailed("status", f"the key {attempt.event} was refused", retryable=False, reply=Reply(400, {}, b"x"))


async def _beside(config: Config, attempt: Attempt, network: Network) -> Reply:
    try:
        await asyncio.open_connection("127.0.0.1", 1)
    except OSError:
        raise CallFailed("connect", "no connection") from None
    return Reply()


async def _ignores_the_guard(config: Config, attempt: Attempt, network: Network) -> Reply:
    return Reply(200)


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ({"kind": "Not A Name"}, "kind must be"),
        ({"title": ""}, "title and description"),
        ({"config": Loose, "example": {}, "dials": lambda config: []}, "forbid_unknown_fields"),
        ({"example": {"url": "https://x.example/", "kay": 1}}, "target.kay"),
        ({"example": {}}, "target.url: is missing"),
        ({"send": _raises}, "raise CallFailed"),
        ({"send": _beside}, "beside the network"),
        ({"send": _ignores_the_guard}, "ended as success"),
        ({"send": "no.such.module:send"}, "ModuleNotFoundError"),
    ],
)
async def test_what_is_wrong_is_found(change: dict[str, Any], finding: str) -> None:
    found = await wrong(replace(GOOD, **{"example": {"url": "https://good.example/hook"}, **change}))
    assert any(finding in each for each in found), found
