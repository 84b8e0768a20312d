"""The faults of a run as data: what, of whom, when and for how long. Pure: one seed, one plan."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, Literal

ENGINES: Final = ("engine-0", "engine-1", "engine-2")
EXECUTORS: Final = ("executor-0", "executor-1")
SERVICES: Final = (*ENGINES, *EXECUTORS, "gateway", "intake", "recorder")
CLASSES: Final = ("engine", "executor", "gateway", "intake", "recorder")
BEGIN_SECONDS: Final = 3.0  # without faults, so that there is something to disturb

Lane = Literal["heavy", "light"]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault. `seconds`: the shortest and the longest; `rest_seconds`: before the next one of its lane.

    Heavy faults take the broker or partitions away from everybody and come one at a time; light ones run beside them.
    """

    name: str
    fault_class: str  # F1 ... F22 of the plan of tests
    lane: Lane
    targets: tuple[str, ...]
    seconds: tuple[float, float] = (0.0, 0.0)
    rest_seconds: float = 1.0
    needs: str = ""  # what the machine must have: cassandra, tmpfs, faketime, strace
    long_form_only: bool = False
    beyond_session: bool = False  # `seconds` are added to the session timeout
    by_name_only: bool = False  # a scenario of its own: planned when it is asked for


KINDS: Final[tuple[Kind, ...]] = (
    Kind("kill-engine", "F1", "light", ENGINES, rest_seconds=3),
    Kind("kill-executor", "F2", "light", EXECUTORS, rest_seconds=2),
    Kind("kill-gateway", "F3", "light", ("gateway",), rest_seconds=2),
    Kind("kill-recorder", "F4", "light", ("recorder",), rest_seconds=1),
    Kind("kill-intake", "F4", "light", ("intake",), rest_seconds=1),
    Kind("zombie-engine", "F5", "heavy", ENGINES, (2, 4), 3, beyond_session=True),
    Kind("zombie-executor", "F5", "heavy", EXECUTORS, (2, 4), 3, long_form_only=True, beyond_session=True),
    Kind("stop-engine", "F5", "light", ENGINES, (1, 3), 1),
    Kind("stop-executor", "F5", "light", EXECUTORS, (1, 4), 1),
    Kind("stutter-engine", "F21", "light", ENGINES, (3, 5), 1),
    Kind("swizzle", "F6", "heavy", ("all",), (2, 4), 3),
    Kind("rebalance-storm", "F7", "heavy", ("engines",), (12, 20), 3, long_form_only=True),
    Kind("rolling-restart", "F7", "heavy", ("all",), (18, 25), 3, long_form_only=True),
    Kind("restart-service", "F7", "light", SERVICES, rest_seconds=2),
    Kind("kill-recovery", "F7", "light", ENGINES, (0, 0), 4),
    Kind("broker-kill", "F8", "heavy", ("broker",), (1, 3), 5),
    Kind("broker-stop", "F8", "heavy", ("broker",), (3, 6), 3),
    Kind("broker-long-stop", "F8", "heavy", ("broker",), (6, 10), 6, long_form_only=True, beyond_session=True),
    Kind("broker-outage", "F8", "heavy", ("broker",), (300, 300), 6, by_name_only=True),
    Kind("cut-engine", "F9", "heavy", ENGINES, (4, 14), 3),
    Kind("cut-executor", "F9", "light", EXECUTORS, (2, 5), 2),
    Kind("cut-gateway", "F9", "light", ("gateway",), (2, 4), 1),
    Kind("cut-recorder", "F9", "light", ("recorder",), (2, 6), 1),
    Kind("oneway-engine", "F9", "heavy", ENGINES, (3, 6), 3),
    Kind("reset-links", "F9", "light", CLASSES, (0, 0), 1),
    Kind("slow-links", "F9", "light", CLASSES, (3, 6), 1),
    Kind("disk-full", "F10", "heavy", ("engine-2",), (3, 5), 4, needs="tmpfs"),
    Kind("fsync-fails", "F11", "heavy", ENGINES, (2, 4), 3, needs="strace", long_form_only=True),
    Kind("flip-bytes", "F12", "light", ENGINES, (0, 0), 4),
    Kind("truncate-file", "F12", "light", ENGINES, (0, 0), 4),
    Kind("old-copy", "F12", "heavy", ENGINES, (4, 6), 4),
    Kind("swapped-copies", "F12", "light", ENGINES, (0, 0), 4),
    Kind("disk-lost", "F13", "light", ENGINES, (0, 0), 4),
    Kind("clock-forward", "F14", "light", ("engine-1", "executor-1"), (8, 10), 2, needs="faketime"),
    Kind("clock-back", "F14", "light", ("engine-1", "executor-1"), (8, 10), 2, needs="faketime"),
    Kind("cassandra-kill", "F15", "light", ("cassandra",), (4, 8), 1, needs="cassandra"),
    Kind("cassandra-stop", "F15", "light", ("cassandra",), (4, 8), 1, needs="cassandra"),
    Kind("poison", "F17", "light", ("topics",), (0, 0), 1),
    Kind("replay-records", "F19", "light", ("topics",), (0, 0), 1),
    Kind("reset-offsets", "F19", "heavy", ("engines",), (0, 0), 6, long_form_only=True),
    Kind("fd-limit", "F21", "light", (*ENGINES, *EXECUTORS), (4, 6), 2),
)
KIND_OF: Final = {kind.name: kind for kind in KINDS}


@dataclass(frozen=True, slots=True)
class Planned:
    """One fault to come. `at_seconds` counts from the beginning of the load."""

    at_seconds: float
    kind: str
    target: str
    seconds: float


def usable(has: Iterable[str], *, long_form: bool, only: Sequence[str] = ()) -> tuple[Kind, ...]:
    """The kinds that this machine and this form can make; of those in `only` when it names any."""
    machine = {"", *has}
    able = [kind for kind in KINDS if kind.needs in machine]
    if only:
        return tuple(kind for kind in able if kind.name in only)
    return tuple(kind for kind in able if (long_form or not kind.long_form_only) and not kind.by_name_only)


def plan(
    seed: int, seconds: float, kinds: Sequence[Kind], *, session_seconds: float = 10.0, pace: float = 1.0
) -> list[Planned]:
    """Faults for `seconds` of load, by time. Each lane deals its kinds from a shuffled deck, so none is left out for long.

    `pace` above 1 leaves longer rests. The last fault ends within `seconds`.
    """
    chance = Random(f"plan {seed}")
    found: list[Planned] = []
    for lane in ("heavy", "light"):
        own = [kind for kind in kinds if kind.lane == lane]
        deck: list[Kind] = []
        at_seconds = BEGIN_SECONDS + chance.uniform(0, 1)
        while own:
            if not deck:
                deck = chance.sample(own, len(own))
            kind = deck.pop()
            beyond_seconds = session_seconds if kind.beyond_session else 0.0
            lasting = round(chance.uniform(*kind.seconds) + beyond_seconds, 2)
            if at_seconds + lasting > seconds:
                if at_seconds + min(each.seconds[0] for each in own) > seconds:
                    break
                if not deck:
                    at_seconds += 1
                continue
            found.append(Planned(round(at_seconds, 2), kind.name, chance.choice(kind.targets), lasting))
            at_seconds += lasting + (kind.rest_seconds + chance.uniform(0, 1)) * pace
    return sorted(found, key=lambda fault: fault.at_seconds)
