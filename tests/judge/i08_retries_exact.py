"""I8. The retry count is exact: a sink that fails k times is called min(k, max_retries) + 1 times, numbered 1 to n without a gap.

Counted at the socket; an attempt that a breaker deferred has a number and a result and is no call, one that failed without an
answer may never have come to the target. A further attempt needs a failed result of the one before it. Waits keep the policy. A
dead letter stands there if and only if the attempts were used up, once.
"""

from __future__ import annotations

from collections import defaultdict

from tests.judge.history import History
from tests.judge.i14_state_is_the_log import stalled
from tests.judge.lives import Life, lives_of
from tests.judge.records import Call, Violation

NAME = "I8"
WAIT_TOLERANCE_MS = 5

GivenUp = dict[tuple[str, int], int]  # (run, attempt) -> the first instant at which its caller said that it failed


def check(history: History) -> list[Violation]:
    failed: set[tuple[str, int]] = set()
    given_up: GivenUp = {}
    deferred: dict[str, set[int]] = defaultdict(set)
    for record in history.tap("results"):
        if record["state"] == "failed":
            key = record["run"], record["attempt"]
            failed.add(key)
            finished_ms = record.get("finished_ms")
            if finished_ms is not None:
                given_up[key] = min(finished_ms, given_up.get(key, finished_ms))
        elif record["state"] == "deferred":
            failed.add((record["run"], record["attempt"]))
            deferred[record["run"]].add(record["attempt"])
    letters: dict[str, set[int]] = defaultdict(set)
    for record in history.tap("dead-letters"):
        letters[record["run"]].add(record["attempts"])
    found: list[Violation] = []
    for life in lives_of(history).values():
        if life.accepted and not life.maybe_cancelled:
            runs: dict[str, list[Call]] = defaultdict(list)
            for call in history.calls_of.get(life.id, []):
                runs[call.run].append(call)
            for run, calls in runs.items():
                found.extend(_judge(history, life, calls, failed, deferred.get(run, set()), given_up))
                found.extend(_letters(history, life, run, letters.get(run, set())))
    return found


def _judge(
    history: History,
    life: Life,
    calls: list[Call],
    failed: set[tuple[str, int]],
    deferred: set[int],
    given_up: GivenUp,
) -> list[Violation]:
    run = calls[0].run
    retries, fails = life.asked.get("max_retries", 0), life.asked.get("fails", 0)
    numbers = sorted({call.attempt for call in calls} | deferred | history.unheard.get(run, set()))
    if numbers != list(range(1, len(numbers) + 1)):
        return [Violation(NAME, life.id, f"attempts of {run} are numbered {numbers}")]
    expected, made = min(fails, retries) + 1, len(numbers) - len(deferred)
    wait_ms = life.asked.get("wait_ms", 1000)
    owed_ms = min(call.wall_ms for call in calls) + expected * (wait_ms * 2 + history.settings.epsilon_ms)
    if made < expected and not deferred and not _given_up(history, calls) and owed_ms < history.end_wall_ms:
        return [Violation(NAME, life.id, f"{run} was attempted {made} times, {expected} are owed")]
    if made > retries + 1:
        return [Violation(NAME, life.id, f"{run} was attempted {made} times, {retries + 1} are allowed")]
    unasked = [number for number in numbers[:-1] if number > fails and (run, number) not in failed]
    if unasked and history.has_tap("results"):
        return [Violation(NAME, life.id, f"{run} was tried again although attempt {unasked[0]} had not failed")]
    # The wait counts from the instant that the caller's clock said: a wrong one makes it shorter or longer.
    wrong_clock = any(fault.kind.startswith("clock") for fault in history.faults)
    return [] if wrong_clock else _waits(life, calls, wait_ms, given_up)


def _given_up(history: History, calls: list[Call]) -> bool:
    """A stalled owner's order came behind its successor, which had given it up (docs/guarantees.md, 9). No crash excuses it."""
    _, state, _, finished_ms = history.completions.get(calls[0].run, ("", "", 0, 0))
    return state in ("skipped", "missed") and stalled(history, finished_ms, calls[0].wall_ms)


def _waits(life: Life, calls: list[Call], wait_ms: int, given_up: GivenUp) -> list[Violation]:
    """From the end of an attempt as the sink saw it to the start of the next.

    An answer is the sink's own word. When the caller hung up instead, a busy sink hears late: its result tells when.
    """
    starts: dict[int, int] = {}
    ends: dict[int, int] = {}
    for call in calls:
        starts.setdefault(call.attempt, call.mono_ns)
        end_ns = call.ended_ns
        if end_ns is not None and call.status is None:
            finished_ms = given_up.get((call.run, call.attempt), call.wall_ms)
            if finished_ms > call.wall_ms:
                end_ns = min(end_ns, call.mono_ns + (finished_ms - call.wall_ms) * 1_000_000)
        if end_ns is not None:
            ends[call.attempt] = min(end_ns, ends.get(call.attempt, end_ns))
    least_ms = wait_ms * (1 - life.asked.get("jitter", 0.1)) - WAIT_TOLERANCE_MS
    for number, start_ns in starts.items():
        end_ns = ends.get(number - 1)
        if starts.get(number - 1, 0) > start_ns:
            continue  # a caller that had been cut off came late with an attempt that another had made or deferred
        if end_ns is not None and (start_ns - end_ns) / 1e6 < least_ms:
            waited_ms = (start_ns - end_ns) / 1e6
            return [Violation(NAME, life.id, f"attempt {number} of {calls[0].run} came after {waited_ms:.0f} ms")]
    return []


def _letters(history: History, life: Life, run: str, letters: set[int]) -> list[Violation]:
    completion = history.completions.get(run)
    if completion is None or not history.has_tap("dead-letters"):
        return []
    state = completion[1]
    if state == "failed" and len(letters) != 1:
        return [Violation(NAME, life.id, f"{run} failed for good and has {len(letters)} different dead letters")]
    if state != "failed" and letters:
        return [Violation(NAME, life.id, f"{run} ended as {state} and has a dead letter")]
    return []
