"""From what was written to what is shown: pure rules that both stores share, so that they cannot differ.

Two records about one run may come in any order and more than once, so every rule here is a maximum: the outcome that finished
last, the attempt that finished last, the earliest due instant. Equal instants are decided by the rank of the state.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from squirrel.model.limits import RETENTION_MS_DEFAULT
from squirrel.stores.history import (
    RUN_ATTEMPTS_SHOWN_MAX,
    RUN_BODY_BYTES_MAX,
    AttemptRecord,
    CompletionRecord,
    HistoryBatch,
    Run,
    RunRecord,
)

_ATTEMPT_STATES: Final = ("retry_wait", "sent", "succeeded")  # by rank: what a run is while only attempts are known
_ATTEMPT_RANKS: Final = {"failed": 0, "sent": 1, "succeeded": 2}
_OUTCOME_RANKS: Final = {"missed": 0, "skipped": 1, "cancelled": 2, "sent": 3, "failed": 4, "succeeded": 5}
ODD_STATES: Final = frozenset({"failed", "cancelled", "skipped", "missed"})  # few and looked for, so indexed apart


class RunFold(Struct):
    """All that one batch says of one run, folded. `seen` and `final` are 0 when nothing of the kind was said."""

    namespace: str
    schedule_id: str
    run: str
    event: str
    slot_ms: int
    due_ms: int
    expires_ms: int
    retention_ms: int
    replay_of: str | None = None
    seen: int = 0
    final: int = 0
    completion: CompletionRecord | None = None


def seen_order(attempt: AttemptRecord) -> int:
    """Attempts by the instant they finished, then by rank; the last two bits are the rank. Never 0."""
    return (attempt.finished_ms + 1) << 2 | _ATTEMPT_RANKS.get(attempt.state, 0)


def seen_state(order: int) -> str:
    """The state of a run of which only attempts are known; `order` is the greatest `seen_order`."""
    return _ATTEMPT_STATES[order & 3]


def final_order(completion: CompletionRecord) -> int:
    """Outcomes by the instant they were reached, then by rank. Never 0."""
    return (completion.finished_ms + 1) << 3 | _OUTCOME_RANKS.get(completion.state, 0)


def retention(retention_ms: int) -> int:
    """Milliseconds a record is kept; 0 says the default."""
    return retention_ms or RETENTION_MS_DEFAULT


def fold(batch: HistoryBatch) -> dict[tuple[str, str], RunFold]:
    """(namespace, run) -> what the batch says of that run."""
    folds: dict[tuple[str, str], RunFold] = {}
    for attempt in batch.attempts:
        folded = _folded(folds, attempt)
        folded.seen = max(folded.seen, seen_order(attempt))
    for completion in batch.completions:
        folded = _folded(folds, completion)
        order = final_order(completion)
        if order > folded.final:
            folded.final, folded.completion = order, completion
    return folds


def _folded(folds: dict[tuple[str, str], RunFold], record: AttemptRecord | CompletionRecord) -> RunFold:
    key = (record.namespace, record.run)
    expires_ms = record.finished_ms + retention(record.retention_ms)
    folded = folds.get(key)
    if folded is None:
        folded = folds[key] = RunFold(
            record.namespace,
            record.schedule_id,
            record.run,
            record.event,
            record.slot_ms,
            record.due_ms,
            expires_ms,
            retention(record.retention_ms),
            record.replay_of,
        )
        return folded
    folded.due_ms = min(folded.due_ms, record.due_ms)
    folded.expires_ms = max(folded.expires_ms, expires_ms)
    folded.retention_ms = max(folded.retention_ms, retention(record.retention_ms))
    folded.replay_of = folded.replay_of or record.replay_of
    return folded


def view(base: RunFold, attempts: Sequence[AttemptRecord]) -> Run:
    """The run as the API shows it; `attempts` in any order, at least one unless `base.completion` is there."""
    shown = sorted(attempts, key=lambda attempt: attempt.number)[-RUN_ATTEMPTS_SHOWN_MAX:]
    newest = max(shown, key=seen_order, default=None)
    completion = base.completion
    state = completion.state if completion is not None else seen_state(seen_order(newest) if newest else 0)
    finished_ms = completion.finished_ms if completion is not None else None
    if finished_ms is None and newest is not None and state != "retry_wait":
        finished_ms = newest.finished_ms
    status = newest.status if newest is not None else completion.status if completion is not None else None
    record = RunRecord(
        id=base.run,
        schedule_id=base.schedule_id,
        namespace=base.namespace,
        event=base.event,
        slot_ms=base.slot_ms,
        due_ms=min([base.due_ms, *(attempt.due_ms for attempt in shown)]),
        state=state,
        attempts_count=max([completion.attempts_count if completion else 0, *(each.number for each in shown)]),
        finished_ms=finished_ms,
        reason=completion.reason if completion is not None else "",
        replay_of=base.replay_of,
        tags=completion.tags if completion is not None else (),
        status=status,
        target_host=target_host(newest.target) if newest is not None else "",
        triggered_by=completion.triggered_by if completion is not None else "",
    )
    return Run(record, tuple(_within_bytes(shown)))


def _within_bytes(attempts: list[AttemptRecord]) -> list[AttemptRecord]:
    """The oldest bodies are left out once the newer ones have filled the run's share."""
    left = RUN_BODY_BYTES_MAX
    kept: list[AttemptRecord] = []
    for attempt in reversed(attempts):
        left -= len(attempt.body)
        fits = left >= 0 or not kept
        kept.append(attempt if fits else msgspec.structs.replace(attempt, body="", body_truncated=True))
    return kept[::-1]


def body_chars(run: Run) -> int:
    """What a run weighs in a page."""
    return sum(len(attempt.body) for attempt in run.attempts)


class _TargetHead(Struct):
    url: str = ""
    topic: str = ""


_decode_target = msgspec.json.Decoder(_TargetHead).decode


def target_host(target: bytes) -> str:
    """Where a target is: the host of its URL, or its topic; empty when the JSON says neither."""
    try:
        head = _decode_target(target)
        return urlsplit(head.url).netloc or head.topic
    except (msgspec.MsgspecError, ValueError):
        return ""


def last_duration_ms(run: Run) -> int | None:
    """How long the last attempt took; None when there was none."""
    last = max(run.attempts, key=seen_order, default=None)
    return None if last is None else max(0, last.finished_ms - last.started_ms)
