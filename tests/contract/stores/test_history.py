"""What every history store must do; run against each of them."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from squirrel.model.errors import Refused
from squirrel.model.limits import INSTANT_MS_MAX, MIB
from squirrel.stores import cassandra, sqlite
from squirrel.stores.history import History, HistoryBatch, Run, RunFilter
from tests.contract.stores.records import (
    DAY_MS,
    SLOT_MS,
    attempt,
    batch,
    completion,
    dead_letter,
    own_namespace,
    run_of,
)

_names = (f"s{n}" for n in itertools.count())
HOUR_MS = 3_600_000


async def all_runs(
    history: History, where: RunFilter | None = None, limit: int = 7, namespace: str | None = None
) -> list[Run]:
    found: list[Run] = []
    cursor = None
    while True:
        page = await history.runs(namespace or own_namespace(), where, limit, cursor)
        assert len(page.items) <= limit
        found.extend(page.items)
        cursor = page.next_cursor
        if cursor is None:
            return found


async def test_an_empty_store_answers(history: History) -> None:
    assert await history.healthy()
    assert await history.run(own_namespace(), run_of("s", 1)) is None
    assert (await history.runs_of(own_namespace(), "s")).items == ()
    assert (await history.runs(own_namespace())).items == ()
    assert (await history.dead_letters(own_namespace())).items == ()
    assert (await history.counts(own_namespace())).by_state == {}
    assert (await history.summary(own_namespace(), "s")).succeeded == 0
    await history.write(HistoryBatch())


async def test_a_run_with_its_attempts_is_read_back_whole_by_another_process(history: History, reader: History) -> None:
    first = attempt("order-7", number=1, state="failed", replay_of="run_old", stage=0)
    second = attempt("order-7", number=2, stage=1, body_truncated=True, status=201, replay_of="run_old")
    done = completion("order-7", attempts=2, tags=("a", "b"), reason="why", replay_of="run_old", triggered_by="ada 🐿")
    await history.write(batch(first, second, done))
    for store in (history, reader):
        run = await store.run(own_namespace(), run_of("order-7", SLOT_MS))
        assert run is not None
        assert run.attempts == (first, second)
        record = run.record
        assert (record.id, record.schedule_id, record.namespace) == (first.run, "order-7", own_namespace())
        assert (record.slot_ms, record.due_ms, record.finished_ms) == (SLOT_MS, SLOT_MS, SLOT_MS + 1005)
        assert (record.state, record.attempts_count, record.reason, record.status) == ("succeeded", 2, "why", 201)
        assert (record.tags, record.replay_of, record.event) == (("a", "b"), "run_old", "mail.send")
        assert record.target_host == "hooks.example.com:8443"
        assert record.triggered_by == "ada 🐿"
        assert (await store.runs_of(own_namespace(), "order-7")).items == (run,)
        assert (await store.runs(own_namespace())).items == (run,)


async def test_what_was_written_is_visible_at_once(history: History, reader: History) -> None:
    for number in range(1, 20):
        await history.write(batch(attempt("s", number=number, state="failed")))
        run = await reader.run(own_namespace(), run_of("s", SLOT_MS))
        assert run is not None
        assert [each.number for each in run.attempts] == list(range(1, number + 1))


@pytest.mark.parametrize(
    ("records", "state", "finished"),
    [
        (lambda: [attempt("s", state="failed")], "retry_wait", None),
        (lambda: [attempt("s", state="failed"), attempt("s", number=2)], "succeeded", SLOT_MS + 1005),
        (lambda: [attempt("s", state="sent")], "sent", SLOT_MS + 5),
        (lambda: [completion("s", state="missed", attempts=0)], "missed", SLOT_MS + 5),
        (lambda: [attempt("s"), completion("s", state="cancelled")], "cancelled", SLOT_MS + 5),
        (lambda: [attempt("s", state="failed"), completion("s", state="failed")], "failed", SLOT_MS + 5),
    ],
)
async def test_state_of_a_run(history: History, records: Callable[[], list], state: str, finished: int | None) -> None:
    await history.write(batch(*records()))
    run = await history.run(own_namespace(), run_of("s", SLOT_MS))
    assert run is not None
    assert (run.record.state, run.record.finished_ms) == (state, finished)
    assert [each.record.id for each in await all_runs(history, RunFilter(state=state))] == [run.record.id]
    for other in {"retry_wait", "succeeded", "failed", "cancelled", "missed", "skipped", "sent"} - {state}:
        assert await all_runs(history, RunFilter(state=other)) == []
    assert (await history.counts(own_namespace())).by_state == {state: 1}


async def test_a_final_state_never_goes_back(history: History) -> None:
    await history.write(batch(completion("s", state="cancelled", finished_ms=SLOT_MS + 1)))
    await history.write(batch(attempt("s", finished_ms=SLOT_MS + DAY_MS)))
    await history.write(batch(attempt("s", number=2, state="failed", finished_ms=SLOT_MS + 2 * DAY_MS)))
    run = await history.run(own_namespace(), run_of("s", SLOT_MS))
    assert run is not None
    assert run.record.state == "cancelled"
    assert len(await all_runs(history, RunFilter(state="cancelled"))) == 1
    assert await all_runs(history, RunFilter(state="succeeded")) == []


async def test_a_late_record_of_an_early_attempt_changes_no_state(history: History) -> None:
    await history.write(batch(attempt("s", number=2)))
    await history.write(batch(attempt("s", number=1, state="failed")))
    assert len(await all_runs(history, RunFilter(state="succeeded"))) == 1
    assert await all_runs(history, RunFilter(state="retry_wait")) == []


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], print_blob=True)
@given(data=st.data())
async def test_any_order_repeat_and_split_gives_one_history(history: History, ns: str, data: st.DataObject) -> None:
    name = next(_names)
    records = [
        attempt(name, number=1, state="failed"),
        attempt(name, number=1, state="failed", finished_ms=SLOT_MS + 7, body="called twice after a crash"),
        attempt(name, number=2, state="failed"),
        attempt(name, number=3),
        completion(name, attempts=3, tags=("t",), triggered_by="ada"),
        completion(name, attempts=3, tags=("t",), finished_ms=SLOT_MS + 2004, state="failed"),
        dead_letter(name, namespace=ns + name),
    ]
    shuffled = data.draw(st.permutations(records + data.draw(st.lists(st.sampled_from(records), max_size=5))))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(shuffled)), max_size=4)))
    for start, end in itertools.pairwise([0, *cuts, len(shuffled)]):
        await history.write(batch(*shuffled[start:end]))
    run = await history.run(own_namespace(), run_of(name, SLOT_MS))
    assert run is not None
    assert run.attempts == (records[1], records[2], records[3])
    assert (run.record.state, run.record.attempts_count, run.record.tags) == ("succeeded", 3, ("t",))
    assert run.record.triggered_by == "ada"
    assert (run.record.due_ms, run.record.finished_ms) == (SLOT_MS, SLOT_MS + 2005)
    assert (await history.runs_of(own_namespace(), name)).items == (run,)
    assert (await history.dead_letters(ns + name)).items == (records[-1],)


@pytest.mark.parametrize("seed", [7, random.randrange(2**32)])  # it stands in the test's name
async def test_pages_are_complete_and_without_repeats_while_others_write(history: History, seed: int) -> None:
    chance = random.Random(seed)
    slots = [SLOT_MS + chance.randrange(3 * HOUR_MS) // 7 for _ in range(120)]
    there = [(f"s{n % 5}", slot) for n, slot in enumerate(slots)]
    await history.write(batch(*(completion(name, slot) for name, slot in there)))
    expected = {run_of(name, slot) for name, slot in there}
    seen: list[tuple[int, str]] = []
    cursor = None
    for turn in itertools.count():
        page = await history.runs(own_namespace(), None, 11, cursor)
        seen += [(run.record.slot_ms, run.record.id) for run in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
        late = [completion(f"late{turn}", chance.choice(slots)), completion(f"new{turn}", SLOT_MS + DAY_MS + turn)]
        await history.write(batch(*late, *(attempt(*chance.choice(there)) for _ in range(5))))
    assert len(seen) == len(set(seen))
    assert expected <= {run for _, run in seen}
    assert [slot for slot, _ in seen] == sorted((slot for slot, _ in seen), reverse=True)


async def test_many_runs_of_one_millisecond_are_paged(history: History) -> None:
    await history.write(batch(*(completion(f"s{n}") for n in range(50))))
    runs = await all_runs(history, limit=8)
    assert sorted(run.record.id for run in runs) == sorted(run_of(f"s{n}", SLOT_MS) for n in range(50))


async def test_pages_of_a_schedule(history: History) -> None:
    slots = [SLOT_MS - n * 7 * HOUR_MS for n in range(23)]
    await history.write(batch(*(attempt("s", slot) for slot in slots), attempt("other")))
    got: list[int] = []
    cursor = None
    while True:
        page = await history.runs_of(own_namespace(), "s", 5, cursor)
        got += [run.record.slot_ms for run in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert got == slots


async def test_filters(history: History, ns: str) -> None:
    slots = [SLOT_MS + n * HOUR_MS for n in range(-2, 3)]
    for slot in slots:
        failed = completion("odd", slot, state="failed", event="odd.one")
        await history.write(batch(completion("a", slot), failed, completion("a", slot, namespace=ns + "-b")))
    assert [r.record.slot_ms for r in await all_runs(history, RunFilter(from_ms=slots[1], to_ms=slots[3]))] == [
        slots[2], slots[2], slots[1], slots[1],
    ]  # fmt: skip
    odd = RunFilter(state="failed", event="odd.one", from_ms=slots[3])
    assert [r.record.slot_ms for r in await all_runs(history, odd, limit=1)] == [slots[4], slots[3]]
    assert len(await all_runs(history, RunFilter(event="odd.one"), limit=2)) == 5
    assert await all_runs(history, RunFilter(event="odd.one", state="succeeded")) == []
    assert len(await all_runs(history, namespace=ns + "-b")) == 5
    counts = await history.counts(own_namespace(), RunFilter(from_ms=slots[1]))
    assert (counts.by_state, counts.complete) == ({"succeeded": 4, "failed": 4}, True)


async def test_a_rare_thing_is_found_although_each_walk_is_bounded(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    for store in (sqlite, cassandra):
        monkeypatch.setattr(store, "SCAN_RUNS_MAX", 10)
    monkeypatch.setattr(cassandra, "SCAN_ROWS", 2)  # so that shards are merged from several reads each
    slots = [SLOT_MS + n * HOUR_MS // 40 for n in range(45)]
    rare = slots[3::20]
    await history.write(batch(*(completion("s", slot, event="rare" if slot in rare else "usual") for slot in slots)))
    assert [run.record.slot_ms for run in await all_runs(history, RunFilter(event="rare"))] == rare[::-1]
    page = await history.runs(own_namespace(), RunFilter(event="rare"))
    assert page.next_cursor is not None
    assert len(page.items) < len(rare)
    counts = await history.counts(own_namespace())
    assert (counts.by_state, counts.complete) == ({"succeeded": 10}, False)


async def test_namespaces_never_see_each_other(history: History, ns: str) -> None:
    mine, other = attempt("s"), attempt("s", namespace=ns + "-b")
    same_run = attempt("s", namespace=ns + "-c", run=mine.run, body="not yours")
    await history.write(batch(mine, other, same_run, dead_letter("s", namespace=ns + "-b")))
    assert [each.attempts for each in (await history.runs_of(own_namespace(), "s")).items] == [(mine,)]
    assert [each.attempts for each in (await history.runs(ns + "-c")).items] == [(same_run,)]
    assert await history.run(ns + "-b", mine.run) is None
    assert (await history.dead_letters(own_namespace())).items == ()


async def test_dead_letters_are_paged_latest_first(history: History) -> None:
    letters = [dead_letter(f"s{n}", SLOT_MS + n * 9 * HOUR_MS) for n in range(12)]
    await history.write(batch(*letters))
    await history.write(batch(*letters[3:6]))
    got = []
    cursor = None
    while True:
        page = await history.dead_letters(own_namespace(), None, 5, cursor)
        got += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
    assert got == letters[::-1]


ODD_TEXTS = ["", "\0", "a\0b", "🐿️ 日本", "'; DROP TABLE runs; --", "\\", '"' * 3, "\u202e", "\x7f\x1b[31m", "x" * MIB]


@pytest.mark.parametrize("text", ODD_TEXTS, ids=range(len(ODD_TEXTS)))
async def test_odd_text_comes_back_as_it_was(history: History, ns: str, text: str) -> None:
    name = next(_names)
    first = attempt(name, body=text, error_type="status", error_detail=text[:2000], event=text[:255])
    second = attempt(
        name,
        number=2,
        target=b'{"type":"plugin","a":[{"b":null}],"\\u0000":1e400}',
        headers=b"{}",
        status=None,
        event=text[:255],
    )
    done = completion(name, attempts=2, reason=text[:2000], tags=(text[:255], ""), event=text[:255])
    letter = dead_letter(name, namespace=ns + name, message=b'"\\ud83d\\u0000"', reason=text[:2000])
    await history.write(batch(first, second, done, letter))
    run = await history.run(own_namespace(), run_of(name, SLOT_MS))
    assert run is not None
    assert run.attempts[0] == first
    assert (run.attempts[1].target, run.attempts[1].status) == (second.target, None)
    assert (run.record.reason, run.record.tags, run.record.event) == (text[:2000], (text[:255], ""), text[:255])
    assert (await history.dead_letters(ns + name)).items == (letter,)


async def test_the_ends_of_time_and_foreign_run_ids(history: History) -> None:
    slots = [0, 1, INSTANT_MS_MAX - 1, INSTANT_MS_MAX]
    await history.write(batch(*(completion("s", slot, run=f"run {slot} ☃", finished_ms=5) for slot in slots)))
    got = await all_runs(history, limit=1)
    assert [run.record.slot_ms for run in got] == slots[::-1]
    assert await history.run(own_namespace(), "run 0 ☃") == got[-1]


async def test_more_attempts_than_are_shown(history: History) -> None:
    attempts = [attempt("s", number=n, state="failed", body="b" * 60_000) for n in range(1, 131)]
    await history.write(batch(*attempts))
    run = await history.run(own_namespace(), run_of("s", SLOT_MS))
    assert run is not None
    assert [each.number for each in run.attempts] == list(range(31, 131))
    assert (run.record.attempts_count, run.record.due_ms) == (130, SLOT_MS)
    assert run.attempts[-1].body == "b" * 60_000
    assert (run.attempts[0].body, run.attempts[0].body_truncated) == ("", True)


async def test_a_page_of_large_bodies_ends_early_and_goes_on(history: History) -> None:
    for n in range(0, 12, 4):
        await history.write(batch(*(attempt("s", SLOT_MS + k, body="b" * MIB) for k in range(n, n + 4))))
    first = await history.runs_of(own_namespace(), "s", 100)
    assert 1 <= len(first.items) < 12
    assert first.next_cursor is not None
    rest = await history.runs_of(own_namespace(), "s", 100, first.next_cursor)
    assert [run.record.slot_ms for run in (*first.items, *rest.items)] == [SLOT_MS + n for n in range(11, -1, -1)]


@pytest.mark.parametrize(
    "cursor", ["", "x", "AAAA", "W10", "Wy0xLCIiXQ", "WzEsMl0", "é", "A" * 100_000, "WyIxIiwgMV0="]
)
async def test_a_bad_cursor_is_refused_by_name(history: History, cursor: str) -> None:
    for call in (history.runs(own_namespace(), None, 5, cursor), history.runs_of(own_namespace(), "s", 5, cursor)):
        with pytest.raises(Refused) as refused:
            await call
        assert refused.value.problems[0].field == "cursor"


async def test_summary_of_a_schedule(history: History) -> None:
    records = [attempt("s", SLOT_MS + n, started_ms=SLOT_MS, finished_ms=SLOT_MS + n) for n in range(1, 101)]
    await history.write(batch(*records, completion("s", SLOT_MS + 500, state="failed", attempts=0)))
    summary = await history.summary(own_namespace(), "s")
    assert (summary.succeeded, summary.failed, summary.other) == (100, 1, 0)
    assert (summary.duration_ms_min, summary.duration_ms_avg, summary.duration_ms_max) == (1, 50.5, 100)
    assert (summary.duration_ms_p95, summary.duration_ms_p99) == (95, 99)
    assert (summary.percentile_error, summary.complete, summary.oldest_slot_ms) == (0.0, True, SLOT_MS + 1)


async def test_a_summary_takes_in_more_than_one_slice_and_says_where_it_stopped(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    for store in (sqlite, cassandra):
        monkeypatch.setattr(store, "SUMMARY_RUNS_MAX", 2_000)
    monkeypatch.setattr(sqlite, "SUMMARY_SLICE_RUNS", 40)
    runs = [
        attempt("s", SLOT_MS + n, number, started_ms=SLOT_MS, finished_ms=SLOT_MS + n + number)
        for n, number in itertools.product(range(130), (1, 2))
    ]
    await history.write(batch(*runs))
    whole = await history.summary(own_namespace(), "s")
    assert (whole.succeeded, whole.complete, whole.oldest_slot_ms) == (130, True, SLOT_MS)
    assert (whole.duration_ms_min, whole.duration_ms_max) == (2, 131), "of the last attempts"
    for store in (sqlite, cassandra):
        monkeypatch.setattr(store, "SUMMARY_RUNS_MAX", 60)
    part = await history.summary(own_namespace(), "s")
    assert not part.complete
    assert part.oldest_slot_ms == SLOT_MS + 130 - part.succeeded
