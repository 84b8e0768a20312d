"""The executor of one process: records become calls at their due millisecond, outcomes become results, results become marks.

An execution counts as finished when its result is acknowledged, not before: a crash in between repeats the call with the same
ids. What is held, waiting or not yet taken when a partition goes is simply not finished: the next owner gets it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from squirrel.executor.callers import host_of
from squirrel.executor.holding import Holding
from squirrel.executor.partition import Call, Partition, resume
from squirrel.executor.parts import Counters, ExecutorParts, Membership
from squirrel.executor.promising import completion_token, too_old
from squirrel.executor.reporting import Reporter
from squirrel.executor.results import attempt_id, result_record
from squirrel.executor.rules import judged
from squirrel.executor.window import Window
from squirrel.model.limits import HELD_EXECUTIONS_MAX, MIB, PAYLOAD_BYTES_MAX
from squirrel.model.target import Target
from squirrel.wire.attempt import Attempt, Outcome
from squirrel.wire.owner_mark import owner_mark_of
from squirrel.wire.public import refused_record, target_summary
from squirrel.wire.records import Execution, Undecodable, decode_execution

MARK_SECONDS: Final = 0.1  # commits go out a few times a second; a mark older than that would waste them
UNREPORTED_PART: Final = 4  # of the window is for results that Kafka has not acknowledged
CLAIM_AGAIN_SECONDS: Final = 0.05  # until the group takes commits again, or the partition is another's
STALL_LOOK_SECONDS: Final = 0.05  # how soon a lane that waits for room notices that its partition goes
DRAIN_SECONDS_MAX: Final = 3.0  # for calls in flight when a partition goes; less than the 4 s a stopping service has
HELD_BYTES_MAX: Final = 128 * MIB  # executions and unreported answers in this process, whatever their number
TARGETS_KNOWN_MAX: Final = 4096

assert HELD_BYTES_MAX > 64 * PAYLOAD_BYTES_MAX, "a good number of the largest payloads fit"


class Executor:
    """Implements the partition lifecycle and the lane that `streams/` calls. `join` it to its app before the app starts."""

    def __init__(self, parts: ExecutorParts) -> None:
        self.parts = parts
        self.counters = Counters()
        self.partitions: dict[int, Partition] = {}
        self._app: Membership | None = None
        self._unreported_max = max(1, parts.window // UNREPORTED_PART)
        places = max(1, parts.window - self._unreported_max)
        self._window: Window[Call] = Window(places, parts.window_per_host)
        self._holding: Holding[Call] = Holding(parts.clock, self._due)
        self._reporter: Reporter[Call] = Reporter(parts.results, parts.append, self._acknowledged, parts.crash)
        self._tasks: set[asyncio.Task[None]] = set()
        self._marking: asyncio.Task[None] | None = None
        self._targets: dict[Target, tuple[str, dict[str, Any]]] = {}
        self._room = asyncio.Event()
        self._calls = 0  # taken and not finished, over all partitions
        self._bytes = 0
        self._leaving = False

    # --- life ------------------------------------------------------------------------------------------------------

    def join(self, app: Membership) -> None:
        """Begin to mark in this app's group."""
        self._app = app
        self._marking = asyncio.get_running_loop().create_task(self._mark_for_ever(), name="mark")

    def leave(self) -> None:
        """The process ends: lanes take nothing more. Then stop the app, which revokes every partition, then `close`."""
        self._leaving = True

    async def close(self) -> None:
        """Cancels what did not end in time; its executions are not marked. Safe twice."""
        self._leaving = True
        self._holding.close()
        tasks = [*self._tasks, *([self._marking] if self._marking else [])]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self.parts.circuits.close()
        await self.parts.callers.close()

    def values(self) -> dict[str, float]:
        """Counters and gauges, named as in `runtime/metrics.py`."""
        counters = self.counters
        return {
            "calls": counters.calls,
            "calls_failed": counters.calls_failed,
            "in_flight": self._window.in_flight,
            "held": len(self._holding),
            "repeats_dropped": counters.repeats_dropped,
            "stale_epochs_dropped": counters.stale_epochs_dropped,
            "poison": counters.poison,
            "partitions": len(self.partitions),
            **self.parts.circuits.values(),
        }

    # --- partitions ------------------------------------------------------------------------------------------------

    async def on_assigned(self, partition: int, epoch: int) -> None:
        """Learn what is finished already: from the commit, and from the results that came after it."""
        assert self._app is not None, "join comes before the app starts"
        committed = await self._app.committed(self.parts.executions, partition)
        resumed = resume(committed.offset, committed.metadata)
        owned = Partition(partition, resumed.finished, resumed.results_next)
        owned.repeats.go_on_from(resumed.epoch, resumed.emitted_ms)
        if resumed.results_next is not None:
            for attempt in await self.parts.reported(partition, resumed.results_next):
                owned.repeats.remember(attempt)
        self.partitions[partition] = owned

    async def on_revoked(self, partition: int) -> None:
        """Start nothing more, give calls in flight a few seconds, mark what is finished."""
        owned = self.partitions[partition]
        owned.paused = True
        try:
            async with asyncio.timeout(DRAIN_SECONDS_MAX):
                await owned.quiet.wait()
        except TimeoutError:
            self.parts.log.info("calls in flight are left behind", partition=partition, calls=owned.begun)
        self._mark(owned)

    async def on_retained(self, partition: int, epoch: int) -> None:
        """It came straight back: go on with what is held and what came due meanwhile."""
        owned = self.partitions[partition]
        owned.paused = False
        parked, owned.parked = owned.parked, []
        for call in parked:
            self._due(call)
        if owned.rest:
            self._spawn(self._take(owned))

    async def on_lost(self, partition: int) -> None:
        """Somebody else's now: what is held is forgotten when its time comes, results of calls in flight are still told."""
        owned = self.partitions.pop(partition, None)
        if owned is not None:
            owned.lost = True
            for call in owned.parked:
                self._forget(call)
            owned.parked.clear()
            owned.rest.clear()

    # --- the lane --------------------------------------------------------------------------------------------------

    async def take(self, topic: str, partition: int, records: Sequence[Any]) -> None:
        """The lane of the executions topic: returns when all are taken, which is slow when calls are (backpressure)."""
        owned = self.partitions[partition]
        owned.rest.extend(records)
        await self._take(owned)

    async def _take(self, owned: Partition) -> None:
        async with owned.taking:
            rest = owned.rest
            while rest and not owned.paused and not owned.lost:
                if self._calls >= HELD_EXECUTIONS_MAX or self._bytes >= HELD_BYTES_MAX or not owned.finished.has_room():
                    if self._is_going():
                        return  # the rest stays where it is until we know whether the partition comes back
                    await self._wait_for_room()
                    continue
                record = rest.popleft()
                reason = self._take_one(owned, record)
                if reason is not None:
                    await self._set_aside(owned, record, reason)

    def _take_one(self, owned: Partition, record: Any) -> str | None:
        """Takes one record; the answer is why it is none of ours."""
        offset = record.offset
        unfinished = owned.finished.take(offset)
        try:
            execution = decode_execution(record.value)
        except Undecodable as error:
            mark = owner_mark_of(record.value)
            if mark is None:
                return str(error) if unfinished else None
            owned.repeats.heard(mark.epoch, mark.emitted_ms, offset)
            if unfinished:
                owned.finished.finish(offset)
            return None
        # A record that was finished before is judged all the same: it teaches what a repeat and a stale epoch are.
        logged = execution.not_after_ms is not None
        verdict = owned.repeats.judge(
            attempt_id(execution), execution.epoch, execution.emitted_ms, offset, logged=logged
        )
        if not unfinished:
            self.counters.skipped += 1
            return None
        if verdict != "new":
            if verdict == "repeat":
                self.counters.repeats_dropped += 1
            else:
                self.counters.stale_epochs_dropped += 1
            owned.finished.finish(offset)
            return None
        host, summary = self._targets.get(execution.target) or self._know(execution.target)
        size = len(record.value)
        self._calls += 1
        self._bytes += size
        now_ms = self.parts.clock.now_ms()
        self._holding.hold(execution.due_ms, Call(owned, offset, execution, host, summary, size, now_ms), now_ms)
        return None

    async def _set_aside(self, owned: Partition, record: Any, reason: str) -> None:
        parts = self.parts
        self.counters.poison += 1
        source = (parts.executions, owned.number, record.offset)
        value = refused_record("poison", "", reason, source, record.value)
        await parts.append(parts.refused, owned.number % parts.refused_partitions, [(record.key or b"", value, [])])
        owned.finished.finish(record.offset)
        parts.log.warning(
            "set aside", topic=parts.executions, partition=owned.number, offset=record.offset, reason=reason
        )

    def _know(self, target: Target) -> tuple[str, dict[str, Any]]:
        if len(self._targets) >= TARGETS_KNOWN_MAX:
            self._targets.pop(next(iter(self._targets)))
        known = self._targets[target] = (host_of(target), target_summary(target))
        return known

    def _is_going(self) -> bool:
        return self._leaving or (self._app is not None and self._app.rebalancing)

    async def _wait_for_room(self) -> None:
        self._room.clear()
        try:
            async with asyncio.timeout(STALL_LOOK_SECONDS):
                await self._room.wait()
        except TimeoutError:
            pass

    # --- calls -----------------------------------------------------------------------------------------------------

    def _due(self, call: Call) -> None:
        """Its millisecond has come."""
        if not self._may_start(call) or self._is_put_off(call):
            return
        if self._window.enter(call.host, call, call.execution.namespace, call.execution.event):
            self._spawn(self._run(call))

    def _may_start(self, call: Call) -> bool:
        owned = call.partition
        if owned.lost:
            self._forget(call)
            return False
        if owned.paused:
            owned.parked.append(call)
            return False
        return True

    def _is_put_off(self, call: Call) -> bool:
        """Its host's circuit is open: the attempt ends here, without a place in the window."""
        outcome = self.parts.circuits.refusal(call)
        if outcome is None:
            return False
        call.partition.begin()
        record = result_record(call.execution, outcome, call.picked_up_ms, call.summary)
        self._reporter.add(call.partition.number, call, record)
        return True

    async def _run(self, first: Call) -> None:
        """One place of the window: its call, then the next one whose turn it is, until nobody waits."""
        call: Call | None = first
        while call is not None:
            # The circuit may have opened while it waited for its place.
            ready = self._may_start(call) and not self._is_put_off(call)
            if ready and (call.execution.not_after_ms is None or await self._claim(call)):
                await self._call(call)
            # A place stays taken while too many results wait for Kafka: in flight and unreported together are the window,
            # and no more than that is ever called again after a crash.
            await self._reporter.fewer_than(self._unreported_max)
            self._window.leave(call.host)
            call = self._window.next()
            while call is not None and (other := self._window.next()) is not None:
                self._spawn(self._run(other))

    async def _claim(self, call: Call) -> bool:
        """At most once: the offset is committed before the call, so that nobody ever reads this execution again.

        False: the partition is another's by now. Who has it calls, unless the commit was taken and the answer lost.
        """
        owned = call.partition
        owned.finished.finish(call.offset)
        while not owned.lost:
            if not owned.paused and self._app is not None:
                self._mark(owned)
                if await self._app.commit_now(self.parts.executions, owned.number):
                    return True
            await asyncio.sleep(CLAIM_AGAIN_SECONDS)
        self._forget(call)
        return False

    async def _call(self, call: Call) -> None:
        execution = call.execution
        call.partition.begin()
        if execution.not_after_ms is not None and self.parts.clock.now_ms() > execution.not_after_ms:
            outcome = too_old(self.parts.clock.now_ms())
        else:
            outcome = await self._outcome(execution)
            self.parts.circuits.took(call, outcome)
        self.counters.calls += 1
        if outcome.state not in ("succeeded", "promised"):
            self.counters.calls_failed += 1
        grown = len(outcome.body)
        call.size_bytes += grown
        self._bytes += grown
        record = result_record(execution, outcome, call.picked_up_ms, call.summary)
        self._reporter.add(call.partition.number, call, record)

    async def _outcome(self, execution: Execution) -> Outcome:
        attempt = Attempt(
            execution.run,
            execution.schedule,
            execution.namespace,
            execution.event,
            execution.attempt,
            execution.due_ms,
            execution.target,
            execution.message,
            "",
            self.parts.signing_keys,
            completion_token(self.parts.completion_key, execution),
        )
        try:
            outcome = await self.parts.callers.call(attempt)
        except Exception as error:
            # One call's fault of ours must not stop the others.
            self.parts.log.error("a call failed by our own fault", run=execution.run, exc_info=error)
            now_ms = self.parts.clock.now_ms()
            outcome = Outcome(
                "failed",
                now_ms,
                now_ms,
                error_type="internal",
                error_detail=f"Squirrel failed to make the call ({type(error).__name__})",
                retryable=True,
            )
        if execution.rules is not None:
            outcome = judged(outcome, execution.rules)
        return outcome

    def _acknowledged(self, partition: int, calls: list[Call], last_result: int) -> None:
        for call in calls:
            self._forget(call)
        owners = {call.partition for call in calls}  # one, unless the partition left and came back meanwhile
        for owned in owners:
            owned.settle([call for call in calls if call.partition is owned], last_result)

    def _forget(self, call: Call) -> None:
        self._calls -= 1
        self._bytes -= call.size_bytes
        if not self._room.is_set():
            self._room.set()

    # --- marks -----------------------------------------------------------------------------------------------------

    def _mark(self, owned: Partition) -> None:
        if owned.finished.changed and self._app is not None:
            offset, metadata = owned.mark()
            self._app.mark(self.parts.executions, owned.number, offset, metadata)

    async def _mark_for_ever(self) -> None:
        while True:
            await asyncio.sleep(MARK_SECONDS)
            for owned in self.partitions.values():
                if not owned.paused:  # then `on_revoked` does it, once: a later mark could outlive the ownership
                    self._mark(owned)

    def _spawn(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.parts.crash(error)
