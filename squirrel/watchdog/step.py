"""Records of the topics -> what the ledger knows. Pure but for the ledger it is given; what it cannot read it counts."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any, Final, Literal, NamedTuple

from msgspec import MsgspecError, Struct
from msgspec.json import Decoder

from squirrel.model.instants import parse_instant
from squirrel.model.schedule import FINAL, RowHead, RunState, State, decode_row_head
from squirrel.model.target import HttpTarget
from squirrel.streams.timeline.keys import s_key_parts
from squirrel.watchdog.ledger import Emitted, Expected, Ledger
from squirrel.wire.owner_mark import owner_mark_of
from squirrel.wire.records import Undecodable, decode_execution

Kind = Literal["changelog", "executions", "results", "completions"]
RECENT_MAX: Final = 2_000  # delivered and missed runs that can be looked at; the history has all of them
RESULT_GRACE_MS: Final = 15_000  # beyond a call's timeout, for hops, windows that are full, and a restart
OTHER_TIMEOUT_MS: Final = 60_000  # of targets that have no timeout of their own here
_ROW: Final = b"S"


class Delivered(NamedTuple):
    """A run that reached its end: an attempt's result, or a final outcome without one (missed, skipped)."""

    namespace: str
    run: str
    schedule: str
    event: str
    state: str
    due_ms: int
    emitted_ms: int
    finished_ms: int


class _Result(Struct):
    run: str
    schedule_id: str
    namespace: str
    event: str = ""
    state: str = ""
    emitted: str = ""
    attempt: int = 0
    due_ms: int = 0
    finished_ms: int = 0


_decode_result = Decoder(_Result).decode


class Reading:
    """Takes records; `recent` are the last runs that ended, newest last."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.recent: deque[Delivered] = deque(maxlen=RECENT_MAX)
        self.read = 0
        self.unreadable = 0

    def take(self, kind: Kind, records: Iterable[Any]) -> None:
        """Records of one partition, in order; each has `key`, `value`, `partition` and `offset`."""
        take = {
            "changelog": self._row, "executions": self._execution, "results": self._result, "completions": self._completion,
        }[kind]  # fmt: skip
        for record in records:
            self.read += 1
            try:
                take(record)
            except (MsgspecError, Undecodable, ValueError, IndexError, RecursionError):
                self.unreadable += 1

    def _row(self, record: Any) -> None:
        key = record.key or b""
        if key[:1] != _ROW:
            return  # who waits for whom, and the marker
        namespace, schedule_id = s_key_parts(key)
        if not record.value:
            self._ledger.expect_nothing(namespace, schedule_id)
            return
        head: RowHead = decode_row_head(record.value)
        due_ms = due_of(head)
        if due_ms is None:
            self._ledger.expect_nothing(namespace, schedule_id)
        else:
            self._ledger.expect(Expected(namespace, schedule_id, due_ms, head.event, record.partition, record.offset))

    def _execution(self, record: Any) -> None:
        try:
            execution = decode_execution(record.value)
        except Undecodable:
            if owner_mark_of(record.value) is not None:
                return  # an owner began: no order
            raise
        if not execution.track:
            return  # nobody says what becomes of it
        target = execution.target
        timeout_ms = target.timeout_ms if isinstance(target, HttpTarget) else OTHER_TIMEOUT_MS
        deadline_ms = max(execution.due_ms, execution.emitted_ms) + timeout_ms + RESULT_GRACE_MS
        self._ledger.emit(
            Emitted(
                execution.namespace, execution.run, execution.attempt, execution.schedule, execution.event,
                execution.due_ms, execution.emitted_ms, deadline_ms,
            )
        )  # fmt: skip

    def _result(self, record: Any) -> None:
        result: _Result = _decode_result(record.value)
        self._ledger.answer(result.namespace, result.run, result.attempt)
        emitted_ms = parse_instant(result.emitted) if result.emitted else 0
        self.recent.append(
            Delivered(
                result.namespace, result.run, result.schedule_id, result.event, result.state, result.due_ms, emitted_ms,
                result.finished_ms,
            )
        )  # fmt: skip

    def _completion(self, record: Any) -> None:
        done: _Result = _decode_result(record.value)
        if done.state in (RunState.MISSED, RunState.SKIPPED):
            self.recent.append(
                Delivered(
                    done.namespace, done.run, done.schedule_id, done.event, done.state, done.due_ms, 0, done.finished_ms
                )
            )


def due_of(head: RowHead) -> int | None:
    """The instant by which the engine must do something about this schedule; None: never by itself.

    A finished one only wakes to leave the state, unless one of its runs (a replay) is to be tried again.
    """
    if head.state is State.UNKNOWN:
        return None
    if head.state in FINAL:
        return min((run.due_ms for run in head.runs if run.state is RunState.RETRY_WAIT), default=None)
    return head.wake_ms
