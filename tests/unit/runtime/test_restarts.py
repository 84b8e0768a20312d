"""Restarts come ever later and end; a steady run forgives."""

from __future__ import annotations

from squirrel.runtime.restarts import STATUS_UNUSABLE, GiveUp, RestartAfter, RestartPolicy, after_exit

POLICY = RestartPolicy(pause_seconds_first=1, pause_seconds_max=5, steady_seconds=30, crashes_max=5)


def test_pauses_double_to_the_longest_then_it_gives_up() -> None:
    pauses, crashes = [], 0
    while isinstance(verdict := after_exit(POLICY, crashes, up_seconds=0.1, status=1), RestartAfter):
        pauses.append(verdict.pause_seconds)
        crashes = verdict.crashes
    assert pauses == [1, 2, 4, 5]
    assert "5 times in a row" in verdict.reason
    assert "status 1" in verdict.reason


def test_steady_run_forgives() -> None:
    assert after_exit(POLICY, 4, up_seconds=30, status=-9) == RestartAfter(1, 1)


def test_unusable_settings_are_not_tried_again() -> None:
    assert isinstance(after_exit(POLICY, 0, up_seconds=0.1, status=STATUS_UNUSABLE), GiveUp)
