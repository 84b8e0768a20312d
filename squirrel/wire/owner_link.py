"""What the gateway and a partition's owner say to each other: msgpack lists of asks and answers over internal HTTP.

One POST carries many asks (a gateway batches whatever waits), and the answer holds one entry for each, in order. The owner
holds the answer back until every `Await` in it is decided or its time is up.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.msgpack import Decoder, Encoder

from squirrel.model.schedule import LastRun, OpenRun

PATH = "/internal/v1/ask"


class Await(Struct, frozen=True, array_like=True, tag="await"):
    """The outcome of the command at (partition, offset)."""

    partition: int
    offset: int
    timeout_ms: int = 5_000


class Get(Struct, frozen=True, array_like=True, tag="get"):
    """One schedule by id."""

    partition: int
    namespace: str
    id: str


class FindRun(Struct, frozen=True, array_like=True, tag="find_run"):
    """The schedule among all partitions of this owner that has this run open or as its last."""

    namespace: str
    run: str


class ListRows(Struct, frozen=True, array_like=True, tag="list"):
    """A page over all partitions of this owner, newest first. `after` is the sort key of the last row of the page before.

    Every given filter must hold; `states` empty means the live ones. `text` is looked for in id, name and event.
    """

    namespace: str
    states: tuple[str, ...] = ()
    event: str = ""
    tag: str = ""
    text: str = ""
    after: bytes = b""
    limit: int = 50


class Owns(Struct, frozen=True, array_like=True, tag="owns"):
    """Whether all these partitions are this owner's now: `Owned` or `NotMine`. Around an ask over all partitions."""

    partitions: tuple[int, ...]


class GetStats(Struct, frozen=True, array_like=True, tag="stats"):
    """Counters of this owner."""


class Upcoming(Struct, frozen=True, array_like=True, tag="upcoming"):
    """The runs of a namespace that come due in [from, to), counted by bucket, with the busiest schedules of each."""

    namespace: str
    from_ms: int
    to_ms: int
    bucket_ms: int
    top: int = 5


class Crowd(Struct, frozen=True, array_like=True, tag="crowd"):
    """How many schedules of a namespace have their next run in [from, to): `Buckets.schedules`, at most about `limit`."""

    namespace: str
    from_ms: int
    to_ms: int
    limit: int


Ask = Await | Get | FindRun | ListRows | Owns | GetStats | Upcoming | Crowd


class Decided(Struct, frozen=True, array_like=True, tag="decided"):
    """What became of a command. `code` is one of `CODES`; `row` is the encoded row after it, when there is one."""

    code: str
    row: bytes | None = None
    open_run: OpenRun | None = None
    last_run: LastRun | None = None
    detail: str = ""
    field: str = ""


class Found(Struct, frozen=True, array_like=True, tag="found"):
    """An encoded row, or None for a 404."""

    row: bytes | None


class Page(Struct, frozen=True, array_like=True, tag="page"):
    """Encoded rows with their sort keys, newest first; `more` says that this owner has further ones."""

    rows: list[tuple[bytes, bytes]]
    more: bool


class Stats(Struct, frozen=True, array_like=True, tag="stats"):
    """Counters since the owner started, and gauges of now; JSON-able."""

    values: dict[str, float]
    lateness_ms: list[int] = []  # a bounded, recent sample of started - due


class Buckets(Struct, frozen=True, array_like=True, tag="buckets"):
    """Counts by the bucket's number from `from_ms` on, and its busiest schedules as (id, runs), most first.

    `complete` is False when a limit ended the walk: there are more runs than counted.
    """

    counts: dict[int, int]
    top: dict[int, list[tuple[str, int]]]
    schedules: int
    complete: bool


class Owned(Struct, frozen=True, array_like=True, tag="owned"):
    """They are."""


class NotMine(Struct, frozen=True, array_like=True, tag="not_mine"):
    """The partition lives elsewhere or is being recovered: ask again after looking up the owners."""

    reason: str = "not_owner"


class Undecided(Struct, frozen=True, array_like=True, tag="undecided"):
    """The time was up, or the outcome is no longer remembered: read the schedule to learn it."""


Answer = Decided | Found | Page | Stats | Buckets | Owned | NotMine | Undecided

# The outcomes of commands. The gateway maps them to statuses; api.md, "Answers".
CREATED = "created"
REPEATED = "repeated"  # the same id with the same content: answered as the first time
CONFLICT = "conflict"  # the same id with other content
CHANGED = "changed"  # update, pause, resume
CANCELLED = "cancelled"
TRIGGERED = "triggered"  # open_run is the new run
NOT_FOUND = "not_found"
TOO_LATE = "too_late"  # open_run or last_run says why
STALE_REVISION = "stale_revision"
REFUSED = "refused"  # detail and field say why
PARKED = "parked"
CODES = (
    CREATED, REPEATED, CONFLICT, CHANGED, CANCELLED, TRIGGERED, NOT_FOUND, TOO_LATE, STALE_REVISION, REFUSED, PARKED,
)  # fmt: skip

encode_asks = Encoder().encode
encode_answers = Encoder().encode
decode_asks = Decoder(list[Ask]).decode
decode_answers = Decoder(list[Answer]).decode
