"""What is shown follows from the set of records, never from their order."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from squirrel.model.limits import RETENTION_MS_DEFAULT
from squirrel.stores.cassandra_rows import decode_completion, encode_record
from squirrel.stores.history import AttemptRecord, CompletionRecord, HistoryBatch, Run
from squirrel.stores.run_view import final_order, fold, last_duration_ms, seen_order, seen_state, target_host, view

INSTANTS = st.integers(0, 5)
ATTEMPTS = st.builds(
    AttemptRecord,
    namespace=st.just("n"),
    schedule_id=st.just("s"),
    run=st.just("r"),
    number=st.integers(1, 4),
    event=st.just("e"),
    slot_ms=st.just(3),
    due_ms=INSTANTS,
    emitted_ms=INSTANTS,
    picked_up_ms=INSTANTS,
    started_ms=INSTANTS,
    finished_ms=INSTANTS,
    state=st.sampled_from(["succeeded", "failed", "sent"]),
)
COMPLETIONS = st.builds(
    CompletionRecord,
    namespace=st.just("n"),
    schedule_id=st.just("s"),
    run=st.just("r"),
    event=st.just("e"),
    slot_ms=st.just(3),
    due_ms=INSTANTS,
    state=st.sampled_from(["succeeded", "failed", "cancelled", "skipped", "missed", "sent"]),
    attempts_count=st.integers(0, 4),
    finished_ms=INSTANTS,
)


def by_number(attempt: AttemptRecord) -> int:
    return attempt.number


def shown(attempts: list[AttemptRecord], completions: list[CompletionRecord]) -> Run:
    folded = fold(HistoryBatch(tuple(attempts), tuple(completions)))
    return view(next(iter(folded.values())), attempts)


@given(st.data())
def test_order_changes_nothing(data: st.DataObject) -> None:
    attempts = data.draw(st.lists(ATTEMPTS, max_size=4, unique_by=by_number))
    completions = data.draw(st.lists(COMPLETIONS, min_size=0 if attempts else 1, max_size=3, unique_by=final_order))
    first = shown(attempts, completions)
    again = shown(data.draw(st.permutations(attempts)), data.draw(st.permutations(completions)))
    assert first.attempts == again.attempts
    same = ("id", "state", "due_ms", "finished_ms", "attempts_count", "reason")
    assert [getattr(first.record, name) for name in same] == [getattr(again.record, name) for name in same]


@given(st.lists(ATTEMPTS, min_size=1, max_size=4, unique_by=by_number), st.lists(COMPLETIONS, min_size=1, max_size=3))
def test_an_outcome_beats_every_attempt_and_the_latest_outcome_wins(
    attempts: list[AttemptRecord], completions: list[CompletionRecord]
) -> None:
    run = shown(attempts, completions)
    assert run.record.finished_ms == max(each.finished_ms for each in completions)
    assert run.record.state in {each.state for each in completions}
    assert run.record.due_ms == min(each.due_ms for each in (*attempts, *completions))


@given(ATTEMPTS, ATTEMPTS)
def test_seen_is_ordered_by_time_and_carries_its_state(one: AttemptRecord, other: AttemptRecord) -> None:
    if one.finished_ms < other.finished_ms:
        assert seen_order(one) < seen_order(other)
    assert seen_state(seen_order(one)) == {"failed": "retry_wait"}.get(one.state, one.state)
    assert seen_order(one) > 0


def test_expiry_counts_from_the_last_record_and_zero_is_the_default() -> None:
    base = {"namespace": "n", "schedule_id": "s", "run": "r", "event": "e", "slot_ms": 0, "due_ms": 0}
    done = CompletionRecord(**base, state="failed", attempts_count=1, finished_ms=50)
    early = CompletionRecord(**base, state="failed", attempts_count=1, finished_ms=10, retention_ms=5)
    (folded,) = fold(HistoryBatch(completions=(early,))).values()
    assert folded.expires_ms == 15
    (folded,) = fold(HistoryBatch(completions=(early, done, early))).values()
    assert folded.expires_ms == 50 + RETENTION_MS_DEFAULT


def test_where_a_target_is() -> None:
    assert target_host(b'{"type":"http","url":"https://a.example:8443/x?y"}') == "a.example:8443"
    assert target_host(b'{"type":"kafka","topic":"orders"}') == "orders"
    assert target_host(b'{"type":"plugin"}') == ""
    assert target_host(b"no json") == ""
    assert target_host(b'{"url":7}') == ""
    assert target_host(b'{"url":"http://[::1"}') == ""


def test_the_duration_is_that_of_the_last_attempt() -> None:
    first, second = (AttemptRecord("n", "s", "r", n, "e", 0, 0, 0, 0, n * 100, n * 100 + n, "failed") for n in (1, 2))
    assert last_duration_ms(shown([second, first], [])) == 2
    done = CompletionRecord("n", "s", "r", "e", 0, 0, "missed", 0, 1)
    assert last_duration_ms(shown([], [done])) is None


def test_an_earlier_release_reads_the_cells_of_ordinary_runs() -> None:
    fields = ("n", "s", "r", "e", 1, 2, "failed", 3, 4, "why", 503, None, ("t",), 1000)
    done = CompletionRecord(*fields)
    assert encode_record(done) == msgspec.msgpack.encode(fields)
    assert decode_completion(encode_record(done)) == done
    named = CompletionRecord(*fields, "ada")
    assert decode_completion(encode_record(named)) == named
