"""The SQL of the SQLite history, and records to rows and back."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from squirrel.stores.history import AttemptRecord, CompletionRecord, DeadLetterRecord, LetterMark
from squirrel.stores.run_view import ODD_STATES, RunFold

HOUR_MS: Final = 3_600_000
_OUR_RUN_ID: Final = re.compile(r"run_[0-9a-f]{32}", re.ASCII)

WRITE_RUN: Final = """
INSERT INTO runs (ns, run, schedule, event, slot_ms, due_ms, seen, final, state, odd, attempts, finished_ms, reason, status,
  replay_of, tags, expires_hour, triggered_by)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (ns, run) DO UPDATE SET
  due_ms = min(due_ms, excluded.due_ms), seen = max(seen, excluded.seen), final = max(final, excluded.final),
  state = CASE WHEN excluded.final > final THEN excluded.state ELSE state END,
  odd = CASE WHEN excluded.final > final THEN excluded.odd ELSE odd END,
  attempts = CASE WHEN excluded.final > final THEN excluded.attempts ELSE attempts END,
  finished_ms = CASE WHEN excluded.final > final THEN excluded.finished_ms ELSE finished_ms END,
  reason = CASE WHEN excluded.final > final THEN excluded.reason ELSE reason END,
  status = CASE WHEN excluded.final > final THEN excluded.status ELSE status END,
  tags = CASE WHEN excluded.final > final THEN excluded.tags ELSE tags END,
  triggered_by = CASE WHEN excluded.final > final THEN excluded.triggered_by ELSE triggered_by END,
  replay_of = coalesce(replay_of, excluded.replay_of), expires_hour = max(expires_hour, excluded.expires_hour)
"""
WRITE_ATTEMPT: Final = """
INSERT INTO attempts SELECT key, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM runs WHERE ns = ? AND run = ?
ON CONFLICT (key, number) DO UPDATE SET
  due_ms = excluded.due_ms, emitted_ms = excluded.emitted_ms, picked_up_ms = excluded.picked_up_ms,
  started_ms = excluded.started_ms, finished_ms = excluded.finished_ms, state = excluded.state, target = excluded.target,
  status = excluded.status, headers = excluded.headers, body = excluded.body, body_truncated = excluded.body_truncated,
  error_type = excluded.error_type, error_detail = excluded.error_detail, stage = excluded.stage
WHERE excluded.finished_ms > finished_ms
"""
WRITE_DEAD_LETTER: Final = """
INSERT INTO dead_letters (ns, finished_ms, run, record, expires_ms) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (ns, run) DO UPDATE SET
  finished_ms = excluded.finished_ms, record = excluded.record, expires_ms = excluded.expires_ms
WHERE excluded.finished_ms > finished_ms
"""
READ_RUN: Final = """
SELECT key, run, schedule, event, slot_ms, due_ms, seen, final, state, attempts, finished_ms, reason, status, replay_of, tags,
  triggered_by FROM runs WHERE ns = ? AND run = ?
"""
READ_RUN_BY_KEY: Final = READ_RUN.replace("ns = ? AND run = ?", "key = ?")
READ_ATTEMPTS: Final = """
SELECT number, due_ms, emitted_ms, picked_up_ms, started_ms, finished_ms, state, target, status, headers, body,
  body_truncated, error_type, error_detail, stage
FROM attempts WHERE key = ? ORDER BY number DESC LIMIT ?
"""
SCAN: Final = """
SELECT key, slot_ms, run, coalesce(state, seen), event FROM runs
WHERE ns = ? AND (slot_ms, run) < (?, ?) AND slot_ms >= ? ORDER BY slot_ms DESC, run DESC
"""
SCAN_SCHEDULE: Final = SCAN.replace("WHERE ns = ?", "WHERE ns = ? AND schedule = ?")
SUMMARY_SLICE: Final = """
SELECT slot_ms, run, coalesce(state, seen),
  (SELECT finished_ms - started_ms FROM attempts WHERE attempts.key = runs.key ORDER BY number DESC LIMIT 1)
FROM runs WHERE ns = ? AND schedule = ? AND (slot_ms, run) < (?, ?) ORDER BY slot_ms DESC, run DESC LIMIT ?
"""
SCAN_ODD: Final = SCAN.replace("WHERE ns = ?", "WHERE ns = ? AND odd = ?")
READ_DEAD_LETTERS: Final = """
SELECT finished_ms, run, record, (SELECT mark FROM letter_marks WHERE letter_marks.ns = dead_letters.ns
  AND letter_marks.run = dead_letters.run) FROM dead_letters
WHERE ns = ? AND (finished_ms, run) < (?, ?) AND finished_ms >= ? ORDER BY finished_ms DESC, run DESC
"""
READ_DEAD_LETTER: Final = (
    READ_DEAD_LETTERS.partition("WHERE ns = ?")[0].rstrip() + " WHERE dead_letters.ns = ? AND dead_letters.run = ?"
)
WRITE_MARK: Final = """
INSERT INTO letter_marks (ns, run, marked_ms, mark, expires_ms) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (ns, run) DO UPDATE SET marked_ms = excluded.marked_ms, mark = excluded.mark, expires_ms = excluded.expires_ms
WHERE excluded.marked_ms >= marked_ms
"""
EXPIRED_RUNS: Final = "SELECT key FROM runs WHERE expires_hour <= ? LIMIT ?"
EXPIRED_DEAD_LETTERS: Final = (
    "DELETE FROM dead_letters WHERE rowid IN (SELECT rowid FROM dead_letters WHERE expires_ms <= ? LIMIT ?)"
)

EXPIRED_MARKS: Final = "DELETE FROM letter_marks WHERE expires_ms <= ?"

_decode_tags = msgspec.json.Decoder(tuple[str, ...]).decode
encode_dead_letter = encode_mark = msgspec.msgpack.Encoder().encode
decode_mark = msgspec.msgpack.Decoder(LetterMark).decode
_decode_letter = msgspec.msgpack.Decoder(DeadLetterRecord).decode


def decode_dead_letter(record: bytes, mark: bytes | None) -> DeadLetterRecord:
    """A letter with what was made of it."""
    letter: DeadLetterRecord = _decode_letter(record)
    return letter if mark is None else msgspec.structs.replace(letter, mark=decode_mark(mark))


def stored_run(run: str) -> bytes | str:
    """Our own ids are 16 bytes in hex behind a prefix; any other stays text."""
    return bytes.fromhex(run[4:]) if _OUR_RUN_ID.fullmatch(run) else run


def shown_run(stored: bytes | str) -> str:
    """The other way."""
    return "run_" + stored.hex() if isinstance(stored, bytes) else stored


def run_row(fold: RunFold, ns: int) -> tuple[Any, ...]:
    """The parameters of WRITE_RUN."""
    done = fold.completion
    # Rounded up, so that nothing leaves before its time; by the hour, so that the index grows at its end.
    expires_hour = -(-fold.expires_ms // HOUR_MS)
    head = (ns, stored_run(fold.run), fold.schedule_id, fold.event, fold.slot_ms, fold.due_ms, fold.seen, fold.final)
    if done is None:
        return (*head, None, None, None, None, None, None, fold.replay_of, None, expires_hour, None)
    odd = done.state if done.state in ODD_STATES else None
    tags = msgspec.json.encode(done.tags) if done.tags else None
    outcome = (done.state, odd, done.attempts_count, done.finished_ms, done.reason, done.status)
    return (*head, *outcome, fold.replay_of, tags, expires_hour, done.triggered_by or None)


def attempt_row(attempt: AttemptRecord, ns: int) -> tuple[Any, ...]:
    """The parameters of WRITE_ATTEMPT."""
    return (
        attempt.number,
        attempt.due_ms,
        attempt.emitted_ms,
        attempt.picked_up_ms,
        attempt.started_ms,
        attempt.finished_ms,
        attempt.state,
        attempt.target,
        attempt.status,
        attempt.headers,
        attempt.body,
        attempt.body_truncated,
        attempt.error_type,
        attempt.error_detail,
        attempt.stage,
        ns,
        stored_run(attempt.run),
    )


def fold_from(row: tuple[Any, ...], namespace: str) -> RunFold:
    """A row of READ_RUN -> what is known of the run."""
    (
        _,
        run,
        schedule,
        event,
        slot_ms,
        due_ms,
        seen,
        final,
        state,
        attempts,
        finished_ms,
        reason,
        status,
        replay_of,
        tags,
        triggered_by,
    ) = row
    fold = RunFold(namespace, schedule, shown_run(run), event, slot_ms, due_ms, 0, 0, replay_of, seen, final)
    if final:
        fold.completion = CompletionRecord(
            namespace,
            schedule,
            fold.run,
            event,
            slot_ms,
            due_ms,
            state,
            attempts,
            finished_ms,
            reason,
            status,
            replay_of,
            triggered_by=triggered_by or "",
        )
        if tags is not None:
            fold.completion = msgspec.structs.replace(fold.completion, tags=_decode_tags(tags))
    return fold


def attempt_from(row: tuple[Any, ...], fold: RunFold) -> AttemptRecord:
    """A row of READ_ATTEMPTS -> the attempt."""
    number, due_ms, emitted_ms, picked_up_ms, started_ms, finished_ms, state, target, status, headers = row[:10]
    return AttemptRecord(
        fold.namespace,
        fold.schedule_id,
        fold.run,
        number,
        fold.event,
        fold.slot_ms,
        due_ms,
        emitted_ms,
        picked_up_ms,
        started_ms,
        finished_ms,
        state,
        target,
        status,
        headers,
        body=row[10],
        body_truncated=bool(row[11]),
        error_type=row[12],
        error_detail=row[13],
        stage=row[14],
        replay_of=fold.replay_of,
    )
