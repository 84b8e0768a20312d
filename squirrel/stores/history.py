"""What a history store promises, and the nouns that go in and come out.

Written once per finished attempt, final outcome and dead letter; everything is keyed by (namespace, run) and (namespace, run,
attempt), so that repeats, any order, and a completion before its attempts all lead to the same history. Source:
shared/design.md, "Reading", and shared/api.md, "A run". Instants are epoch milliseconds; JSON values are raw bytes.
"""

from __future__ import annotations

from typing import Final, Protocol

from msgspec import Struct

from squirrel.model.errors import SquirrelError, Unavailable
from squirrel.model.limits import KIB, MIB, PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX

SCAN_RUNS_MAX: Final = 20_000  # runs looked at for one filtered page or count; the cursor goes on from there
PAGE_BYTES_MAX: Final = 8 * MIB  # bodies in one page; a page ends early rather than fill the memory
RUN_ATTEMPTS_SHOWN_MAX: Final = 100  # the newest ones; `max_retries: -1` knows no end
RUN_BODY_BYTES_MAX: Final = 2 * MIB  # response bodies shown with one run, newest first; older ones are left out
SCAN_LOADED_RUNS_MAX: Final = 2_000  # of those, runs read whole because the filter asks for what only attempts know
SUMMARY_RUNS_MAX: Final = 500_000  # of one schedule, newest first: one every second for almost six days
SUMMARY_SLICE_RUNS: Final = 10_000  # taken in at a time, so that other readers get their turn
SUMMARY_SECONDS_MAX: Final = 2.5  # after which a summary says how far it came; below the deadline of a store
PRUNE_SLICE_RUNS: Final = 500  # deleted in one transaction, so that writers are never held up for long
EVENT_FILTER_CHARS_MAX: Final = KIB

assert PAGE_ITEMS_MAX <= SCAN_RUNS_MAX, "an unfiltered page is never cut short by the scan"
assert PAGE_ITEMS_MAX <= SCAN_LOADED_RUNS_MAX <= SCAN_RUNS_MAX, "a full page may be read whole within one scan"
assert RUN_BODY_BYTES_MAX <= PAGE_BYTES_MAX, "one run always fits a page"


class HistoryUnavailable(Unavailable):
    """The store is away, locked, full or too slow; nothing is lost by calling again."""


class HistoryRejects(SquirrelError):
    """The store is well and cannot take this content, now or later; calling again would not help."""


class AttemptRecord(Struct, frozen=True):
    """One finished attempt. `due_ms` is this attempt's; `headers` and `target` are JSON objects; `status` None: no answer."""

    namespace: str
    schedule_id: str
    run: str
    number: int  # from 1
    event: str
    slot_ms: int
    due_ms: int
    emitted_ms: int
    picked_up_ms: int
    started_ms: int
    finished_ms: int
    state: str  # succeeded, failed, sent
    target: bytes = b"{}"
    status: int | None = None
    headers: bytes = b"{}"
    body: str = ""
    body_truncated: bool = False
    error_type: str = ""
    error_detail: str = ""
    stage: int = 0
    replay_of: str | None = None
    retention_ms: int = 0  # 0: the default


class CompletionRecord(Struct, frozen=True):
    """The final outcome of a run: succeeded, failed, cancelled, skipped, missed or sent."""

    namespace: str
    schedule_id: str
    run: str
    event: str
    slot_ms: int
    due_ms: int
    state: str
    attempts_count: int
    finished_ms: int
    reason: str = ""
    status: int | None = None
    replay_of: str | None = None
    tags: tuple[str, ...] = ()
    retention_ms: int = 0
    triggered_by: str = ""  # who asked for the run by hand


class LetterMark(Struct, frozen=True):
    """What a person made of a dead letter; the newest mark counts. `replayed_as` names the run that took its place."""

    namespace: str
    run: str
    state: str  # discarded, replayed, open (a discard taken back)
    marked_ms: int
    reason: str = ""
    actor: str = ""
    replayed_as: str = ""
    retention_ms: int = 0


class DeadLetterRecord(Struct, frozen=True):
    """A run that used up its attempts; `target`, `message` and `last` (its last attempt) are JSON.

    `mark` is set by the store when it is read; it is written apart.
    """

    namespace: str
    schedule_id: str
    run: str
    event: str
    slot_ms: int
    due_ms: int
    attempts_count: int
    finished_ms: int
    reason: str
    target: bytes = b"null"
    message: bytes = b"null"
    last: bytes = b"{}"
    retention_ms: int = 0
    mark: LetterMark | None = None

    @property
    def state(self) -> str:
        """open, discarded or replayed."""
        return self.mark.state if self.mark is not None else "open"


class HistoryBatch(Struct, frozen=True):
    """What one `write` makes durable, all of it."""

    attempts: tuple[AttemptRecord, ...] = ()
    completions: tuple[CompletionRecord, ...] = ()
    dead_letters: tuple[DeadLetterRecord, ...] = ()
    marks: tuple[LetterMark, ...] = ()

    def __len__(self) -> int:
        return len(self.attempts) + len(self.completions) + len(self.dead_letters) + len(self.marks)


class RunRecord(Struct, frozen=True):
    """A run as far as the history knows it. Before its completion arrived, `state` follows from its newest attempt."""

    id: str
    schedule_id: str
    namespace: str
    event: str
    slot_ms: int
    due_ms: int  # of its first attempt
    state: str
    attempts_count: int
    finished_ms: int | None  # None while a retry is owed
    reason: str = ""
    replay_of: str | None = None
    tags: tuple[str, ...] = ()
    status: int | None = None  # of the newest attempt
    target_host: str = ""  # of the newest attempt; a topic for Kafka targets
    triggered_by: str = ""  # who asked for it by hand


class Run(Struct, frozen=True):
    """A run with its newest `RUN_ATTEMPTS_SHOWN_MAX` attempts, in order of their numbers."""

    record: RunRecord
    attempts: tuple[AttemptRecord, ...] = ()


class RunPage(Struct, frozen=True):
    """Runs, newest slot first. A page may hold fewer than `limit`; only `next_cursor` None ends the list."""

    items: tuple[Run, ...] = ()
    next_cursor: str | None = None


class DeadLetterPage(Struct, frozen=True):
    """Dead letters, latest `finished_ms` first."""

    items: tuple[DeadLetterRecord, ...] = ()
    next_cursor: str | None = None


class RunFilter(Struct, frozen=True):
    """Which runs: all given fields must match. `from_ms` is inclusive, `to_ms` exclusive, both of the slot.

    `event` is exact, or with `*` at its end a beginning. `host` is the newest attempt's target without or with its port, `status`
    what that one was answered (inclusive ends). `q` is looked for, in any case of letters, in ids, event, reason, tags, and the
    newest attempt's error, target and answer.
    """

    state: str | None = None
    event: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None
    schedule: str | None = None
    tag: str | None = None
    host: str | None = None
    status: tuple[int, int] | None = None
    q: str | None = None

    @property
    def looks_inside(self) -> bool:
        """Whether only the whole run says if it matches."""
        return self.tag is not None or self.host is not None or self.status is not None or self.q is not None


class LetterFilter(Struct, frozen=True):
    """Which dead letters: as `RunFilter`, times are of `finished_ms`; `state` is open, discarded or replayed."""

    state: str | None = None
    event: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None
    schedule: str | None = None
    q: str | None = None


class Counts(Struct, frozen=True):
    """Runs by state among the newest `SCAN_RUNS_MAX` that match; `complete` says that these were all."""

    by_state: dict[str, int]
    complete: bool


class Summary(Struct, frozen=True):
    """How the runs of a schedule went, of all that the history keeps. Durations: started to finished of the last attempt, ms.

    Counts, min, avg and max are exact; percentiles are off by at most `percentile_error` of themselves. `complete` False: only
    the runs with a slot from `oldest_slot_ms` on were taken in (SUMMARY_RUNS_MAX, SUMMARY_SECONDS_MAX).
    """

    succeeded: int = 0
    failed: int = 0
    other: int = 0
    duration_ms_min: int | None = None
    duration_ms_avg: float | None = None
    duration_ms_max: int | None = None
    duration_ms_p95: int | None = None
    duration_ms_p99: int | None = None
    percentile_error: float = 0.0
    oldest_slot_ms: int | None = None
    complete: bool = True


class History(Protocol):
    """The history behind one face. Every call answers or raises `HistoryUnavailable` within the store's deadline.

    Cursors are opaque; a bad one raises `Refused` naming `cursor`. `limit` is cut to 1..PAGE_ITEMS_MAX. Pages are complete
    and without repeats while others write: what was there when the first page was read is in exactly one page.
    """

    async def start(self) -> None:
        """Connects and makes the schema. May raise HistoryUnavailable; every later call then tries again by itself."""
        ...

    async def close(self) -> None:
        """Ends connections and threads; a second call does nothing."""
        ...

    async def healthy(self) -> bool:
        """Whether the store answers a small query now."""
        ...

    async def write(self, batch: HistoryBatch) -> None:
        """Durable and visible to every reader when it returns. Raises HistoryUnavailable, or HistoryRejects."""
        ...

    async def run(self, namespace: str, run_id: str) -> Run | None:
        """One run."""
        ...

    async def runs_of(
        self, namespace: str, schedule_id: str, limit: int = PAGE_ITEMS_DEFAULT, cursor: str | None = None
    ) -> RunPage:
        """The runs of one schedule."""
        ...

    async def runs(
        self,
        namespace: str,
        where: RunFilter | None = None,
        limit: int = PAGE_ITEMS_DEFAULT,
        cursor: str | None = None,
    ) -> RunPage:
        """The runs of a namespace that match."""
        ...

    async def dead_letters(
        self,
        namespace: str,
        where: LetterFilter | None = None,
        limit: int = PAGE_ITEMS_DEFAULT,
        cursor: str | None = None,
    ) -> DeadLetterPage:
        """Runs that exhausted their retries, each with what was made of it."""
        ...

    async def dead_letter(self, namespace: str, run_id: str) -> DeadLetterRecord | None:
        """The dead letter of one run, as soon as the run's end is on record too."""
        ...

    async def counts(self, namespace: str, where: RunFilter | None = None) -> Counts:
        """Runs by state, bounded work."""
        ...

    async def summary(self, namespace: str, schedule_id: str) -> Summary:
        """How one schedule has been doing."""
        ...

    async def prune(self, now_ms: int) -> int:
        """Deletes what outlived its retention, in slices; -> runs deleted. Nothing to do where rows expire by themselves."""
        ...
