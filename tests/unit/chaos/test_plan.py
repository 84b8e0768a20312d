"""The plan of faults: one seed, one plan; each kind comes; lanes do not overlap themselves."""

from __future__ import annotations

from collections import Counter

from tests.chaos.plan import BEGIN_SECONDS, KIND_OF, KINDS, Planned, plan, usable
from tests.chaos.run import FAULTS

EVERYTHING = ("cassandra", "tmpfs", "faketime", "strace")


def test_one_seed_is_one_plan() -> None:
    assert plan(7, 300, KINDS) == plan(7, 300, KINDS)
    assert plan(7, 300, KINDS) != plan(8, 300, KINDS)


def test_twelve_minutes_hold_150_faults_of_more_than_20_kinds() -> None:
    for seed in range(5):
        faults = plan(seed, 12 * 60 * 0.9, usable(EVERYTHING, long_form=True))
        assert len(faults) >= 150
        assert len(Counter(fault.kind for fault in faults)) >= 20


def test_a_lane_is_one_fault_at_a_time_and_none_outlasts_the_load() -> None:
    faults = plan(3, 120, KINDS)
    for lane in ("heavy", "light"):
        own: list[Planned] = [fault for fault in faults if KIND_OF[fault.kind].lane == lane]
        ends = [fault.at_seconds + fault.seconds for fault in own]
        assert all(end <= later.at_seconds for end, later in zip(ends, own[1:], strict=False))
        assert all(fault.at_seconds >= BEGIN_SECONDS for fault in own)
        assert max(ends) <= 120


def test_a_zombie_outlasts_its_session() -> None:
    zombies = [fault for fault in plan(1, 600, KINDS, session_seconds=10) if fault.kind == "zombie-engine"]
    assert zombies
    assert all(fault.seconds > 10 for fault in zombies)


def test_what_the_machine_cannot_do_is_not_planned() -> None:
    assert not {kind.needs for kind in usable((), long_form=True)} - {""}
    assert not any(kind.long_form_only for kind in usable(EVERYTHING, long_form=False))


def test_every_kind_has_somebody_who_makes_it() -> None:
    assert set(FAULTS) == set(KIND_OF)
    assert len({kind.fault_class for kind in KINDS}) >= 15


def test_a_scenario_is_planned_only_by_its_name() -> None:
    assert "broker-outage" not in {kind.name for kind in usable(EVERYTHING, long_form=True)}
    assert [kind.name for kind in usable(EVERYTHING, long_form=True, only=["broker-outage"])] == ["broker-outage"]
    outage = plan(1, 7 * 60 * 0.9, usable(EVERYTHING, long_form=True, only=["broker-outage"]))
    assert [fault.seconds for fault in outage] == [300]
