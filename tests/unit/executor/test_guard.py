"""The guard: every address is checked on every attempt, one bad one refuses the name, and nobody is told an address."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from squirrel.executor.dial import dial
from squirrel.executor.guard import ADDRESSES_MAX, NAME_FRESH_S, Failure, Guard, GuardPolicy, Resolve
from squirrel.executor.targets.http import HttpCaller
from squirrel.model.addresses import normalise_url, parse_host_patterns, parse_networks
from squirrel.testing import Target, answer
from tests.unit.executor.conftest import SetClock, attempt_at

LOOPBACK = parse_networks("127.0.0.0/8,::1/128")
GOOD = normalise_url("http://good.example/")
ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+|[0-9a-f]*:[0-9a-f]*:")


class Names:
    """A resolver whose answers a test writes; counts the look-ups."""

    def __init__(self, **answers: list[str]) -> None:
        self.answers = {name.replace("_", "."): found for name, found in answers.items()}
        self.asked: list[str] = []

    def __call__(self, host: str) -> list[tuple[str, int]]:
        self.asked.append(host)
        if host not in self.answers:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [(each, 0) for each in self.answers[host]]


@contextmanager
def guarding(resolve: Resolve, clock: SetClock | None = None, policy: GuardPolicy | None = None) -> Iterator[Guard]:
    guard = Guard(policy or GuardPolicy(), clock or SetClock(), resolve)
    try:
        yield guard
    finally:
        guard.close()


def packed(*texts: str) -> tuple[bytes, ...]:
    return tuple(socket.inet_pton(socket.AF_INET6 if ":" in each else socket.AF_INET, each) for each in texts)


async def test_all_addresses_are_given_in_order() -> None:
    with guarding(Names(good_example=["2606:4700::1111", "1.1.1.1", "1.1.1.1"])) as guard:
        assert await guard.addresses(GOOD) == packed("2606:4700::1111", "1.1.1.1")


@pytest.mark.parametrize(
    "bad", ["127.0.0.1", "169.254.169.254", "::1", "fd00:ec2::254", "::ffff:10.0.0.1", "64:ff9b::1"]
)
@pytest.mark.parametrize("place", [0, 1, 2])
async def test_one_bad_address_refuses_the_whole_name(bad: str, place: int) -> None:
    found = ["1.1.1.1", "2606:4700::1111"]
    found.insert(place, bad)
    with guarding(Names(good_example=found)) as guard:
        refused = await guard.addresses(GOOD)
        assert guard.known(GOOD) == refused  # what is remembered is the answer, not that it was good
    assert isinstance(refused, Failure)
    assert refused.error_type == "refused_by_guard"
    assert not ADDRESS.search(refused.detail)
    assert "SQUIRREL_TARGETS_ALLOW_CIDRS" in refused.detail


async def test_literals_need_no_resolver_and_are_checked() -> None:
    with guarding(Names()) as guard:
        assert guard.known(normalise_url("http://1.1.1.1/")) == packed("1.1.1.1")
        assert isinstance(guard.known(normalise_url("http://127.0.0.1/")), Failure)
        assert isinstance(guard.known(normalise_url("http://[::ffff:127.0.0.1]/")), Failure)


async def test_answers_are_fresh_for_a_moment_only() -> None:
    names, clock = Names(good_example=["1.1.1.1"]), SetClock()
    with guarding(names, clock) as guard:
        await guard.addresses(GOOD)
        assert guard.known(GOOD) == packed("1.1.1.1")
        names.answers["good.example"] = ["127.0.0.1"]
        clock.seconds += NAME_FRESH_S + 0.001
        assert guard.known(GOOD) is None
        assert isinstance(await guard.addresses(GOOD), Failure)
        assert len(names.asked) == 2


async def test_calls_for_one_name_share_one_look_up() -> None:
    released = threading.Event()
    names = Names(good_example=["1.1.1.1"])

    def slow(host: str) -> list[tuple[str, int]]:
        released.wait(10)
        return names(host)

    with guarding(slow) as guard:
        calls = [asyncio.ensure_future(guard.addresses(GOOD)) for _ in range(50)]
        given_up = asyncio.ensure_future(guard.addresses(GOOD))
        for _ in range(3):
            await asyncio.wait([given_up], timeout=0)
        given_up.cancel()  # one caller's deadline must not take the others' answer away
        released.set()
        assert await asyncio.gather(*calls) == [packed("1.1.1.1")] * 50
    assert names.asked == ["good.example"]


async def test_failures_are_not_remembered() -> None:
    names = Names()
    with guarding(names) as guard:
        failure = await guard.addresses(GOOD)
        assert isinstance(failure, Failure)
        assert failure.error_type == "dns"
        names.answers["good.example"] = ["1.1.1.1"]
        assert await guard.addresses(GOOD) == packed("1.1.1.1")


async def test_too_many_or_no_addresses_and_zones_are_refused() -> None:
    many = [f"1.1.{n // 250}.{n % 250 + 1}" for n in range(ADDRESSES_MAX + 1)]
    with guarding(Names(good_example=many)) as guard:
        assert (await guard.addresses(GOOD)).error_type == "dns"  # type: ignore[union-attr]
    with guarding(Names(good_example=[])) as guard:
        assert (await guard.addresses(GOOD)).error_type == "dns"  # type: ignore[union-attr]
    with guarding(lambda _: [("2606:4700::1111", 3)]) as guard:
        assert (await guard.addresses(GOOD)).error_type == "refused_by_guard"  # type: ignore[union-attr]


async def test_allowed_hosts_narrow_and_never_widen() -> None:
    policy = GuardPolicy(allowed_hosts=parse_host_patterns("*.example,127.0.0.1"))
    with guarding(Names(good_example=["1.1.1.1"], a_test=["1.1.1.1"]), policy=policy) as guard:
        assert await guard.addresses(GOOD) == packed("1.1.1.1")
        assert isinstance(await guard.addresses(normalise_url("http://a.test/")), Failure)
        assert isinstance(guard.known(normalise_url("http://127.0.0.1/")), Failure)


async def test_own_ports_are_closed_inside_the_allowed_networks_only() -> None:
    policy = GuardPolicy(allow_networks=LOOPBACK, own_ports=frozenset({9092}))
    with guarding(Names(), policy=policy) as guard:
        assert isinstance(guard.known(normalise_url("http://127.0.0.1:9092/")), Failure)
        assert guard.known(normalise_url("http://127.0.0.1:9093/")) == packed("127.0.0.1")
        assert guard.known(normalise_url("http://1.1.1.1:9092/")) == packed("1.1.1.1")


async def test_last_check_is_on_the_peer() -> None:
    with guarding(Names()) as guard:
        assert guard.final("1.1.1.1", 80) is None
        assert guard.final("127.0.0.1", 80) is not None
        assert guard.final("::ffff:127.0.0.1", 80) is not None
        assert guard.final("fe80::1%lo", 80) is not None


async def test_a_name_that_flips_to_loopback_is_never_dialled(clock: SetClock) -> None:
    """Rebinding between attempts: the first answer is allowed, the second is not, and the listener hears one call."""
    names = Names(flip_example=["127.0.0.1"])
    policy = GuardPolicy(allow_networks=parse_networks("127.0.0.1/32"))
    async with Target(answer()) as allowed, Target(answer()) as inner:
        with guarding(names, clock, policy) as guard:
            caller = HttpCaller(guard, clock)
            first = await caller.call(attempt_at(f"http://flip.example:{allowed.port}/"))
            names.answers["flip.example"] = ["127.0.0.2"]
            clock.seconds += NAME_FRESH_S + 0.001
            second = await caller.call(attempt_at(f"http://flip.example:{allowed.port}/"))
            third = await caller.call(attempt_at(f"http://127.0.0.2:{inner.port}/"))
            await caller.close()
    assert first.state == "succeeded"
    assert (second.error_type, second.retryable) == ("refused_by_guard", False)
    assert third.error_type == "refused_by_guard"
    assert (len(allowed.requests), inner.connections) == (1, 0)


async def test_an_address_that_was_not_checked_is_not_talked_to() -> None:
    """The last check: whatever led there, nothing is sent before the peer itself was checked."""
    async with Target(answer()) as inner:
        url = normalise_url(f"http://good.example:{inner.port}/")
        deadline = asyncio.get_running_loop().time() + 5
        with guarding(Names()) as guard:
            refused = await dial(url, packed("127.0.0.1"), guard, None, deadline)
        assert isinstance(refused, Failure)
        assert refused.error_type == "refused_by_guard"
        assert not inner.requests


async def test_the_next_address_is_tried_when_one_does_not_answer(clock: SetClock) -> None:
    async with Target(answer()) as target:
        url = f"http://two.example:{target.port}/"
        names = Names(two_example=["::1", "127.0.0.1"])  # the target listens on IPv4 only
        with guarding(names, clock, GuardPolicy(allow_networks=LOOPBACK)) as guard:
            caller = HttpCaller(guard, clock)
            outcome = await caller.call(attempt_at(url))
            await caller.close()
    assert outcome.state == "succeeded"
    assert len(target.requests) == 1
    assert target.requests[0].header("host") == url[len("http://") : -1]


async def test_the_guard_is_what_stops_them(clock: SetClock) -> None:
    """Teeth: the same call reaches the listener when the list allows it."""
    async with Target(answer()) as inner:
        for policy, reached in ((GuardPolicy(), 0), (GuardPolicy(allow_networks=LOOPBACK), 1)):
            with guarding(Names(localhost=["127.0.0.1"]), clock, policy) as guard:
                caller = HttpCaller(guard, clock)
                for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]"):
                    await caller.call(attempt_at(f"http://{host}:{inner.port}/"))
                await caller.close()
            assert len(inner.requests) == 3 * reached
