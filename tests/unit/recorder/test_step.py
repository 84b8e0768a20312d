"""Records to nouns; whatever is no record of ours is set aside with its place, and its neighbours go through."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from squirrel.model.limits import INSTANT_MS_MAX
from squirrel.recorder.step import Kind, attempt_of, batch_of, completion_of, dead_letter_of, read
from squirrel.stores.history import HistoryBatch, LetterMark
from squirrel.wire.public import decode_refused
from tests.unit.recorder.records import SLOT_MS, completion, dead_letter, records, result


def test_a_result_becomes_an_attempt_with_its_five_times() -> None:
    attempt = attempt_of(result("s", 2, stage=1, replay_of="run_old", body_truncated=True))
    times = (attempt.due_ms, attempt.emitted_ms, attempt.picked_up_ms, attempt.started_ms, attempt.finished_ms)
    assert [each - SLOT_MS for each in times] == [1000, 900, 902, 1001, 1007]
    assert (attempt.namespace, attempt.schedule_id, attempt.number, attempt.stage) == ("default", "s", 2, 1)
    assert (attempt.state, attempt.status, attempt.body, attempt.body_truncated) == ("failed", 503, "no 🐿️", True)
    assert msgspec.json.decode(attempt.headers) == {"x": "ü"}
    assert msgspec.json.decode(attempt.target)["url"] == "https://a.example/x"
    assert (attempt.error_type, attempt.error_detail) == ("status", "answered 503")
    assert (attempt.replay_of, attempt.retention_ms) == ("run_old", 1000)


def test_instants_are_read_from_the_text_where_the_number_is_missing() -> None:
    attempt = attempt_of(
        result("s", slot_ms=0, due_ms=0, started_ms=0, finished_ms=0, emitted="2027-01-15T09:00:00+01:00")
    )
    assert (attempt.slot_ms, attempt.due_ms, attempt.finished_ms) == (SLOT_MS, SLOT_MS, SLOT_MS + 7)
    assert attempt.emitted_ms == SLOT_MS
    assert attempt_of(result("s", picked_up="")).picked_up_ms == 0


def test_a_completion_and_a_dead_letter() -> None:
    assert completion_of(completion("s", triggered_by="ada")).triggered_by == "ada"
    done = completion_of(completion("s", replay_of="run_old"))
    assert (done.state, done.attempts_count, done.finished_ms) == ("failed", 1, SLOT_MS + 7)
    assert (done.reason, done.tags, done.replay_of) == ("status: answered 503", ("a",), "run_old")
    letter = dead_letter_of(dead_letter("s", message=msgspec.Raw(b'{"n": [1, null]}')))
    assert (letter.message, letter.attempts_count, letter.due_ms) == (b'{"n": [1, null]}', 1, SLOT_MS)


POISON: list[tuple[Kind, bytes | None, str]] = [
    ("results", None, ""),
    ("results", b"", ""),
    ("results", b"\xff\xfe", ""),
    ("results", b"[" * 100_000, ""),
    ("results", b'{"run":' + b"[" * 5000 + b"]" * 5000 + b"}", ""),
    ("results", completion("s"), ""),
    ("results", result("s").replace(b"no ", b"\\ud800"), ""),
    ("results", result("s", 0), "attempt"),
    ("results", result("s", 2**31), "attempt"),
    ("results", result("s", status=-1), "status"),
    ("results", result("s", status=10**30), "status"),
    ("results", result("s", due_ms=INSTANT_MS_MAX + 1), "due"),
    ("results", result("s", finished_ms=-5), "finished"),
    ("results", result("s", emitted="2027-01-15T09:00:00"), "emitted"),
    ("results", result("s", emitted="2027-13-15T09:00:00.000Z"), "emitted"),
    ("results", result("s", emitted="2027-01-15T09:00:00.-12Z"), "emitted"),
    ("results", result("s", picked_up="x" * 24), "picked_up"),
    ("results", result("s", state="won"), "state"),
    ("results", result("s", retention_ms=-1), "retention_ms"),
    ("results", result(""), "schedule_id"),
    ("results", result("s", run="r" * 2000), "run"),
    ("results", result("s", namespace=""), "namespace"),
    ("results", result("s", event="e" * 1_000_000), "event"),
    ("completions", result("s"), ""),
    ("completions", completion("s", state="in_flight"), "state"),
    ("completions", completion("s", attempts=-1), "attempts"),
    ("completions", completion("s", finished="soon"), "finished"),
    ("dead-letters", b"null", ""),
    ("dead-letters", dead_letter("s", due="then"), "due"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "value", "field"), POISON, ids=range(len(POISON)))
def test_poison_is_set_aside_and_its_neighbours_go_through(kind: Kind, value: bytes | None, field: str) -> None:
    good = {"results": result("g"), "completions": completion("g"), "dead-letters": dead_letter("g")}[kind]
    items, poison = read(records("t", good, value, good, partition=3, first=40), kind)
    assert [item.received.offset for item in items] == [40, 42]
    assert [(each.topic, each.partition, each.offset, each.value) for each in poison] == [("t", 3, 41, value)]
    assert poison[0].field == field
    refused = decode_refused(poison[0].refused())
    assert refused.received == {"topic": "t", "partition": 3, "offset": 41}
    assert refused.field == field
    assert refused.detail


@given(
    st.lists(st.one_of(st.none(), st.binary(max_size=200), st.just(result("s")))),
    st.sampled_from(["results", "completions"]),
)
def test_every_record_is_an_item_or_a_poison(values: list[bytes | None], kind: Kind) -> None:
    items, poison = read(records("t", *values), kind)
    assert sorted([item.received.offset for item in items] + [each.offset for each in poison]) == list(
        range(len(values))
    )


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
    )
)
def test_any_json_in_any_field_is_an_item_or_a_poison(junk: object) -> None:
    for field in ("run", "attempt", "status", "headers", "target", "emitted", "error", "due_ms", "body"):
        document = {**msgspec.json.decode(result("s")), field: junk}
        items, poison = read(records("t", msgspec.json.encode(document)), "results")
        assert len(items) + len(poison) == 1


def test_a_batch_holds_each_noun_in_its_place() -> None:
    items = [
        *read(records("r", result("a"), result("b")), "results")[0],
        *read(records("c", completion("a")), "completions")[0],
        *read(records("d", dead_letter("a")), "dead-letters")[0],
    ]
    batch = batch_of(items)
    assert [len(each) for each in (batch.attempts, batch.completions, batch.dead_letters)] == [2, 1, 1]
    assert len(batch) == 4
    assert batch_of([]) == HistoryBatch()


def test_what_was_made_of_a_dead_letter() -> None:
    said = {
        "mark": "discarded",
        "run": "run_1",
        "schedule_id": "s",
        "namespace": "n",
        "at": "",
        "at_ms": 7,
        "reason": "old",
    }
    (item,), poison = read(records("d", msgspec.json.encode(said)), "dead-letters")
    assert not poison
    assert item.noun == LetterMark("n", "run_1", "discarded", 7, "old")
    assert batch_of([item]).marks == (item.noun,)
    _, (refused,) = read(records("d", msgspec.json.encode(said | {"mark": "burnt"})), "dead-letters")
    assert refused.field == "mark"
