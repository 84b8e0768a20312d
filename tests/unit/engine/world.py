"""A world for the pure step: rows in a dict, time in a variable, what was said in lists. No Kafka, no disk, no waiting."""

from __future__ import annotations

from itertools import count

from squirrel.engine import step
from squirrel.engine.flows import Flows
from squirrel.engine.work import Work
from squirrel.model.schedule import Row, Spec, State, decode_row, encode_row
from squirrel.model.target import HttpTarget, Route
from squirrel.model.when import Parent, When
from squirrel.recurrence import Calendar
from squirrel.streams.timeline.keys import s_key, w_child, w_prefix
from squirrel.wire.listeners import ListenerBook
from squirrel.wire.owner_link import Decided
from squirrel.wire.public import AttemptError, Result
from squirrel.wire.records import Command, Execution, decode_command, encode_command

TARGET = HttpTarget("https://target.example/hook")
T0 = 1_800_000_000_000


def spec(**changes: object) -> Spec:
    """A one-shot due a second after T0, unless told otherwise."""
    given: dict[str, object] = {"event": "order.paid", "when": When(at_ms=T0 + 1000), "target": TARGET}
    return Spec(**{**given, **changes})  # type: ignore[arg-type]


class _Definitions:
    """The definitions topic as a book reads it."""

    def __init__(self, world: World) -> None:
        self.values = world.definitions
        self.next_offset = world.definitions_offset


class World:
    """One engine over all partitions: what it says to other schedules is delivered at once, in order."""

    def __init__(self, ahead_ms: int = 0) -> None:
        self.now_ms = T0
        self.ahead_ms = ahead_ms
        self.rows: dict[bytes, bytes] = {}
        self.wakes: dict[bytes, int] = {}
        self.waiters: dict[bytes, bytes] = {}
        self.routes: dict[str, Route] = {}
        self.workflows: dict[str, bytes] = {}  # encoded definitions
        self.executions: list[Execution] = []
        self.results: list[Result] = []
        self.completions: list[object] = []
        self.dead_letters: list[object] = []
        self.refusals: list[object] = []
        self.outcomes: dict[int, Decided] = {}
        self.calendars: dict[str, Calendar] = {}
        self.definitions: dict[bytes, bytes] = {}
        self.definitions_offset = 0
        self.flows = Flows()
        self.offsets = count()
        self.ids = count()

    @staticmethod
    def after(*parents: str, on: str = "success", join: str = "all", delay: float = 0, **more: object) -> When:
        """A `when` that waits for parents."""
        return When(after=tuple(Parent(parent, on) for parent in parents), join=join, delay_seconds=delay, **more)  # type: ignore[arg-type]

    def row(self, schedule_id: str) -> Row | None:
        value = self.rows.get(s_key("default", schedule_id))
        return None if value is None else decode_row(value)

    def tell(self, op: str, schedule_id: str, **fields: object) -> Decided:
        """Send a command as a gateway would; its outcome."""
        return self.deliver(self.command(op, schedule_id, **fields))

    def command(self, op: str, schedule_id: str, **fields: object) -> Command:
        """A command that was accepted now."""
        return Command(
            op=op,  # type: ignore[arg-type]
            namespace="default",
            id=schedule_id,
            command_id=f"c{next(self.ids)}",
            accepted_ms=self.now_ms,
            **{"reply": True, **fields},  # type: ignore[arg-type]
        )

    def create(self, schedule_id: str, **changes: object) -> Decided:
        return self.tell("create", schedule_id, spec=spec(**changes))

    def deliver(self, command: Command, offset: int | None = None) -> Decided:
        number = next(self.offsets) if offset is None else offset
        work = self._work([s_key(command.namespace, command.id)])
        step.take_command(work, command, number)
        self._carry_out(work)
        return self.outcomes.get(number, Decided("none"))

    def answer(self, execution: Execution, status: int = 200, **fields: object) -> None:
        """The target answers an execution now."""
        failed = not 200 <= status < 300
        state = fields.pop("state", "failed" if failed else "succeeded")
        result = Result(
            run=execution.run,
            schedule_id=execution.schedule,
            namespace=execution.namespace,
            event=execution.event,
            slot="",
            due="",
            emitted="",
            picked_up="",
            started="",
            finished="2027-01-01T00:00:00.000Z",
            attempt=execution.attempt,
            state=state,  # type: ignore[arg-type]
            target={},
            status=status,
            error=AttemptError("status", str(status)) if failed else None,
            finished_ms=self.now_ms,
            **fields,  # type: ignore[arg-type]
        )
        work = self._work([s_key(execution.namespace, execution.schedule)])
        step.take_result(work, result)
        self._carry_out(work)

    def run_until(self, until_ms: int) -> None:
        """Let time pass; every row that wakes gets its step at its instant."""
        for _ in range(10_000):
            wake_ms, key = min(((wake, key) for key, wake in self.wakes.items()), default=(None, b""))
            if wake_ms is None or wake_ms - self.ahead_ms > until_ms:
                break
            self.now_ms = max(self.now_ms, wake_ms - self.ahead_ms)
            work = self._work([key])
            row = work.entries[key].row
            assert row is not None
            step.take_due(work, row)
            self._carry_out(work)
        else:
            raise AssertionError("the timeline spins: 10,000 steps without an end")
        self.now_ms = max(self.now_ms, until_ms)

    def _work(self, keys: list[bytes]) -> Work:
        work = Work(
            now_ms=self.now_ms,
            horizon_ms=self.now_ms + self.ahead_ms,
            epoch=1,
            draw=lambda: 0.5,
            route=lambda namespace, event: self.routes.get(event),
            flows=self.flows,
            children=self._children,
            calendars=lambda namespace: self.calendars.get,
            listeners=ListenerBook(_Definitions(self)).of,
            workflows=lambda namespace, name: self.workflows.get(name),
        )
        for key in keys:
            value = self.rows.get(key)
            work.load(key, None if value is None else decode_row(value))
        return work

    def _children(self, namespace: str, parent: str, after_child: str, limit: int) -> list[tuple[str, str]]:
        prefix = w_prefix(namespace, parent)
        found = [(w_child(key), on.decode()) for key, on in sorted(self.waiters.items()) if key.startswith(prefix)]
        return [(child, on) for child, on in found if child > after_child][:limit]

    def _carry_out(self, work: Work) -> None:
        for key, entry in work.entries.items():
            if entry.touched and entry.row is None:
                self.rows.pop(key, None)
                self.wakes.pop(key, None)
            elif entry.touched and entry.row is not None:
                self.rows[key] = encode_row(entry.row)
                self.wakes.pop(key, None)
                if entry.row.wake_ms is not None:
                    self.wakes[key] = entry.row.wake_ms
        for key, on in work.waiters.items():
            if on is None:
                self.waiters.pop(key, None)
            else:
                self.waiters[key] = on
        self.executions += work.executions + work.once
        self.results += work.results
        self.completions += work.completions
        self.dead_letters += work.dead_letters
        self.refusals += work.refusals
        self.outcomes.update(work.outcomes)
        for key, value in work.definitions.items():
            self.definitions_offset += 1
            if value is None:
                self.definitions.pop(key.encode(), None)
            else:
                self.definitions[key.encode()] = value
        for order in work.orders:
            if order.op != "place":  # this world is one partition, where every group lives at home
                self.deliver(decode_command(encode_command(order)))

    def state(self, schedule_id: str) -> State | None:
        row = self.row(schedule_id)
        return None if row is None else row.state

    def completed(self, schedule_id: str) -> list[str]:
        """The final states of a schedule's runs, in the order they were said."""
        return [item.state for item in self.completions if item.schedule_id == schedule_id]  # type: ignore[attr-defined]
