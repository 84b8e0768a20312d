"""What must have happened at least once: a campaign that never came by a rare path has not tested it, and says which."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from tests.simulation.scenario import Plan

# name -> what it is; counted by the twins, the nemesis and the workload.
RARE: dict[str, str] = {
    "batch_resent": "an answer of the broker was lost and the batch was sent again",
    "cancel_too_late": "a cancel was answered 409",
    "changelog_compacted": "the changelog had holes when it was replayed",
    "duplicate_dropped": "an executor dropped a run and attempt that it had seen",
    "fenced_append_refused": "the leader refused a batch of an owner that was replaced",
    "finished_before_skipped": "an executor passed over what the commit's metadata called finished",
    "info_create_had_been_taken": "an indeterminate create turned out to have been accepted",
    "old_copy_restored": "an engine started on a copy of its disk of another day",
    "process_ended_itself": "a process found that it must not go on",
    "recovery_from_empty": "an engine started without its disk",
    "resumed_run_all": "a pause ended under the policy run_all",
    "resumed_run_last": "a pause ended under the policy run_last",
    "resumed_skip": "a pause ended under the policy skip",
    "session_expired": "the group gave a silent member's partitions away",
    "stale_commit_refused": "a commit of a generation that was over was refused",
    "stale_epoch_dropped": "an executor dropped an order of an owner that was replaced",
    "static_return": "a process came back within its session and had what it had, without a rebalance",
    "terminated": "a process was stopped as planned",
    "update_too_late": "an update was answered 409",
    "watchdog_exit": "a watchdog ended its process",
    "write_indeterminate": "a caller was told that nobody knows whether its write was stored",
}

# Plans that lead there: one or a few kinds of faults each, so that no chance decides whether a kind comes up.
_LEADS: tuple[tuple[str, ...], ...] = (
    ("kill_engine", "kill_executor"),
    ("kill_engine_lost_disk", "compact"),
    ("kill_engine_old_copy",),
    ("cut_engine",),
    ("stop_engine", "stop_executor"),
    ("cut_executor", "terminate"),
    ("broker_away", "lossy"),
    ("broker_long_away",),
    ("clock_forward", "clock_back", "clock_strobe"),
    ("replay_executions", "replay_results", "poison"),
    ("offsets_lost", "kill_other"),
    ("swizzle", "compact"),
)


def leading_plans(seed: int) -> list[Plan]:
    """One plan for each, and three with many slots a second, so that something is on its way when an engine is cut off."""
    plan = Plan(seed, operations=80, seconds=25.0, faults=6)
    plans = [replace(plan, seed=seed + number, kinds=kinds) for number, kinds in enumerate(_LEADS)]
    busy = replace(plan, operations=60, seconds=50.0, kinds=("cut_engine_long",), mix="rules")
    return [*plans, *(replace(busy, seed=seed + number) for number in (27, 35, 40))]


def never_seen(sometimes: Counter[str]) -> list[str]:
    """The rare paths that were not taken, a sentence each."""
    return [f"{name}: {sentence}" for name, sentence in RARE.items() if not sometimes[name]]
