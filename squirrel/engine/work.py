"""One step's working set: what the step may read (time, routes, rows) and all that it decided, as values.

The shell loads the rows, calls the step, and carries out what stands here in the write order of ARCHITECTURE.md. Nothing in
this file or in the step touches Kafka, a disk or a clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from squirrel.engine.flows import Flows
from squirrel.model.errors import Problem
from squirrel.model.schedule import OpenRun, Row, encode_row
from squirrel.model.target import Route
from squirrel.model.when import is_plain
from squirrel.recurrence import CalendarLookup
from squirrel.recurrence.business import no_calendars
from squirrel.streams.timeline.keys import (
    Shape,
    changed_keys,
    derived_keys,
    differing,
    keys_of_shape,
    s_key,
    shape_of,
    w_key,
    w_prefix,
)
from squirrel.wire.listeners import Listener
from squirrel.wire.owner_link import CREATED, Decided
from squirrel.wire.public import Completion, DeadLetter, Result
from squirrel.wire.records import Command, Execution

NO_PROBLEM = Problem("", "")
JUST_CREATED = Decided(CREATED)
Children = Callable[[str, str, str, int], Sequence[tuple[str, str]]]  # namespace, parent, after child, limit


class Refusal(NamedTuple):
    """A change that cannot be taken: goes to `refused` when it came in by Kafka."""

    code: str
    field: str
    detail: str
    command: Command


class Entry:
    """A row in the working set, and the shape it had when it was read: its local keys follow from both."""

    __slots__ = ("_read", "_shape", "row", "touched")

    def __init__(self, row: Row | None) -> None:
        self.row = row
        self.touched = False
        self._read = row
        self._shape: Shape | None = None if row is None else shape_of(row)

    def changed_keys(self) -> tuple[list[bytes], list[bytes]]:
        """(local keys that go, local keys that come)."""
        if self._shape is None or self._read is None:
            return [], [] if self.row is None else derived_keys(self.row)
        if self.row is None:
            return keys_of_shape(self._read, self._shape), []
        if self.row is not self._read:
            return differing(keys_of_shape(self._read, self._shape), derived_keys(self.row))
        return changed_keys(self._shape, self.row)


@dataclass(slots=True)
class Work:
    """What a step sees and says. `horizon_ms` is now plus the emit-ahead; `draw` is uniform in [0, 1)."""

    now_ms: int
    horizon_ms: int
    epoch: int
    draw: Callable[[], float]
    route: Callable[[str, str], Route | None]  # namespace, event
    children: Children
    calendars: Callable[[str], CalendarLookup] = lambda namespace: no_calendars
    listeners: Callable[[str, str], Sequence[Listener]] = lambda namespace, event: ()
    workflows: Callable[[str, str], bytes | None] = lambda namespace, name: None  # the newest definition, encoded
    entries: dict[bytes, Entry] = field(default_factory=dict)
    waiters: dict[bytes, bytes | None] = field(default_factory=dict)  # W rows to put or delete
    executions: list[Execution] = field(default_factory=list)
    once: list[Execution] = field(default_factory=list)  # at most once: emitted after the log has their rows
    results: list[Result] = field(default_factory=list)  # of attempts that no executor can report
    completions: list[Completion] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    orders: list[Command] = field(default_factory=list)  # to other schedules, by the commands topic
    refusals: list[Refusal] = field(default_factory=list)
    definitions: dict[str, bytes | None] = field(default_factory=dict)  # records that every process follows
    outcomes: dict[int, Decided] = field(default_factory=dict)  # by offset of the command
    newest: Entry = field(default_factory=lambda: Entry(None))  # the one that was asked for last: most likely put next
    flows: Flows = field(default_factory=Flows)  # the owner's, over all its steps
    # Whether a replay may be ordered now, after so many attempts of this step: namespace, attempts.
    room_to_repeat: Callable[[str, int], bool] = lambda namespace, ordered: True
    replays: int = 0  # commands and results that had been applied before

    def load(self, key: bytes, row: Row | None) -> None:
        """Put a row that was read from the store (None: there is none) into the working set."""
        self.entries[key] = self.newest = Entry(row)

    def row(self, namespace: str, schedule_id: str) -> Row | None:
        """The row as this step has left it so far. The shell has loaded every key that the batch names."""
        self.newest = entry = self.entries[s_key(namespace, schedule_id)]
        return entry.row

    def put(self, row: Row) -> None:
        """The row changed (or is new)."""
        entry = self.newest
        if entry.row is not row:
            entry = self.entries[s_key(row.namespace, row.id)]
            entry.row = row
        entry.touched = True
        row.epoch = self.epoch

    def put_new(self, row: Row) -> None:
        """The row that `row` was asked for last, and of which there was none or only what waited for it."""
        entry = self.newest
        entry.row = row
        entry.touched = True
        row.epoch = self.epoch

    def drop(self, row: Row) -> None:
        """The row leaves the state."""
        entry = self.entries[s_key(row.namespace, row.id)]
        entry.row = None
        entry.touched = True

    def add_waiter(self, namespace: str, parent: str, child: str, waits: str) -> None:
        """`child` waits for an outcome of `parent`; `waits` is what `children.wait_text` makes."""
        self.waiters[w_key(namespace, parent, child)] = waits.encode()

    def drop_waiter(self, namespace: str, parent: str, child: str) -> None:
        """`child` was told."""
        self.waiters[w_key(namespace, parent, child)] = None

    def waiting_children(self, namespace: str, parent: str, after_child: str, limit: int) -> list[tuple[str, str]]:
        """Children of `parent` after `after_child`, as stored and as this step has changed it: (child, on), in order."""
        prefix = w_prefix(namespace, parent)
        found = dict(self.children(namespace, parent, after_child, limit))
        for key, on in self.waiters.items():
            if key.startswith(prefix):
                child = key[len(prefix) :].decode()
                if on is None:
                    found.pop(child, None)
                elif child > after_child:
                    found[child] = on.decode()
        return sorted(found.items())[:limit]

    def decide(
        self,
        offset: int,
        command: Command,
        code: str,
        row: Row | None = None,
        *,
        open_run: OpenRun | None = None,
        problem: Problem = NO_PROBLEM,
    ) -> None:
        """The outcome of a command; kept only where a gateway waits for it. Carries the row and its last run."""
        if command.brief and code == CREATED and row is not None and is_plain(row.spec.when):
            self.outcomes[offset] = JUST_CREATED
        elif command.reply:
            encoded = encode_row(row) if row is not None else None
            last_run = row.last if row is not None else None
            self.outcomes[offset] = Decided(code, encoded, open_run, last_run, problem.reason, problem.field)

    def refuse(self, command: Command, code: str, field: str, detail: str) -> None:
        """A change that came in by Kafka is set aside with its reason."""
        if not command.reply:
            self.refusals.append(Refusal(code, field, detail, command))
