"""What the command line makes of its words: durations, rules, headers, flags before the verb, profiles, tables, calls shown."""

from __future__ import annotations

import json
import shlex
import time
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from squirrel.cli import exit_code
from squirrel.cli.app import build_app
from squirrel.cli.listen import described
from squirrel.cli.listing import Filter, rule_of
from squirrel.cli.planning import spike
from squirrel.cli.printing import cell, table
from squirrel.cli.profiles import Profile, Profiles, chosen, profiles_file, read_profiles, write_profiles
from squirrel.cli.reach import flags_last
from squirrel.cli.schedule import Calling, Policies, Timing, interval_of, seconds_of
from squirrel.client import Conflict, Invalid, NotFound, Unauthorised, Unreachable
from squirrel.model.errors import SettingsError
from squirrel.model.signing import parse_secrets, signatures
from squirrel.wire.documents import TargetPolicy, parse_schedule


@pytest.mark.parametrize(
    ("text", "seconds"), [("10s", 10), ("1h30m", 5400), ("250ms", 0.25), ("2d", 172_800), ("7", 7), ("1.5h", 5400)]
)
def test_durations(text: str, seconds: float) -> None:
    assert seconds_of("--in", text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "5 m", "-5s", "1y", "1.2.3"])
def test_no_durations(text: str) -> None:
    with pytest.raises(SettingsError, match=r"--in .* write 10s"):
        seconds_of("--in", text)


@pytest.mark.parametrize(
    ("text", "interval", "value"),
    [("5m", "minute", 5), ("day", "day", 1), ("2 weeks", "week", 2), ("3mo", "month", 3), ("1y", "year", 1)],
)
def test_intervals(text: str, interval: str, value: int) -> None:
    assert interval_of(text) == {"interval": interval, "value": value}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"in_": "10s"}, {"in_seconds": 10}),
        ({"cron": "@daily", "timezone": "UTC", "max_runs": 3}, {"cron": "@daily", "timezone": "UTC", "max_runs": 3}),
        ({"rrule": "FREQ=DAILY"}, {"rrule": "RRULE:FREQ=DAILY"}),
        ({"after": ("a", "b:failure", "c:x"), "delay": "2d"}, {
            "after": [
                {"schedule": "a", "on": "success"}, {"schedule": "b", "on": "failure"}, {"schedule": "c:x", "on": "success"},
            ],
            "delay_seconds": 172_800,
        }),
        ({"on_event": "a.*"}, {"on_event": {"event": "a.*"}}),
        ({"on_event": "a.*:failure"}, {"on_event": {"event": "a.*", "on": "failure"}}),
        ({"after": ("a", "b"), "join": "any"}, {
            "after": [{"schedule": "a", "on": "success"}, {"schedule": "b", "on": "success"}], "join": "any",
        }),
        (
            {
                "cron": "@daily", "start": "2027-01-01T00:00:00Z", "end": "2028-01-01T00:00:00Z", "exclude": ("office",),
                "if_excluded": "next_business_day", "dst_gap": "skip", "spread": "5m",
            },
            {
                "cron": "@daily", "start": "2027-01-01T00:00:00Z", "end": "2028-01-01T00:00:00Z", "exclude": ["office"],
                "if_excluded": "next_business_day", "dst": {"gap": "skip"}, "spread_seconds": 300,
            },
        ),
    ],
)  # fmt: skip
def test_rules(said: dict[str, Any], expected: dict[str, Any]) -> None:
    assert Timing(**said).document() == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"guarantee": "at_most_once"}, {"guarantee": "at_most_once"}),
        ({"keep_response": True}, {"keep_response": True}),
        ({"flow": "mail", "rate": 10.0, "parallelism": 4}, {"flow": {"key": "mail", "rate_per_second": 10, "parallelism": 4}}),
        (
            {"retry": 5, "retry_deadline": "1d", "retry_on": ("5xx", "network"), "retry_if": "body.state == 'pending'"},
            {"retry": {"max_retries": 5, "deadline_seconds": 86_400, "on": ["5xx", "network"], "if": "body.state == 'pending'"}},
        ),
    ],
)  # fmt: skip
def test_policies(said: dict[str, Any], expected: dict[str, Any]) -> None:
    assert Policies(**said).document() == expected


def test_a_condition_and_a_promise() -> None:
    when = Timing(after=("a",), if_="parent.status == `200`").document()
    assert when == {"after": [{"schedule": "a", "on": "success"}], "if": "parent.status == `200`"}
    target = Calling(url="https://h.example/", completion="async", completion_timeout="2h").document()["target"]
    assert (target["completion"], target["completion_timeout_seconds"]) == ("async", 7200)


def test_the_flags_of_a_schedule_make_a_document_that_the_door_takes(capsys: pytest.CaptureFixture[str]) -> None:
    words = (
        "schedule follow.up --after a --if 'parent.status == `200`' --url https://h.example/ --completion async "
        "--completion-timeout 2h --flow mail --rate 10 --parallelism 4 --retry 5 --retry-deadline 1d --retry-on 5xx "
        "--retry-on network --guarantee at_least_once --keep-response"
    )
    _, bound, _ = build_app().parse_args(shlex.split(words), exit_on_error=False)
    said = bound.arguments
    body = {
        "event": "follow.up",
        "when": said["when"].document(),
        **said["call"].document(),
        **said["policies"].document(),
    }
    made = parse_schedule(
        json.dumps(body).encode(),
        now_ms=0,
        new_id=lambda: "a1",
        routes=lambda _: True,
        policy=TargetPolicy(),
        namespace="default",
    )
    assert made.spec.when.after[0].schedule == "a"
    assert made.spec.flow is not None


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (Timing().document, "none was given"),
        (Timing(at="x", cron="y").document, "at and cron were given"),
        (Calling(url="u", topic="t").document, "not both"),
        (Calling(key="k").document, "need --url or --topic"),
        (Calling(url="u", header=("nothing",)).document, "Name: value"),
        (Calling(url="u", message="{").document, "--message is not JSON"),
    ],
)
def test_contradictions(make: Any, why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        make()


def test_targets_and_policies() -> None:
    made = Calling(url="u", header=("A: b: c",), timeout="30s", message='"hi"').document()
    assert made == {
        "message": "hi",
        "target": {"type": "http", "url": "u", "headers": {"A": "b: c"}, "timeout_seconds": 30},
    }
    assert Calling(topic="t", key="k").document() == {"target": {"type": "kafka", "topic": "t", "key": "k"}}
    assert Calling().document() == {}
    assert Policies(retry=0, retry_wait="2s", tag=("a",), id="x").document() == {
        "id": "x", "tags": ["a"], "retry": {"max_retries": 0, "initial_seconds": 2},
    }  # fmt: skip


def test_flags_may_stand_before_the_verb() -> None:
    assert flags_last(["--server", "u", "-o", "json", "list", "--tag", "t"]) == [
        "list",
        "--tag",
        "t",
        "--server",
        "u",
        "-o",
        "json",
    ]
    assert flags_last(["--server=u", "get", "--", "-x"]) == ["get", "--server=u", "--", "-x"]
    assert flags_last([]) == []


def test_the_seeds_words_for_states() -> None:
    assert Filter(enabled=False).query()["state"] == "paused"
    assert Filter(status="archived").query()["state"] == "finished,cancelled,failed"
    assert Filter().query()["state"] is None


@pytest.mark.parametrize(
    ("when", "text"),
    [
        ({"cron": "0 * * * *"}, "0 * * * *"),
        ({"every": {"interval": "day", "value": 2}}, "every 2 day"),
        ({"in_seconds": 5}, "once"),
        ({"after": [{"schedule": "a"}]}, "after a"),
        ({"on_event": {"event": "x"}}, "on x"),
        ({"rrule": "DTSTART:1\nRRULE:F"}, "RRULE:F"),
    ],
)
def test_rules_in_short(when: dict[str, Any], text: str) -> None:
    assert rule_of(when) == text


def test_tables_are_aligned_whole_and_harmless() -> None:
    shown = table([{"id": "a", "n": None}, {"id": "long-id", "n": {"a": 1}}])
    assert shown.splitlines() == ["ID       N", "a        -", 'long-id  {"a": 1}']
    assert cell("\x1b[31mred\nline") == " [31mred line"


def test_profiles(tmp_path: Path) -> None:
    environment = {"XDG_CONFIG_HOME": str(tmp_path)}
    file = profiles_file(environment)
    assert read_profiles(file) == Profiles("", {})
    named = {"home": Profile("http://h", 'quo"te', "n"), "a.b": Profile()}
    write_profiles(file, Profiles("home", named))
    assert read_profiles(file) == Profiles("home", named)
    assert file.stat().st_mode & 0o077 == 0
    assert chosen({}, environment) == named["home"]
    assert chosen({"server": "http://f"}, {**environment, "SQUIRREL_NAMESPACE": "e"}) == Profile(
        "http://f", 'quo"te', "e"
    )
    assert chosen({"profile": "a.b"}, environment) == Profile()
    assert chosen({}, {**environment, "SCHEDULER_API_URL": "http://s"}).server == "http://s"
    both = {**environment, "SCHEDULER_API_URL": "http://s", "SQUIRREL_SERVER": "http://q"}
    assert chosen({}, both).server == "http://q"
    file.write_text("[x]\nserver = 1\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"\[x\]"):
        read_profiles(file)
    file.write_text("[x", encoding="utf-8")
    with pytest.raises(SettingsError, match="cannot be read"):
        read_profiles(file)


def test_calls_are_shown_with_their_signature() -> None:
    secret = "whsec_" + b64encode(b"s" * 32).decode()
    headers = {
        "Webhook-Id": "run_1", "webhook-timestamp": "1800000000", "squirrel-event": "e",
        "squirrel-scheduled-for": "2027-01-15T08:00:00.000Z",
        "webhook-signature": signatures(parse_secrets([secret]), "run_1", 1_800_000_000, b"{}"),
    }  # fmt: skip
    call = described(headers, b"{}", (secret,), 1_800_000_000_003)
    assert (call["signature"], call["late_ms"], call["message"]) == ("verified", 3, {})
    assert "not made with" in described(headers, b"[]", (secret,), 1_800_000_000_003)["signature"]
    assert described(headers, b"{}", (), 0)["signature"] == "unchecked"
    assert described({}, b"no json", (), 0) | {"run": "r"} == {
        "run": "r", "schedule_id": "", "event": "", "attempt": 0, "scheduled_for": "", "late_ms": None, "signature": "none",
        "message": "no json",
    }  # fmt: skip


def test_exit_codes_tell_failures_apart() -> None:
    errors = [
        SettingsError("x"),
        Invalid(422, {}),
        NotFound(404, {}),
        Conflict(409, {}),
        Unreachable("x"),
        Unauthorised(401, {}),
    ]
    assert [exit_code(each) for each in errors] == [2, 2, 3, 4, 5, 1]


def test_every_verb_of_the_seed_and_of_ours_is_there() -> None:
    seed = (
        "create list show update enable disable delete trigger history retry metrics status next-runs dashboard validate "
        "presets health"
    )
    ours = (
        "schedule get runs replay routes dead-letters stats pause resume cancel preview upcoming calendars templates apply "
        "export import"
    )
    names = set(build_app())
    assert {*seed.split(), *ours.split(), "listen", "profiles", "completion", "topics", "dev"} <= names


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_the_verbs(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    build_app()(["completion", shell], result_action="return_value")
    assert "dead-letters" in capsys.readouterr().out


def test_the_tree_is_built_fast() -> None:
    began = time.process_time()
    build_app()
    assert time.process_time() - began < 0.5


def test_the_busiest_bucket_has_the_longest_bar() -> None:
    assert [len(spike(count, 1000)) for count in (1, 500, 1000)] == [1, 10, 20]
