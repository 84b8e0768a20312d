"""The command line against a running product: the Workflow seed's verbs and lines, our own, and what goes wrong."""

from __future__ import annotations

import json
from pathlib import Path

from tests.dev_instance import DevInstance
from tests.eventually import eventually
from tests.system.cli.conftest import SECRET, Squirrel, started


def ended(squirrel: Squirrel, schedule_id: str) -> dict[str, object] | None:
    """The newest run of a schedule, once it is over and in the history."""
    runs = json.loads(squirrel("runs", schedule_id, "-o", "json").stdout)
    return runs[0] if runs and "finished" in runs[0] and runs[0]["attempts"] else None


def lines(text: str) -> list[str]:
    return text.splitlines()


async def test_the_workflow_seeds_verbs_and_lines(squirrel: Squirrel, target: str) -> None:
    made = squirrel(
        "create", "--name", "Hourly Backup", "--cron", "0 * * * *", "--url", target, "--tag", "backup", "--tag", "critical",
        "--max-retries", "0", "--timezone", "America/New_York", "--payload", '{"a b": 1}',
    )  # fmt: skip
    said = lines(made.stdout)
    assert said[:2] == ["Creating schedule: Hourly Backup", "✓ Schedule created successfully"]
    schedule_id = said[2].removeprefix("Schedule ID: ")
    assert said[3].startswith("Next run: 20")

    listed = lines(squirrel("list", "--enabled", "--tag", "critical").stdout)
    assert listed[0] == "Fetching schedules..."
    assert listed[1].split()[:5] == ["ID", "NAME", "CRON", "ENABLED", "STATUS"]
    assert [line.split()[0] for line in listed[2:]] == [schedule_id]

    progress, _, document = squirrel("show", schedule_id).stdout.partition("\n")
    assert progress == "Fetching schedule details..."
    assert json.loads(document)["target_payload"] == {"a b": 1}

    assert (
        lines(squirrel("update", schedule_id, "--cron", "0 */2 * * *").stdout)[1] == "✓ Schedule updated successfully"
    )
    shown = json.loads(squirrel("show", schedule_id, "-o", "json").stdout)
    assert (shown["cron_expression"], shown["name"], shown["max_retries"]) == ("0 */2 * * *", "Hourly Backup", 0)

    assert lines(squirrel("disable", schedule_id).stdout)[1] == "✓ Schedule disabled"
    assert "Enabled: false" in squirrel("status", schedule_id).stdout
    assert schedule_id in squirrel("list", "--disabled").stdout
    assert lines(squirrel("enable", schedule_id).stdout)[1] == "✓ Schedule enabled"
    assert len(lines(squirrel("next-runs", schedule_id, "--count", "7").stdout)) == 8

    triggered = lines(squirrel("trigger", schedule_id).stdout)
    assert triggered[1] == "✓ Schedule triggered"
    await eventually(lambda: ended(squirrel, schedule_id), 30)
    execution_id = triggered[2].removeprefix("Execution ID: ")
    history = lines(squirrel("history", schedule_id, "--limit", "5").stdout)
    assert history[1].split() == ["EXECUTION_ID", "SCHEDULED", "STATUS", "DURATION"]
    assert history[2].split()[0] == execution_id
    assert history[2].split()[2] == "success"
    assert lines(squirrel("retry", execution_id).stdout)[1] == "✓ Retry initiated"
    assert json.loads(squirrel("metrics", schedule_id, "-o", "json").stdout)["success_count"] >= 1
    assert json.loads(squirrel("dashboard", "-o", "json").stdout)["total_executions"] >= 1
    assert lines(squirrel("delete", schedule_id).stdout)[1] == "✓ Schedule deleted successfully"
    assert schedule_id not in squirrel("list").stdout


def test_rules_and_health(squirrel: Squirrel) -> None:
    good = lines(squirrel("validate", "0 9 * * 1-5").stdout)
    assert good[:3] == ["Validating cron expression...", "✓ Valid cron expression", "Next runs:"]
    bad = lines(squirrel("validate", "61 * * * *").stdout)
    assert bad[1] == "✗ Invalid cron expression"
    assert "0 to 59" in bad[2]
    assert len(json.loads(squirrel("presets", "-o", "json").stdout)) >= 30
    assert "✓ System healthy" in squirrel("health").stdout
    assert squirrel("stats", "-o", "yaml").stdout.startswith("engine:")


async def test_listen_shows_what_arrives_and_checks_it(
    squirrel: Squirrel, environment: dict[str, str], dev: DevInstance
) -> None:
    with started(environment, "listen", "--count", "1", "--secret", SECRET, "-o", "json") as listening:
        assert listening.stdout is not None
        url = json.loads(listening.stdout.readline())["url"]
        squirrel("schedule", "hello.you", "--in", "100ms", "--url", url, "--message", '{"n": 1}', "--id", "listened")
        call = json.loads(listening.stdout.readline())
        assert listening.wait(20) == 0
    assert (call["event"], call["message"], call["signature"], call["attempt"]) == (
        "hello.you",
        {"n": 1},
        "verified",
        1,
    )
    assert call["late_ms"] >= 0
    run = await eventually(lambda: ended(squirrel, "listened"), 30)
    assert run["id"] == call["run"]
    assert json.loads(squirrel("runs", str(run["id"])).stdout)["attempts"][0]["status"] == 200
    assert "replay_of" in squirrel("replay", str(run["id"]), "--message", '{"n": 2}', "-o", "json").stdout


def test_exit_codes_and_sentences(squirrel: Squirrel, target: str) -> None:
    assert "no schedule nowhere" in squirrel("get", "nowhere", code=3).stderr
    assert "when.cron" in squirrel("schedule", "e", "--cron", "61 * * * *", "--url", target, code=2).stderr
    assert "none was given" in squirrel("schedule", "e", "--url", target, code=2).stderr
    assert (
        "--payload is not JSON"
        in squirrel("create", "--name", "n", "--cron", "@daily", "--url", target, "--payload", "{", code=2).stderr
    )
    squirrel("schedule", "e", "--in", "1h", "--url", target, "--id", "taken")
    assert "another id" in squirrel("schedule", "e", "--in", "2h", "--url", target, "--id", "taken", code=4).stderr
    unreachable = squirrel("--server", "http://127.0.0.1:1", "list", code=5)
    assert "is the server running" in unreachable.stderr
    assert "\x1b" not in unreachable.stderr + squirrel("list").stdout


def test_routes_decide_where_an_event_goes(squirrel: Squirrel, target: str) -> None:
    squirrel("routes", "put", "routed.*", "--url", target)
    assert "routed.*" in squirrel("routes", "list").stdout
    squirrel("schedule", "routed.one", "--in", "1h", "--id", "by-route")
    assert json.loads(squirrel("get", "by-route").stdout)["target"] is None
    squirrel("routes", "delete", "routed.*")
    squirrel("routes", "delete", "routed.*", code=3)


def test_pause_resume_cancel(squirrel: Squirrel, target: str) -> None:
    squirrel("schedule", "p", "--every", "2 weeks", "--url", target, "--id", "often")
    squirrel("pause", "often")
    assert json.loads(squirrel("get", "often").stdout)["state"] == "paused"
    squirrel("resume", "often")
    squirrel("cancel", "often")
    assert json.loads(squirrel("get", "often").stdout)["state"] == "cancelled"


def test_preview_says_when(squirrel: Squirrel) -> None:
    found = json.loads(
        squirrel(
            "preview", "--cron", "0 9 * * *", "--count", "3", "--from", "2027-01-01T00:00:00Z", "-o", "json"
        ).stdout
    )
    assert [run[:16] for run in found["runs"]] == ["2027-01-01T09:00", "2027-01-02T09:00", "2027-01-03T09:00"]
    assert "when.cron" in squirrel("preview", "--cron", "61 * * * *", code=2).stderr


FILE = """
set: demo
schedules:
  - id: {id}
    event: backup.nightly
    when: {{cron: "{cron}", timezone: Europe/Berlin}}
    target: {target}
  - id: once
    event: x
    when: {{at: 2037-02-01T10:00:00Z}}
    target: {target}
"""


def test_apply_plans_changes_and_prunes(squirrel: Squirrel, target: str, tmp_path: Path) -> None:
    file = tmp_path / "demo.yaml"
    squirrel("schedule", "x", "--in", "1h", "--url", target, "--id", "not-of-the-file")

    def apply(document: str, *flags: str, code: int = 0) -> list[str]:
        file.write_text(document, encoding="utf-8")
        return lines(squirrel("apply", "-f", str(file), *flags, code=code).stdout)

    first = FILE.format(id="nightly", cron="0 3 * * *", target=target)
    assert apply(first, "--dry-run")[-1] == "Nothing was changed (--dry-run)"
    squirrel("get", "nightly", code=3)
    assert apply(first)[-1] == "✓ 2 of 2 changes made"
    assert apply(first) == ["Nothing to change"]
    assert apply(first.replace("0 3", "0 4"))[:2] == ["~ schedule nightly", "    when.cron: 0 3 * * * -> 0 4 * * *"]
    squirrel("update", "nightly", "--name", "By hand")
    assert apply(first.replace("0 3", "0 5"))[-1] == "✓ 1 of 1 changes made"
    assert json.loads(squirrel("get", "nightly").stdout)["name"] == "By hand"  # what the file leaves out stays
    renamed = FILE.format(id="weekly", cron="0 3 * * 0", target=target)
    assert "- schedule nightly" in apply(renamed, "--prune", code=2)
    assert json.loads(squirrel("get", "nightly").stdout)["state"] == "active"
    assert apply(renamed, "--prune", "--yes")[-1] == "✓ 2 of 2 changes made"
    assert json.loads(squirrel("get", "nightly").stdout)["state"] == "cancelled"
    assert json.loads(squirrel("get", "not-of-the-file").stdout)["state"] == "active"


def test_export_goes_into_import(squirrel: Squirrel, target: str, tmp_path: Path) -> None:
    file = str(tmp_path / "all.ndjson")
    for number in range(3):
        squirrel("--namespace", "from", "schedule", "x", "--in", "1h", "--url", target, "--id", f"moved-{number}")
    squirrel("pause", "moved-2", "--namespace", "from")
    squirrel("export", "-f", file, "--namespace", "from")
    assert "3 schedules imported, 0 refused" in squirrel("import", "-f", file, "--namespace", "to").stdout
    assert "3 schedules imported, 0 refused" in squirrel("import", "-f", file, "--namespace", "to").stdout
    there, here = (json.loads(squirrel("get", "moved-1", "--namespace", each).stdout) for each in ("from", "to"))
    assert there["next_run"] == here["next_run"]
    assert json.loads(squirrel("get", "moved-2", "--namespace", "to").stdout)["state"] == "paused"
    refused = squirrel("import", "--namespace", "to", stdin='{"event": "x"}\n', code=1)
    assert "1 refused" in refused.stdout
    assert "when" in refused.stderr


def test_profiles_name_servers(squirrel: Squirrel, dev: DevInstance, tmp_path: Path) -> None:
    squirrel("profiles", "add", "away", "--server", "http://127.0.0.1:1", "--token", "s3cret")
    squirrel("profiles", "add", "here", "--server", dev.url, "--namespace", "mine")
    listed = squirrel("profiles").stdout
    assert dev.url in listed
    assert "s3cret" not in listed
    assert (tmp_path / "squirrel" / "profiles.toml").stat().st_mode & 0o077 == 0
    squirrel("list", "--profile", "here")  # SQUIRREL_SERVER wins over the profile's server, its namespace stays
    assert "there is no profile nobody" in squirrel("list", "--profile", "nobody", code=2).stderr
    squirrel("profiles", "remove", "away")
    squirrel("profiles", "use", "away", code=2)
