"""What is coming, days off, templates, revisions and changes to many, by the command line."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.system.cli.conftest import Squirrel

TEMPLATE = """
schedule:
  event: "email.send.{{kind}}"
  when: {at: "{{at}}"}
  message: {to: "{{email}}"}
  target: {type: http, url: URL}
parameters: [{name: kind, default: reminder}, {name: at}, {name: email}]
"""


def test_upcoming_counts_what_comes(squirrel: Squirrel, target: str) -> None:
    squirrel("schedule", "x", "--every", "10m", "--url", target, "--id", "soon", "--namespace", "coming")
    found = json.loads(squirrel("upcoming", "--bucket", "hour", "--namespace", "coming", "-o", "json").stdout)
    assert 140 <= found["total"] <= 145
    said = squirrel("upcoming", "--namespace", "coming").stdout
    assert "soon" in said
    assert f"{found['total']} runs until" in said or "runs until" in said


def test_calendars_strike_days_out(squirrel: Squirrel, target: str) -> None:
    squirrel("calendars", "put", "closed", "--date", "2027-12-24", "--date", "2027-12-27")
    assert "closed" in squirrel("calendars", "list").stdout
    assert json.loads(squirrel("calendars", "show", "closed").stdout)["dates"] == ["2027-12-24", "2027-12-27"]
    squirrel("calendars", "delete", "closed")
    squirrel("calendars", "show", "closed", code=3)
    assert "say --date" in squirrel("calendars", "put", "empty", code=2).stderr


def test_templates_make_schedules(squirrel: Squirrel, target: str) -> None:
    squirrel("templates", "put", "mail", "-f", "-", stdin=TEMPLATE.replace("URL", target))
    parameters = ("-p", "at=2037-02-01T10:00:00Z", "-p", "email=ada@example.com")
    squirrel("templates", "use", "mail", "--id", "made", *parameters)
    made = json.loads(squirrel("get", "made").stdout)
    assert (made["event"], made["message"]) == ("email.send.reminder", {"to": "ada@example.com"})
    squirrel("templates", "delete", "mail")
    squirrel("templates", "use", "mail", *parameters, code=2)


def test_former_revisions_come_back(squirrel: Squirrel, target: str) -> None:
    squirrel("create", "--name", "first", "--cron", "0 9 * * *", "--url", target, "-o", "json")
    schedule_id = json.loads(squirrel("list", "--q", "first", "-o", "json").stdout)[0]["id"]
    squirrel("update", schedule_id, "--name", "second")
    assert len(json.loads(squirrel("revisions", schedule_id, "-o", "json").stdout)) == 2
    differs = {"field": "name", "before": "first", "after": "second"}
    assert json.loads(squirrel("diff", schedule_id, "1", "2", "-o", "json").stdout) == [differs]
    squirrel("rollback", schedule_id, "1")
    assert json.loads(squirrel("get", schedule_id).stdout)["name"] == "first"


def test_many_are_changed_at_once(squirrel: Squirrel, target: str, tmp_path: Path) -> None:
    file = tmp_path / "many.ndjson"
    one = {
        "event": "bulk",
        "tags": ["b"],
        "when": {"at": "2037-02-01T10:00:00Z"},
        "target": {"type": "http", "url": target},
    }
    file.write_text("".join(json.dumps({**one, "id": f"bulk-{n}"}) + "\n" for n in range(20)), encoding="utf-8")
    squirrel("import", "-f", str(file))
    assert squirrel("bulk", "pause", "--tag", "b", "--dry-run").stdout.startswith("20 matched")
    assert "20 done" in squirrel("bulk", "pause", "--tag", "b").stdout
    assert json.loads(squirrel("get", "bulk-7").stdout)["state"] == "paused"
    assert "20 done" in squirrel("shift", "--by", "1h", "--tag", "b").stdout
    assert json.loads(squirrel("get", "bulk-7").stdout)["when"]["at"] == "2037-02-01T11:00:00.000Z"
    assert "20 done" in squirrel("bulk", "cancel", "--tag", "b").stdout


def test_what_is_owed_is_said_before_it_runs(squirrel: Squirrel, target: str) -> None:
    squirrel("schedule", "x", "--every", "1h", "--url", target, "--id", "owing")
    squirrel("pause", "owing")
    assert "0 owed, 0 would run, by missed: run_last" in squirrel("preview-resume", "owing").stdout
    squirrel("preview-resume", "nobody", code=3)


def test_what_happens_is_watched(squirrel: Squirrel, target: str) -> None:
    with ThreadPoolExecutor(1) as pool:
        watched = pool.submit(squirrel, "watch", "--event", "watched.*", "--count", "1", "-o", "json")
        while not watched.done():  # it sees what comes after its connection
            squirrel("schedule", "watched.one", "--in", "0s", "--url", target, "-o", "json")
        record = json.loads(watched.result().stdout)
    assert (record["kind"], record["event"], record["state"]) == ("completion", "watched.one", "succeeded")
