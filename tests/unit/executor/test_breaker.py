"""Circuit breakers: opened by trouble and by nothing else, asked by one call at a time, closed by one good answer."""

from __future__ import annotations

import pytest

from squirrel.executor.breaker import (
    BREAKERS_MAX,
    FAILURES_IN_A_ROW,
    OPEN_SECONDS_FIRST,
    OPEN_SECONDS_MAX,
    PROBE_SECONDS_MAX,
    SPREAD_SECONDS_MAX,
    Breakers,
    Refused,
)
from squirrel.wire.attempt import Outcome

PLACE = ("default", "https://dead.example")


def ending(error_type: str | None = None, status: int | None = None) -> Outcome:
    good = error_type is None
    return Outcome(
        "succeeded" if good else "failed", 0, 1_000, status or (200 if good else None), error_type=error_type
    )  # type: ignore[arg-type]


class Hours:
    """Breakers with a clock that a test moves."""

    def __init__(self) -> None:
        self.breakers = Breakers()
        self.now_s = 100.0

    def ask(self, call: object = "call", run: str = "run", place: tuple[str, str] = PLACE) -> Refused | None:
        return self.breakers.refusal(place, call, run, (self.now_s, int(self.now_s * 1000)))

    def take(self, outcome: Outcome, call: object = "call", place: tuple[str, str] = PLACE) -> None:
        self.breakers.took(place, call, outcome, self.now_s)

    def state(self) -> str:
        found = dict(self.breakers.of(PLACE[0]))
        return found[PLACE[1]].state(self.now_s) if PLACE[1] in found else "closed"

    def open(self) -> None:
        for _ in range(FAILURES_IN_A_ROW):
            self.take(ending("connect"))


@pytest.mark.parametrize("kind", ["dns", "connect", "tls", "timeout", "disconnected", "protocol"])
def test_failures_in_a_row_open_it(kind: str) -> None:
    hours = Hours()
    for _ in range(FAILURES_IN_A_ROW - 1):
        hours.take(ending(kind))
        assert hours.ask() is None
    hours.take(ending(kind))
    assert hours.state() == "open"
    refused = hours.ask()
    assert refused is not None
    assert refused.retry_after_ms is not None
    assert refused.retry_after_ms > OPEN_SECONDS_FIRST * 1000


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("status", 404),
        ("status", 429),
        ("bad_target", None),
        ("refused_by_guard", None),
        ("secret", None),
        ("internal", None),
    ],
)
def test_what_does_not_speak_against_the_host_opens_nothing(kind: str, status: int | None) -> None:
    hours = Hours()
    for _ in range(10 * FAILURES_IN_A_ROW):
        hours.take(ending(kind, status))
    assert hours.state() == "closed"
    assert not hours.breakers


def test_one_tenants_dead_url_closes_nothing_for_another() -> None:
    hours = Hours()
    hours.open()
    assert hours.ask() is not None
    assert hours.ask(place=("acme", PLACE[1])) is None


def test_a_good_answer_between_them_begins_the_count_anew() -> None:
    hours = Hours()
    for _ in range(FAILURES_IN_A_ROW - 1):
        hours.take(ending("status", 503))
    hours.take(ending())
    for _ in range(FAILURES_IN_A_ROW - 1):
        hours.take(ending("status", 503))
    assert hours.state() == "closed"


def test_four_failures_in_five_open_it_although_some_go_well() -> None:
    hours = Hours()
    states = []
    for n in range(20):
        hours.take(ending() if n % 8 == 7 else ending("status", 500))
        states.append(hours.state())
    assert states == ["closed"] * 19 + ["open"]


def test_half_open_lets_one_through_and_the_same_one_twice() -> None:
    hours = Hours()
    hours.open()
    hours.now_s += OPEN_SECONDS_FIRST
    assert hours.state() == "half_open"
    assert hours.ask("probe") is None
    assert hours.ask("other") is not None
    assert hours.ask("probe") is None
    hours.take(ending(), "probe")
    assert hours.state() == "closed"
    assert hours.ask("other") is None


def test_each_probe_that_fails_doubles_the_pause_to_a_limit() -> None:
    hours = Hours()
    hours.open()
    pause = OPEN_SECONDS_FIRST
    for _ in range(12):
        hours.now_s += pause - 0.001
        assert hours.ask("early") is not None
        hours.now_s += 0.001
        assert hours.ask("probe") is None
        hours.take(ending("timeout"), "probe")
        assert hours.state() == "open"
        pause = min(pause * 2, OPEN_SECONDS_MAX)


def test_a_probe_that_never_ends_gives_its_place_up() -> None:
    hours = Hours()
    hours.open()
    hours.now_s += OPEN_SECONDS_FIRST
    assert hours.ask("lost") is None
    hours.now_s += PROBE_SECONDS_MAX
    assert hours.ask("next") is not None
    hours.now_s += 0.1
    assert hours.ask("next") is None


def test_calls_that_were_in_flight_when_it_opened_do_not_lengthen_the_pause() -> None:
    hours = Hours()
    hours.open()
    for n in range(50):
        hours.take(ending("connect"), n)
    hours.now_s += OPEN_SECONDS_FIRST
    assert hours.state() == "half_open"


def test_what_was_put_off_comes_back_spread_out_the_longer_the_longer_it_lasts() -> None:
    hours = Hours()
    hours.open()

    def waits() -> list[int]:
        found = [hours.ask("x", f"run_{n}") for n in range(500)]
        return sorted(each.retry_after_ms for each in found if each is not None and each.retry_after_ms is not None)

    short = waits()
    hours.now_s += 86_400
    hours.ask("probe")
    hours.take(ending("connect"), "probe")
    long = waits()
    assert short[-1] - short[0] > 20_000 * 0.5
    assert long[-1] - long[0] > SPREAD_SECONDS_MAX * 900
    assert long[-1] < (OPEN_SECONDS_MAX + SPREAD_SECONDS_MAX + 2) * 1000


def test_disabled_means_never_until_it_is_closed() -> None:
    hours = Hours()
    hours.open()
    hours.breakers.disable(PLACE, 0)
    hours.now_s += 10 * OPEN_SECONDS_MAX
    assert hours.ask() == Refused(None)
    assert hours.state() == "disabled"
    assert hours.breakers.close(PLACE)
    assert hours.ask() is None
    assert not hours.breakers.close(PLACE)


def test_what_is_kept_is_bounded() -> None:
    hours = Hours()
    for n in range(BREAKERS_MAX + 100):
        hours.take(ending("dns"), place=("default", f"https://{n}.example"))
    assert len(hours.breakers.of("default")) == BREAKERS_MAX
