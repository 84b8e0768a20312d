"""When a service that ended is started again: at once at first, then ever later, and not for ever. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# How a service ends that finds its settings unusable (runtime/service.py): the same start would end the same way.
STATUS_UNUSABLE: Final = 2


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """Pauses double from the first to the longest; a run of `steady_seconds` forgives all crashes before it."""

    pause_seconds_first: float = 0.25
    pause_seconds_max: float = 5.0
    steady_seconds: float = 30.0
    crashes_max: int = 5

    def __post_init__(self) -> None:
        assert 0 < self.pause_seconds_first <= self.pause_seconds_max, "pauses grow"
        assert self.pause_seconds_max < self.steady_seconds, "waiting to start is shorter than proving steady"
        assert self.crashes_max >= 1


@dataclass(frozen=True, slots=True)
class RestartAfter:
    """Start it again after `pause_seconds`; it has now crashed `crashes` times in a row."""

    pause_seconds: float
    crashes: int


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Starting again would not help; `reason` continues the sentence "engine ..."."""

    reason: str


def after_exit(policy: RestartPolicy, crashes: int, up_seconds: float, status: int) -> RestartAfter | GiveUp:
    """What follows when a service that was up for `up_seconds`, after `crashes` in a row, ends with `status`."""
    if status == STATUS_UNUSABLE:
        return GiveUp("says that it cannot run like this; it is not started again")
    crashes = 1 if up_seconds >= policy.steady_seconds else crashes + 1
    if crashes >= policy.crashes_max:
        return GiveUp(
            f"ended {crashes} times in a row without running for {policy.steady_seconds:g} s, last with status {status}; "
            "it is not started again"
        )
    return RestartAfter(min(policy.pause_seconds_max, policy.pause_seconds_first * 2.0 ** (crashes - 1)), crashes)
