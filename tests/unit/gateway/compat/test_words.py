"""The small translations: pure, value in, value out."""

from __future__ import annotations

from typing import Any

import pytest

from squirrel.gateway.compat.jobs import clean_payload
from squirrel.gateway.compat.process_usage import go_duration, memory_text
from squirrel.gateway.compat.redis import _is_of_type
from squirrel.gateway.compat.shared import is_rrule_body
from squirrel.gateway.compat.table import seed_of
from squirrel.gateway.compat.workflow import local_writer
from squirrel.gateway.compat.workflow_runs import health_score, success_rate
from squirrel.gateway.compat.workflow_view import execution_document, execution_id, run_of
from squirrel.model.ids import run_id
from squirrel.model.instants import format_instant
from squirrel.wire.documents import read_document


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0B"),
        (1023, "1023B"),
        (1024, "1.00KB"),
        (4_299_161, "4.10MB"),
        (3 * 1024**3, "3.00GB"),
        (2**50, "1024.00TB"),
    ],
)
def test_memory(size: int, text: str) -> None:
    assert memory_text(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (3.5, "3.5s"), (60, "1m0s"), (3723.5, "1h2m3.5s"), (0.0011, "0.001s")]
)
def test_durations(seconds: float, text: str) -> None:
    assert go_duration(seconds) == text


@pytest.mark.parametrize(
    ("payload", "cleaned"),
    [
        (b'{"a": 1.50, "big": 123456789012345678901}', b'{"a": 1.50, "big": 123456789012345678901}'),
        (b'{"__proto__":{"x":1},"b":[{"constructor":{},"c":[{"prototype":1}]}]}', b'{"b":[{"c":[{}]}]}'),
        (b'{"\\u005f_proto__":{"x":1},"b":2}', b'{"b":2}'),
        (b'{"said":"__proto__"}', b'{"said":"__proto__"}'),
    ],
)
def test_prototype_keys_leave_payloads(payload: bytes, cleaned: bytes) -> None:
    assert clean_payload(payload) == cleaned


@pytest.mark.parametrize(
    ("key", "pattern", "found"),
    [
        ("rsch-ref:a:00", None, True),
        ("rsch-ref:a:00", "a", True),
        ("rsch-ref:ab:00", "a?", True),
        ("rsch-ref:ab:00", "a", False),
        ("rsch-ref:a:b:00", "a:*", True),
    ],
)
def test_types(key: str, pattern: str | None, found: bool) -> None:
    assert _is_of_type(key, pattern) is found


@pytest.mark.parametrize(
    ("body", "is_rrule"),
    [
        (b'{"rrule":""}', True),
        (b'{"callback_url":"x"}', True),
        (b'{"rrule":"","cron_expression":""}', False),
        (b'{"name":"x"}', False),
        (b"{}", False),
    ],
)
def test_bodies_tell_the_two_apart(body: bytes, is_rrule: bool) -> None:
    assert is_rrule_body(read_document(body, 1000)) is is_rrule


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/schedule", "redis"), ("/schedule/x", "redis"), ("/stats", "redis"), ("/jobs/x", "jobs"), ("/dlq", "jobs"),
        ("/api/schedules", "workflow"), ("/api/v1/schedules", None), ("/docs", None), ("/scheduled", None),
        ("/schedules/x", "redis"), ("/jobsite", None), ("/", None), ("/dlq/x/y", "jobs"), ("*", None), ("", None),
    ],
)  # fmt: skip
def test_whose_path_it_is(path: str, name: str | None) -> None:
    seed = seed_of(path)
    assert (None if seed is None else seed.name) == name


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        ("UTC", "2027-01-15T08:00:00Z"),
        ("America/New_York", "2027-01-15T03:00:00-05:00"),
        ("Asia/Kolkata", "2027-01-15T13:30:00+05:30"),
    ],
)
def test_local_times(zone: str, text: str) -> None:
    assert local_writer(zone)(1_800_000_000_000) == text


def test_health() -> None:
    assert success_rate(0, 0) is None
    assert success_rate(18, 2) == 90.0
    assert health_score(None, 3) == 100
    assert health_score(90.0, 0) == 90
    assert health_score(90.0, 2) == 70
    assert health_score(10.0, 2) == 0


def test_execution_ids_are_uuids_and_come_back() -> None:
    run = run_id("default", "x", 5)
    assert run_of(execution_id(run)) == run
    assert run_of(run) == run
    assert run_of("anything") == "anything"


SLOT_MS = 1_800_000_000_000


def run_document(**changes: Any) -> dict[str, Any]:
    slot = format_instant(SLOT_MS)
    attempt = {
        "number": 1, "due": slot, "emitted": slot, "started": slot, "finished": format_instant(SLOT_MS + 1500),
        "state": "succeeded", "status": 200, "body": "ok",
    }  # fmt: skip
    return {
        "id": run_id("default", "s", SLOT_MS), "schedule_id": "s", "namespace": "default", "slot": slot,
        "state": "succeeded", "attempts": [attempt], "finished": attempt["finished"], **changes,
    }  # fmt: skip


def failed(kind: str, detail: str, status: int | None) -> dict[str, Any]:
    attempt = run_document()["attempts"][0]
    error = {"type": kind, "detail": detail}
    return run_document(state="failed", attempts=[{**attempt, "state": "failed", "status": status, "error": error}])


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (run_document(), {"status": "success", "duration_ms": 1500, "triggered_by": "scheduler", "is_catch_up": False}),
        (run_document(id="run_" + "0" * 32), {"is_manual_trigger": True, "triggered_by": "manual"}),
        (
            run_document(id="run_" + "0" * 32, triggered_by="ada"),
            {"is_manual_trigger": True, "triggered_by": "ada", "is_catch_up": False},
        ),
        (
            run_document(replay_of="run_x", id="run_" + "0" * 32),
            {"is_manual_trigger": False, "triggered_by": "retry_handler"},
        ),
        (failed("status", "the target answered 503", 503), {"status": "failed", "error_message": "HTTP error: 503"}),
        (failed("timeout", "no answer in 30 s", None), {"status": "timeout", "error_message": "no answer in 30 s"}),
        (run_document(state="missed", attempts=[]), {"status": "skipped", "attempt_count": 0}),
        (run_document(state="retry_wait"), {"status": "pending", "attempt_count": 1}),
    ],
)
def test_executions(run: dict[str, Any], expected: dict[str, Any]) -> None:
    document = execution_document(run)
    assert {name: document[name] for name in expected} == expected


def test_a_run_long_after_its_slot_was_caught_up() -> None:
    attempt = {**run_document()["attempts"][0], "emitted": format_instant(SLOT_MS + 60_000)}
    document = execution_document(run_document(attempts=[attempt]))
    assert (document["is_catch_up"], document["triggered_by"]) == (True, "catch_up_handler")
