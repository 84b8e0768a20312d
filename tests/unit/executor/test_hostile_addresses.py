"""The payload set at the last gate: as literals, and as what a name server answers, alone and among good addresses."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

from squirrel.executor.guard import Guard, GuardPolicy
from squirrel.executor.network import CallNetwork, Ways
from squirrel.executor.targets.http import HttpCaller
from squirrel.executor.tokens import Tokens
from squirrel.model.addresses import parse_host_patterns, parse_networks
from squirrel.model.namespace_rules import NamespaceRules, parse_namespace_rules
from squirrel.testing import Target, answer
from squirrel.wire.target_types import CallFailed
from tests.hostile_urls import ADDRESSES, NAMES, URLS
from tests.unit.executor.conftest import SetClock, attempt_at
from tests.unit.executor.plugins import kit

LOOPBACK = parse_networks("127.0.0.0/8,::1/128")


class Answers:
    """A resolver that gives what a test says, to whatever name."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)

    def __call__(self, host: str) -> list[tuple[str, int]]:
        return [(each, 0) for each in self.answers]


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def guard(answers: Answers, clock: SetClock) -> Iterator[Guard]:
    made = Guard(GuardPolicy(), clock, answers)
    yield made
    made.close()


async def test_no_literal_is_dialled(guard: Guard, clock: SetClock) -> None:
    caller = HttpCaller(guard, clock)
    taken = []
    for url in URLS:
        outcome = await caller.call(attempt_at(url, timeout_ms=1000))
        if outcome.error_type not in ("bad_target", "refused_by_guard") or outcome.retryable:
            taken.append((url, outcome.error_type))
    await caller.close()
    assert not taken


@pytest.mark.parametrize("mixed", [False, True])
async def test_no_answer_of_a_name_server_is_dialled(
    guard: Guard, answers: Answers, clock: SetClock, mixed: bool
) -> None:
    caller = HttpCaller(guard, clock)
    taken, told = [], []
    for index, address in enumerate(ADDRESSES):
        answers.answers = ["1.1.1.1", address, "2606:4700::1111"] if mixed else [address]
        name = f"{index}.{NAMES[index % len(NAMES)].rstrip('.')}"
        if name.rpartition(".")[2].isdigit():
            continue
        outcome = await caller.call(attempt_at(f"http://{name}/hook", timeout_ms=1000))
        if outcome.error_type != "refused_by_guard":
            taken.append((name, address, outcome.error_type))
        if address in outcome.error_detail:
            told.append(address)
    await caller.close()
    assert not taken
    assert not told


async def test_no_way_out_of_a_plugin_leads_there(guard: Guard, answers: Answers, clock: SetClock) -> None:
    async with kit() as parts:
        ways = Ways(guard, Tokens(clock), parts.tls)
        network = CallNetwork(ways, "default", 0, asyncio.get_running_loop().time() + 60)
        for address in ADDRESSES:
            answers.answers = [address]
            host = f"{ADDRESSES.index(address)}.example"
            for way in (
                network.request("GET", f"http://{host}/"),
                network.connect(host, 80, tls=False),
                network.addresses(host, 80),
            ):
                with pytest.raises(CallFailed) as failed:
                    await way
                assert (failed.value.error_type, failed.value.retryable) == ("refused_by_guard", False)
                assert address not in failed.value.detail
        ways.close()


async def test_a_header_of_a_plugin_cannot_end_its_line(clock: SetClock) -> None:
    async with kit() as parts, Target(answer()) as target:
        network = CallNetwork(parts.ways, "default", 0, asyncio.get_running_loop().time() + 60)
        for bad in ("a\r\nx: y", "a\nx: y", "a\rx", "a\0", "\u560a"):
            with pytest.raises(CallFailed):
                await network.request("POST", target.url, headers={"x-a": bad})
        assert target.requests == []


async def test_a_namespace_may_have_rules_of_its_own(clock: SetClock) -> None:
    rules = {
        "inside": NamespaceRules((), LOOPBACK),
        "narrow": NamespaceRules(parse_host_patterns("good.example"), ()),
    }
    guard = Guard(GuardPolicy(by_namespace=rules, own_ports=frozenset({1})), clock, Answers("1.1.1.1"))
    async with Target(answer()) as target:
        caller = HttpCaller(guard, clock)
        ends = {}
        for namespace in ("inside", "narrow", "other"):
            import msgspec

            attempt = msgspec.structs.replace(attempt_at(target.url), namespace=namespace)
            ends[namespace] = (await caller.call(attempt)).error_type
        await caller.close()
    assert ends == {"inside": None, "narrow": "refused_by_guard", "other": "refused_by_guard"}
    assert len(target.requests) == 1
    assert guard.of("inside").final("127.0.0.1", 1) is not None, "our own ports are closed there too"
    guard.close()


@pytest.mark.parametrize(
    "text", ["[]", "{", '{"a": []}', '{"a": {"x": 1}}', '{"a": {"hosts": [1]}}', '{"a": {"cidrs": ["10.0.0.1/8"]}}']
)
def test_rules_that_cannot_be_read_name_the_setting(text: str) -> None:
    from squirrel.model.errors import Refused

    with pytest.raises(Refused, match="targets_by_namespace"):
        parse_namespace_rules(text)


async def test_environment_proxies_are_not_asked(monkeypatch: pytest.MonkeyPatch, clock: SetClock) -> None:
    async with Target(answer()) as proxy, kit() as parts, Target(answer()) as target:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert (await parts.plain.call(attempt_at(target.url))).state == "succeeded"
        network = CallNetwork(parts.ways, "default", 0, asyncio.get_running_loop().time() + 60)
        await network.request("GET", target.url)
    assert (len(proxy.requests), len(target.requests)) == (0, 2)


def test_the_system_resolver_is_as_lenient_as_they_say() -> None:
    """Why numeric hosts are refused before any resolver sees them."""
    assert socket.getaddrinfo("2130706433", 80)[0][4][0] == "127.0.0.1"
