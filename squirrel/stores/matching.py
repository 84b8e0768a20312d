"""Whether a run or a dead letter is one of those asked for: pure rules that both stores share, so that they cannot differ."""

from __future__ import annotations

from squirrel.stores.history import DeadLetterRecord, LetterFilter, Run, RunFilter
from squirrel.stores.run_view import seen_order


def event_matches(wanted: str | None, event: str) -> bool:
    """Exact, or with `*` at the end a beginning; None is any."""
    if wanted is None:
        return True
    return event.startswith(wanted[:-1]) if wanted.endswith("*") else event == wanted


def row_matches(where: RunFilter, state: str, event: str) -> bool:
    """What a row of an index can tell."""
    return where.state in (None, state) and event_matches(where.event, event)


def run_matches(where: RunFilter, run: Run) -> bool:
    """All of the filter, on the whole run."""
    record = run.record
    if not row_matches(where, record.state, record.event) or where.schedule not in (None, record.schedule_id):
        return False
    if not (where.from_ms or 0) <= record.slot_ms or (where.to_ms is not None and record.slot_ms >= where.to_ms):
        return False
    if where.tag is not None and where.tag not in record.tags:
        return False
    if where.host is not None and not _host_matches(where.host, record.target_host):
        return False
    if where.status is not None and not (
        record.status is not None and where.status[0] <= record.status <= where.status[1]
    ):
        return False
    return where.q is None or _holds(run, where.q.casefold())


def letter_matches(where: LetterFilter, letter: DeadLetterRecord) -> bool:
    """All of the filter but its times, which the walk has seen to."""
    if where.state not in (None, letter.state) or not event_matches(where.event, letter.event):
        return False
    if where.schedule not in (None, letter.schedule_id):
        return False
    if where.q is None:
        return True
    texts = (letter.run, letter.schedule_id, letter.event, letter.reason, _text(letter.last), _text(letter.target))
    wanted = where.q.casefold()
    return any(wanted in text.casefold() for text in texts)


def _host_matches(wanted: str, host: str) -> bool:
    wanted, host = wanted.casefold(), host.casefold()
    return host == wanted or host.rpartition(":")[0] == wanted


def _holds(run: Run, wanted: str) -> bool:
    record = run.record
    if any(
        wanted in text.casefold() for text in (record.id, record.schedule_id, record.event, record.reason, *record.tags)
    ):
        return True
    newest = max(run.attempts, key=seen_order, default=None)
    if newest is None:
        return False
    texts = (newest.error_type, newest.error_detail, _text(newest.target), newest.body)
    return any(wanted in text.casefold() for text in texts)


def _text(json: bytes) -> str:
    return json.decode("utf-8", "replace")
