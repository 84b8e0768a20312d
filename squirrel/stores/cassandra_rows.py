"""The CQL of the Cassandra history, and one batch of records to statements."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final
from zlib import crc32

import msgspec

from squirrel.stores.history import AttemptRecord, CompletionRecord, DeadLetterRecord, HistoryBatch, LetterMark
from squirrel.stores.run_view import RunFold, final_order, fold, retention, seen_state

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
SHARDS: Final = 8  # of a namespace's hour: at 1,000 runs/s a partition holds 450,000 narrow rows
BATCH_ROWS_MAX: Final = 100  # of one partition in one batch
LONELY_ROWS_MAX: Final = 2
BATCH_PARTITIONS_MAX: Final = 20  # index rows of 100 bytes: a message less each, far below the server's 50 KiB
SPANS_KNOWN_MAX: Final = 200_000

WRITES: Final = {
    "attempt": "INSERT INTO {keyspace}.run (ns, run, number, record) VALUES (?, ?, ?, ?) USING TIMESTAMP ? AND TTL ?",
    "completion": "INSERT INTO {keyspace}.run (ns, run, completion) VALUES (?, ?, ?) USING TIMESTAMP ? AND TTL ?",
    "by_schedule": "INSERT INTO {keyspace}.runs_by_schedule (ns, schedule, day, slot_ms, run) VALUES (?, ?, ?, ?, ?) "
    "USING TIMESTAMP ? AND TTL ?",
    "by_hour_seen": "INSERT INTO {keyspace}.runs_by_hour (ns, hour, shard, slot_ms, run, event, seen) "
    "VALUES (?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ? AND TTL ?",
    "by_hour_final": "INSERT INTO {keyspace}.runs_by_hour (ns, hour, shard, slot_ms, run, event, outcome) "
    "VALUES (?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ? AND TTL ?",
    "dead_letter": "INSERT INTO {keyspace}.dead_letters (ns, day, shard, finished_ms, run, record) VALUES (?, ?, ?, ?, ?, ?) "
    "USING TIMESTAMP ? AND TTL ?",
    "mark": "INSERT INTO {keyspace}.letter_marks (ns, run, mark) VALUES (?, ?, ?) USING TIMESTAMP ? AND TTL ?",
    "span": "INSERT INTO {keyspace}.spans (ns, kind, name, span, shard, keep_days) VALUES (?, ?, ?, ?, ?, ?) "
    "USING TIMESTAMP ? AND TTL ?",
}
READS: Final = {
    "run": "SELECT number, record, completion FROM {keyspace}.run WHERE ns = ? AND run = ? LIMIT ?",
    "first_attempt": "SELECT record FROM {keyspace}.run WHERE ns = ? AND run = ? AND number = 1",
    "schedule_runs": "SELECT slot_ms, run FROM {keyspace}.runs_by_schedule "
    "WHERE ns = ? AND schedule = ? AND day = ? AND (slot_ms, run) < (?, ?) LIMIT ?",
    "hour_runs": "SELECT slot_ms, run, event, seen, outcome FROM {keyspace}.runs_by_hour "
    "WHERE ns = ? AND hour = ? AND shard = ? AND (slot_ms, run) < (?, ?) LIMIT ?",
    "day_letters": "SELECT finished_ms, run, record FROM {keyspace}.dead_letters "
    "WHERE ns = ? AND day = ? AND shard = ? AND (finished_ms, run) < (?, ?) LIMIT ?",
    "letter": "SELECT record FROM {keyspace}.dead_letters WHERE ns = ? AND day = ? AND shard = ? AND finished_ms = ? AND run = ?",
    "mark_of": "SELECT mark FROM {keyspace}.letter_marks WHERE ns = ? AND run = ?",
    "spans": "SELECT span, shard FROM {keyspace}.spans WHERE ns = ? AND kind = ? AND name = ? AND span <= ? LIMIT ?",
    "version": "SELECT version FROM {keyspace}.schema_version WHERE id = 1",
}
_encode = msgspec.msgpack.Encoder().encode
_decode_tuple = msgspec.msgpack.Decoder(tuple[Any, ...]).decode
Statement = tuple[str, tuple[Any, ...]]  # the name of a prepared statement and its parameters
SpanKey = tuple[str, str, str, int, int, int, int]  # ns, kind, name, span, shard, keep_days, when it was last said


def encode_record(record: AttemptRecord | CompletionRecord | DeadLetterRecord | LetterMark) -> bytes:
    """One cell per record: it is replaced whole or not at all. Fields are only ever appended."""
    fields = msgspec.structs.astuple(record)
    if isinstance(record, CompletionRecord) and not record.triggered_by:
        fields = fields[:-1]  # as an earlier release wrote it, and can still read it
    return _encode(fields)


def decode_attempt(cell: bytes) -> AttemptRecord:
    """The other way."""
    return AttemptRecord(*_decode_tuple(cell))


def decode_completion(cell: bytes) -> CompletionRecord:
    """The other way; tags come back as a tuple."""
    record = CompletionRecord(*_decode_tuple(cell))
    return msgspec.structs.replace(record, tags=tuple(record.tags))


def decode_dead_letter(cell: bytes) -> DeadLetterRecord:
    """The other way."""
    return DeadLetterRecord(*_decode_tuple(cell))


def decode_mark(cell: bytes) -> LetterMark:
    """The other way."""
    return LetterMark(*_decode_tuple(cell))


def shard_of(run: str) -> int:
    """Which shard of its hour a run lies in."""
    return crc32(run.encode()) % SHARDS


def ttl_seconds(retention_ms: int) -> int:
    """Rounded up; at least a second, since 0 would mean for ever."""
    return max(1, -(-retention(retention_ms) // 1000))


class BatchStatements:
    """What one batch becomes: `records` first, then `indexes`; `said` are the spans to remember once both are written."""

    def __init__(self, batch: HistoryBatch, known: set[SpanKey]) -> None:
        self.records: list[Statement | list[Statement]] = []
        self.said: set[SpanKey] = set()
        self._known = known
        self._hours: dict[tuple[str, int, int], list[Statement]] = {}
        self._schedules: dict[tuple[str, str, int], list[Statement]] = {}
        self._spans: dict[tuple[str, str, str], list[Statement]] = {}
        folds = fold(batch)
        self._add_records(batch, folds)
        for each in folds.values():
            self._add_indexes(each)
        for letter in batch.dead_letters:
            self._add_dead_letter(letter)
        for mark in batch.marks:
            place = (
                mark.namespace,
                mark.run,
                encode_record(mark),
                mark.marked_ms * 1000,
                ttl_seconds(mark.retention_ms),
            )
            self.records.append(("mark", place))

    @property
    def indexes(self) -> list[Statement | list[Statement]]:
        """One batch per partition, cut to BATCH_ROWS_MAX; the lonely rows of one-shots share small batches."""
        groups = [*self._hours.values(), *self._schedules.values(), *self._spans.values()]
        lonely = [row for rows in groups if len(rows) <= LONELY_ROWS_MAX for row in rows]
        together = [rows for rows in groups if len(rows) > LONELY_ROWS_MAX]
        return [
            *_cut(lonely, BATCH_PARTITIONS_MAX),
            *(part for rows in together for part in _cut(rows, BATCH_ROWS_MAX)),
        ]

    def _add_records(self, batch: HistoryBatch, folds: dict[tuple[str, str], RunFold]) -> None:
        outcomes: dict[tuple[str, str], Statement] = {}
        for key, each in folds.items():
            if each.completion is not None:
                done = each.completion
                stamp = done.finished_ms * 1000 + (final_order(done) & 7)
                ttl = ttl_seconds(done.retention_ms)
                outcomes[key] = ("completion", (done.namespace, done.run, encode_record(done), stamp, ttl))
        for attempt in batch.attempts:
            key = (attempt.namespace, attempt.run)
            stamp = attempt.finished_ms * 1000
            ttl = ttl_seconds(attempt.retention_ms)
            write: Statement = ("attempt", (*key, attempt.number, encode_record(attempt), stamp, ttl))
            outcome = outcomes.pop(key, None)  # beside its attempt, in the same partition: one mutation for both
            self.records.append(write if outcome is None else [write, outcome])
        self.records.extend(outcomes.values())

    def _add_indexes(self, each: RunFold) -> None:
        done = each.completion
        if done is not None:
            name, state, stamp = "by_hour_final", done.state, done.finished_ms * 1000 + (final_order(done) & 7)
        else:
            # seen is (finished + 1) << 2 | rank, see run_view.seen_order
            name, state, stamp = "by_hour_seen", seen_state(each.seen), ((each.seen >> 2) - 1) * 1000 + (each.seen & 3)
        ttl = ttl_seconds(each.retention_ms)
        hour, day, shard = each.slot_ms // HOUR_MS, each.slot_ms // DAY_MS, shard_of(each.run)
        row = (each.namespace, hour, shard, each.slot_ms, each.run, each.event, state, stamp, ttl)
        self._hours.setdefault((each.namespace, hour, shard), []).append((name, row))
        index = (each.namespace, each.schedule_id, day, each.slot_ms, each.run, stamp, ttl)
        self._schedules.setdefault(index[:3], []).append(("by_schedule", index))
        self._add_span((each.namespace, "hour", ""), hour, shard, stamp, ttl)
        self._add_span((each.namespace, "schedule", each.schedule_id), day, 0, stamp, ttl)

    def _add_dead_letter(self, letter: DeadLetterRecord) -> None:
        day, shard = letter.finished_ms // DAY_MS, shard_of(letter.run)
        stamp, ttl = letter.finished_ms * 1000, ttl_seconds(letter.retention_ms)
        row = (letter.namespace, day, shard, letter.finished_ms, letter.run, encode_record(letter), stamp, ttl)
        self.records.append(("dead_letter", row))
        self._add_span((letter.namespace, "dead", ""), day, shard, stamp, ttl)

    def _add_span(self, name: tuple[str, str, str], span: int, shard: int, stamp: int, ttl: int) -> None:
        """A span outlives all that lies in it: said again each quarter of its time, and kept for one and a half."""
        keep_days = 1 << (-(-ttl // 86_400) - 1).bit_length()  # powers of two, so that few rows say the same
        key = (*name, span, shard, keep_days, stamp // (keep_days * 86_400 * 250_000))
        if key in self._known or key in self.said:
            return
        self.said.add(key)
        row = (*key[:6], stamp, keep_days * 86_400 * 3 // 2)
        self._spans.setdefault(name, []).append(("span", row))


def _cut(rows: list[Statement], most: int) -> Iterator[list[Statement]]:
    for start in range(0, len(rows), most):
        yield rows[start : start + most]
