"""What each mutant puts in the place of a function of the product."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from squirrel.engine import children, runs, slots, step
from squirrel.engine.owner import Owner
from squirrel.executor.repeats import Repeats
from squirrel.executor.reporting import Reporter
from squirrel.model.schedule import State, decode_row, encode_row
from squirrel.recurrence.owed import judge_missed
from squirrel.streams.timeline import recovery
from squirrel.streams.timeline.changes import changes_of
from squirrel.streams.worker import PartitionWorker
from tests.simulation.loop import CURRENT, pause
from tests.simulation.process import NS, ProcessClock

Replaced = Mapping[tuple[Any, str], Any]
LINGER_SECONDS = 0.6
FIRST_STARTS = 6  # processes of a run that were not started again: two engines, two executors, intake, recorder


def acknowledge_before_the_log() -> Replaced:
    """A result counts as reported when it is handed to the producer, which lingers."""

    async def send(self: Any, partition: int, calls: list[Any], records: list[Any]) -> None:
        self.unreported -= len(calls)
        self._fewer.set()
        self._acknowledged(partition, calls, 0)
        await pause(LINGER_SECONDS)
        await self._append(self._topic, partition, records)
        self._sending.discard(partition)
        if partition in self._pending:
            self._schedule()

    return {(Reporter, "_send"): send}


def commit_before_apply() -> Replaced:
    """The offset of a batch is committed when the lane gets it."""
    former = PartitionWorker._hand_over

    async def hand_over(self: Any, buffer: Any, batch: Any) -> None:
        if self._settings.auto_mark:
            self._offsets.mark(buffer.tp.topic, self.number, batch[-1].offset + 1)
            await self._offsets.commit()
        await former(self, buffer, batch)

    return {(PartitionWorker, "_hand_over"): hand_over}


def no_epoch_check() -> Replaced:
    """An execution of an owner that was replaced is called like any other."""

    def judge(self: Any, attempt: str, epoch: int, emitted_ms: int, offset: int, *, logged: bool = False) -> str:
        del epoch, emitted_ms, offset, logged
        if attempt in self._younger or attempt in self._older:
            return "repeat"
        self.remember(attempt)
        return "new"

    return {(Repeats, "judge"): judge}


def cursor_moved_before_emit() -> Replaced:
    """The rows say that they were emitted before anything was."""

    async def carry_out(self: Any, work: Any, poison: Any) -> None:
        changes, log = self._changes(work)
        if changes:
            offset = await self.parts.writer.append(self.parts.topics.changelog, self.partition, log)
            self.parts.store.apply(self.partition, changes, wall_ms=work.now_ms, changelog_offset=offset)
        for (topic, number), records in self._outgoing(work, poison).items():
            await self.parts.writer.append(topic, number, records)
        self._count(work, poison)
        self._wake_for(work)

    return {(Owner, "_carry_out"): carry_out}


def retry_counter_in_memory() -> Replaced:
    """What is recovered has forgotten how often it was tried."""

    def forgetful(records: Any, old: Any) -> Any:
        kept = []
        for key, value in records:
            changed = value
            if value is not None and key.startswith(b"S"):
                row = decode_row(value)
                for run in row.runs:
                    run.tries = 0
                changed = encode_row(row)
            kept.append((key, changed))
        return changes_of(kept, old)

    return {(recovery, "changes_of"): forgetful}


def dedupe_off() -> Replaced:
    """An execution that was seen before is called again."""
    former = Repeats.judge

    def judge(self: Any, attempt: str, epoch: int, emitted_ms: int, offset: int, *, logged: bool = False) -> str:
        verdict = former(self, attempt, epoch, emitted_ms, offset, logged=logged)
        return "new" if verdict == "repeat" else verdict

    return {(Repeats, "judge"): judge}


def cancel_only_local() -> Replaced:
    """A cancelled row is written to the local store and not to the log."""
    former = Owner._changes

    def changes(self: Any, work: Any) -> Any:
        found, log = former(self, work)
        kept = [each for each in log if each[1] is None or not each[0].startswith(b"S") or not _is_cancelled(each[1])]
        return found, kept or [(b"M", b"", ())]

    return {(Owner, "_changes"): changes}


def _is_cancelled(value: bytes) -> bool:
    return decode_row(value).state is State.CANCELLED


def skip_ignored() -> Replaced:
    """An engine that took over makes up for every slot, whatever the schedule says."""

    def judge(spec: Any, late_ms: int, is_last: bool) -> Any:
        process = CURRENT.get()
        if process is not None and process.number >= FIRST_STARTS and spec.missed == "skip":
            return "run", ""
        return judge_missed(spec, late_ms, is_last)

    return {(slots, "judge_missed"): judge}


def wall_clock_for_timeouts() -> Replaced:
    """Durations are measured with the clock that anybody may set."""

    def monotonic(self: Any) -> float:
        return float(self._wall() / NS)

    return {(ProcessClock, "monotonic"): monotonic}


def child_per_result() -> Replaced:
    """Every record of a result releases the children, the last one or not."""
    former = runs.answered

    def answered(work: Any, row: Any, result: Any) -> bool:
        taken = former(work, row, result)
        if row.has_children:
            children.told_of(row, "success" if result.state != "failed" else "failure", result.finished_ms)
            runs.settle(work, row)
        return taken

    return {(step.runs, "answered"): answered}


def refused_not_committed() -> Replaced:
    """Behind a record that cannot be decoded nothing of its topic is committed any more."""
    former = PartitionWorker._hand_over

    async def hand_over(self: Any, buffer: Any, batch: Any) -> None:
        buffer_is_poisoned = getattr(self, "poisoned", set())
        if any((record.key or b"") == b"poison" for record in batch):
            buffer_is_poisoned = buffer_is_poisoned | {buffer.tp.topic}
            self.poisoned = buffer_is_poisoned
        if buffer.tp.topic not in buffer_is_poisoned:
            await former(self, buffer, batch)
            return
        await self._settings.lanes[buffer.tp.topic](buffer.tp.topic, self.number, batch)

    return {(PartitionWorker, "_hand_over"): hand_over}


def no_tombstones() -> Replaced:
    """A replay of the changelog passes over deletions."""

    def deaf(records: Any, old: Any) -> Any:
        return changes_of([(key, value) for key, value in records if value is not None], old)

    return {(recovery, "changes_of"): deaf}
