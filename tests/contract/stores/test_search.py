"""Finding runs and dead letters by what is in them, and what people made of the letters; against each history store."""

from __future__ import annotations

import json
import sqlite3
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from squirrel.stores import cassandra, sqlite
from squirrel.stores.history import History, LetterFilter, RunFilter
from squirrel.stores.open import open_history
from squirrel.stores.sqlite_thread import SCHEMA_VERSION
from tests.contract.stores.records import (
    SLOT_MS,
    attempt,
    batch,
    completion,
    dead_letter,
    mark,
    own_namespace,
    run_of,
)

HOUR_MS = 3_600_000
NAMES = ("paid", "refused", "lost", "new")


async def found(history: History, limit: int = 2, **where: Any) -> list[str]:
    """The schedules of the runs that match, by all pages."""
    names: list[str] = []
    cursor = None
    while True:
        page = await history.runs(own_namespace(), RunFilter(**where), limit, cursor)
        assert len(page.items) <= limit
        names += [run.record.schedule_id for run in page.items]
        cursor = page.next_cursor
        if cursor is None:
            return names


@pytest.fixture
async def filled(history: History) -> History:
    """Four runs, an hour apart: newest last."""
    hosts = ("pay.example.com:8443", "pay.example.com", "mail.example.org", "mail.example.org")
    statuses = (200, 503, None, 404)
    for at, name in enumerate(NAMES):
        slot = SLOT_MS + at * HOUR_MS
        state = "succeeded" if name == "paid" else "failed"
        target = json.dumps({"type": "http", "url": f"https://{hosts[at]}/{name}"}).encode()
        event = f"order.{name}" if at < 2 else f"email.{name}"
        one = attempt(
            name, slot, state=state, target=target, status=statuses[at], event=event, body=f"Answer of {name.title()}",
            error_type="" if state == "succeeded" else "dns", error_detail="No Such Host" if name == "lost" else "",
        )  # fmt: skip
        done = completion(
            name, slot, state=state, tags=("money", name) if at < 2 else (), event=event, status=statuses[at],
            reason="gave up" if name == "new" else "",
        )  # fmt: skip
        await history.write(batch(one, done))
    return history


@pytest.mark.parametrize(
    ("where", "names"),
    [
        ({}, ["new", "lost", "refused", "paid"]),
        ({"event": "order.*"}, ["refused", "paid"]),
        ({"event": "order.paid"}, ["paid"]),
        ({"event": "order"}, []),
        ({"tag": "money"}, ["refused", "paid"]),
        ({"tag": "mon"}, []),
        ({"host": "pay.example.com"}, ["refused", "paid"]),
        ({"host": "PAY.example.com:8443"}, ["paid"]),
        ({"host": "example.com"}, []),
        ({"status": (400, 599)}, ["new", "refused"]),
        ({"status": (503, 503)}, ["refused"]),
        ({"q": "no such host"}, ["lost"]),
        ({"q": "answer of re"}, ["refused"]),
        ({"q": "GAVE"}, ["new"]),
        ({"q": "mail.example.org/new"}, ["new"]),
        ({"schedule": "lost"}, ["lost"]),
        ({"schedule": "lost", "state": "succeeded"}, []),
        ({"schedule": "paid", "to_ms": SLOT_MS}, []),
        ({"state": "failed", "tag": "money"}, ["refused"]),
        ({"state": "failed", "from_ms": SLOT_MS + 2 * HOUR_MS, "q": "example"}, ["new", "lost"]),
        ({"event": "email.*", "state": "failed", "host": "mail.example.org", "to_ms": SLOT_MS + 3 * HOUR_MS}, ["lost"]),
    ],
)
async def test_runs_are_found_by_what_is_in_them(filled: History, where: dict[str, Any], names: list[str]) -> None:
    assert await found(filled, **where) == names
    counts = await filled.counts(own_namespace(), RunFilter(**where))
    assert (sum(counts.by_state.values()), counts.complete) == (len(names), True)


async def test_a_search_inside_runs_is_bounded_and_goes_on(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    for store in (sqlite, cassandra):
        monkeypatch.setattr(store, "SCAN_LOADED_RUNS_MAX", 5)
    monkeypatch.setattr(cassandra, "RUNS_LOADED_AT_ONCE", 3)
    slots = [SLOT_MS + n * HOUR_MS // 7 for n in range(33)]
    await history.write(
        batch(*(completion("s", slot, reason="rare" if n % 11 == 0 else "") for n, slot in enumerate(slots)))
    )
    page = await history.runs(own_namespace(), RunFilter(q="rare"))
    assert page.next_cursor is not None
    assert len(await found(history, q="rare")) == 3


async def test_what_is_made_of_a_dead_letter_stays_with_it(history: History, reader: History) -> None:
    for at, name in enumerate(("a", "b", "c")):
        slot = SLOT_MS + at * HOUR_MS
        await history.write(batch(completion(name, slot, state="failed"), dead_letter(name, slot)))
    discarded = mark("a")
    replayed = mark("b", SLOT_MS + HOUR_MS, state="replayed", replayed_as="run_new")
    await history.write(batch(discarded, replayed))
    await history.write(
        batch(mark("a", marked_ms=5, state="open"), dead_letter("a"))
    )  # an older word, a repeated letter
    ns = own_namespace()
    shown = (await reader.dead_letters(ns)).items
    assert [(each.schedule_id, each.state) for each in shown] == [("c", "open"), ("b", "replayed"), ("a", "discarded")]
    assert shown[2].mark == discarded
    for state, names in (("open", ["c"]), ("discarded", ["a"]), ("replayed", ["b"])):
        page = await reader.dead_letters(ns, LetterFilter(state=state), 1)
        assert [each.schedule_id for each in page.items] == names
    letter = await reader.dead_letter(ns, run_of("b", SLOT_MS + HOUR_MS))
    assert letter is not None
    assert letter.mark == replayed
    assert await reader.dead_letter(ns, run_of("d", SLOT_MS)) is None
    await history.write(batch(mark("a", marked_ms=discarded.marked_ms + 1, state="open", reason="a mistake")))
    assert [each.schedule_id for each in (await reader.dead_letters(ns, LetterFilter(state="open"))).items] == [
        "c",
        "a",
    ]


async def test_dead_letters_are_found_by_what_is_in_them(history: History) -> None:
    ns = own_namespace()
    for at, name in enumerate(("a", "b", "c")):
        letter = dead_letter(name, SLOT_MS + at * HOUR_MS, event=f"mail.{name}", reason=f"Reason {name}")
        await history.write(batch(letter))

    async def names(**where: Any) -> list[str]:
        return [each.schedule_id for each in (await history.dead_letters(ns, LetterFilter(**where))).items]

    assert await names(event="mail.*") == ["c", "b", "a"]
    assert await names(event="mail.b") == ["b"]
    assert await names(schedule="c") == ["c"]
    assert await names(q="reason B") == ["b"]
    assert await names(from_ms=SLOT_MS + HOUR_MS) == ["c", "b"]
    assert await names(to_ms=SLOT_MS + HOUR_MS) == ["a"]


async def test_a_file_of_the_first_version_is_taken_further(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    text = files("squirrel.stores").joinpath("schema/history.sql").read_text(encoding="utf-8")
    connection = sqlite3.connect(path)
    connection.executescript(text)
    assert connection.execute("SELECT max(version) FROM schema_version").fetchone() == (1,)
    connection.execute("INSERT INTO namespaces (ns, name) VALUES (1, ?)", (own_namespace(),))
    old = (1, "run_old", "old", "mail", SLOT_MS, SLOT_MS, 0, 1, "succeeded", 1, SLOT_MS, "", 200, 10**6)
    connection.execute(
        "INSERT INTO runs (ns, run, schedule, event, slot_ms, due_ms, seen, final, state, attempts, finished_ms, reason, status, "
        f"expires_hour) VALUES ({', '.join('?' * len(old))})",
        old,
    )
    connection.commit()
    connection.close()
    for _ in range(2):
        store = open_history(f"sqlite:{path}")
        await store.start()
        run = await store.run(own_namespace(), "run_old")
        assert run is not None
        assert (run.record.state, run.record.status, run.record.triggered_by) == ("succeeded", 200, "")
        await store.write(batch(completion("s", state="failed"), dead_letter("s"), mark("s")))
        letters = (await store.dead_letters(own_namespace())).items
        assert [each.state for each in letters] == ["discarded"]
        await store.close()
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT max(version) FROM schema_version").fetchone() == (SCHEMA_VERSION,)
    connection.close()
