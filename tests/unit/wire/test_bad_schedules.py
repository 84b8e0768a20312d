"""Bad input, stated: each is refused under the field as it was sent, with the limit and the fix."""

from __future__ import annotations

from typing import Any

import pytest

from squirrel.model.errors import Refused
from squirrel.wire.documents import TargetPolicy
from tests.unit.wire.door import AT, only_problem, parse, plain, problems_of, timed

HTTP = {"type": "http", "url": "https://hooks.example.com/x"}


def target(**changes: Any) -> dict[str, Any]:
    return plain(target={**HTTP, **changes})


@pytest.mark.parametrize(
    ("document", "field", "says"),
    [
        (plain(event=None), "event", "missing"),
        (plain(event=7), "event", "must be a string"),
        (plain(event=""), "event", "1 to 255"),
        (plain(event="e" * 256), "event", "has 256"),
        (plain(event="a\x00b"), "event", "NUL"),
        (plain(event="a\r\nx: y"), "event", "control"),
        (plain(sendAt="2027-02-01T10:00:00"), "sendAt", "no zone"),
        (plain(sendAt="2027-02-30T10:00:00Z"), "sendAt", "not a date that exists"),
        (plain(sendAt="2027-02-01"), "sendAt", "RFC 3339"),
        (plain(sendAt="9999-12-31T23:59:59-01:00"), "sendAt", "9999-12-31"),
        (plain(sendAt="10000-01-01T00:00:00Z"), "sendAt", "RFC 3339"),
        (plain(sendAt=1801476000), "sendAt", "must be a string"),
        (plain(maxRetries=-2), "maxRetries", "-1 tries for ever"),
        (plain(maxRetries=1.5), "maxRetries", "whole number"),
        (plain(maxRetries=True), "maxRetries", "must be a number"),
        (plain(maxRetries="3"), "maxRetries", "must be a number"),
        (plain(retry={"max_retries": 10**7}), "retry.max_retries", "1000000"),
        (plain(retry={"strategy": "wild"}), "retry.strategy", "exponential, linear, fixed"),
        (plain(retry={"initialSeconds": 0}), "retry.initialSeconds", "0.001"),
        (plain(retry={"initial_seconds": 10, "max_seconds": 5}), "retry.max_seconds", "at least initial_seconds"),
        (plain(retry={"multiplier": 0.5}), "retry.multiplier", "1 to 100"),
        (plain(retry={"jitter": 2}), "retry.jitter", "0 to 1"),
        (plain(retry=3), "retry", "must be an object"),
        (plain(retry={"retries": 3}), "retry.retries", "did you mean retry.max_retries?"),
        (plain(fireAndForget="yes"), "fireAndForget", "true or false"),
        (plain(evnet="a"), "evnet", "did you mean event?"),
        (plain(state="paused"), "state", "set by the server"),
        (plain(send_at=AT), "send_at", "the same as sendAt"),
        (plain(when={"at": AT}), "when.at", "the same as sendAt"),
        (plain(tags="daily"), "tags", "list of at most 50"),
        (plain(tags=["t"] * 51), "tags", "at most 50"),
        (plain(tags=["ok", "t" * 1_000_000]), "tags[1]", "1 to 255 characters, has 1000000"),
        (plain(tags=[1]), "tags[0]", "must be a string"),
        (plain(name="n" * 256), "name", "has 256"),
        (plain(description="a\x00"), "description", "NUL"),
        (plain(metadata=[1]), "metadata", "must be an object"),
        (plain(id="has space"), "id", "letters"),
        (plain(id="paper:pause"), "id", "verb"),
        (plain(id=5), "id", "must be a string"),
        (plain(overlap="maybe"), "overlap", "skip, queue, allow"),
        (plain(missed="all"), "missed", "run_all, run_last, skip"),
        (plain(max_lateness_seconds=-1), "max_lateness_seconds", "0 to"),
        (plain(group="g" * 256), "group", "has 256"),
        (plain(retention_seconds=0), "retention_seconds", "1 to"),
        (target(type="smtp"), "target.type", "known are http, kafka"),
        (target(type=["http"]), "target.type", "a list is no known target type"),
        (target(url="http://"), "target.url", "host"),
        (target(url="https://user:pw@example.com/"), "target.url", "user name or password"),
        (target(url="ftp://example.com/"), "target.url", "http:// or https://"),
        (target(url="https://example.com/a b"), "target.url", "blank"),
        (target(url="https://example.com/\r\nx: y"), "target.url", "control"),
        (target(url="https://" + "a" * 9000), "target.url", "8192"),
        (target(url=None), "target.url", "missing"),
        (target(url="http://169.254.169.254/latest"), "target.url", "SQUIRREL_TARGETS_ALLOW_CIDRS"),
        (target(method="GET /x"), "target.method", "HTTP method"),
        (target(method="CONNECT"), "target.method", "CONNECT"),
        (target(headers={"X-A": "a\r\nX-B: b"}), "target.headers.X-A", "line end"),
        (target(headers={"X-A\n": "a"}), "target.headers.X-A\\u000a", "no header name"),
        (target(headers={"X-A": "a\x00"}), "target.headers.X-A", "NUL"),
        (target(headers={"X-A": 1}), "target.headers.X-A", "must be a string"),
        (target(headers={"x-a": "1", "X-A": "2"}), "target.headers.X-A", "twice"),
        (target(headers={"Host": "evil"}), "target.headers.Host", "set by Squirrel"),
        (target(headers={"Transfer-Encoding": "chunked"}), "target.headers.Transfer-Encoding", "set by Squirrel"),
        (target(headers={"Squirrel-Attempt": "9"}), "target.headers.Squirrel-Attempt", "set by Squirrel"),
        (target(headers={"X-A": "a" * 9000}), "target.headers.X-A", "8192"),
        (target(headers={f"X-{index}": "" for index in range(65)}), "target.headers", "limit is 64"),
        (target(headers={"Authorization": "***"}), "target.headers.Authorization", "the secret itself"),
        (target(timeout_seconds=0), "target.timeout_seconds", "3600"),
        (target(timeout_seconds=3601), "target.timeout_seconds", "3600"),
        (target(topic="t"), "target.topic", "no known field"),
        (target(urll="t"), "target.urll", "did you mean target.url?"),
        (plain(target={"type": "kafka"}), "target.topic", "missing"),
        (plain(target={"type": "kafka", "topic": "a b"}), "target.topic", "249"),
        (plain(target={"type": "kafka", "topic": "squirrel.commands"}), "target.topic", "internal"),
        (plain(target={"type": "kafka", "topic": "__consumer_offsets"}), "target.topic", "internal"),
        (plain(target={"type": "kafka", "topic": "t", "key": 1}), "target.key", "must be a string"),
        (plain(target=[1]), "target", "must be an object"),
        (plain(fallback=[{**HTTP, "url": "nope"}]), "fallback[0].url", "https://example.com"),
        (plain(fallback=[HTTP] * 9), "fallback", "at most 8"),
        (plain(fallback=[{**HTTP, "retry": {"jitter": 5}}]), "fallback[0].retry.jitter", "0 to 1"),
        (plain(event="sms.send"), "target", "PUT /api/v1/routes"),
    ],
)  # fmt: skip
def test_refused_with_field_limit_and_fix(document: dict[str, Any], field: str, says: str) -> None:
    document = {name: value for name, value in document.items() if value is not None}
    problems = problems_of(document)
    assert field in {problem.field for problem in problems}, problems
    assert says in next(problem.reason for problem in problems if problem.field == field)


@pytest.mark.parametrize(
    ("when", "field", "says"),
    [
        ({}, "when", "exactly one of at, in_seconds"),
        ({"at": AT, "in_seconds": 5}, "when.in_seconds", "when.at and when.in_seconds"),
        ({"in_seconds": -1}, "when.in_seconds", "0 to"),
        ({"in_seconds": 1e300}, "when.in_seconds", "0 to"),
        ({"in_seconds": "5"}, "when.in_seconds", "must be a number"),
        ({"cron": "61 * * * *"}, "when.cron", "61"),
        ({"cron": "0 9 * *", "timezone": "UTC"}, "when.cron", "field"),
        ({"cron": "0 9 * * *", "timezone": "Europe/Berln"}, "when.timezone", "Did you mean 'Europe/Berlin'?"),
        ({"cron": "0 9 * * *", "timezone": "EST"}, "when.timezone", "America/New_York"),
        ({"cron": "0 9 * * *", "timezone": "pst"}, "when.timezone", "America/Los_Angeles"),
        ({"cron": "0 9 * * *", "timezone": "+02:00"}, "when.timezone", "Etc/GMT-2"),
        ({"cron": "0 0 29 2 *", "start": "2027-01-01T00:00:00Z", "end": "2027-12-31T00:00:00Z"}, "when.end", "never occurs"),
        ({"rrule": "FREQ=YEARLY;BYDAY=MO;BYSETPOS=" + "1," * 400_000 + "1"}, "when.rrule", "BYSETPOS"),
        ({"rrule": "DTSTART:20270101T000000Z\nRRULE:FREQ=DAILY\nEXDATE:" + "20270102T000000Z," * 10_000}, "when.rrule", "EXDATE"),
        ({"rrule": "FREQ=DAILY;COUNT=1000000000"}, "when.rrule", "COUNT"),
        ({"rrule": "FREQ=DAILY;INTERVAL=1000000001"}, "when.rrule", "Choose a longer FREQ"),
        ({"cron": "0 0 30 2 *"}, "when.cron", "never occurs"),
        ({"cron": "0 9 * * *", "timezone": "../../etc/passwd"}, "when.timezone", "no IANA zone"),
        ({"cron": "0 9 * * *", "timezone": "America"}, "when.timezone", "no IANA zone"),
        ({"cron": "0 9 * * *", "timezone": "a" * 1_000_000}, "when.timezone", "no IANA zone"),
        ({"rrule": "FREQ=SOMETIMES"}, "when.rrule", "SOMETIMES"),
        ({"rrule": " "}, "when.rrule", "empty"),
        ({"every": {"interval": "fortnight", "value": 1}}, "when.every.interval", "second, minute"),
        ({"every": {"interval": "day", "value": 0}}, "when.every.value", "1 to"),
        ({"every": {"value": 1}}, "when.every.interval", "one of"),
        ({"every": "day"}, "when.every", "must be an object"),
        ({"after": []}, "when.after", "1 to 64"),
        ({"after": [{"on": "success"}]}, "when.after[0].schedule", "missing"),
        ({"after": [{"schedule": "a"}, {"schedule": "a"}]}, "when.after[1].schedule", "twice"),
        ({"after": [{"schedule": "a", "on": "maybe"}]}, "when.after[0].on", "success, failure, completion"),
        ({"after": [{"schedule": "a"}], "join": "some"}, "when.join", "all, any"),
        ({"on_event": {"event": "a.b*"}}, "when.on_event.event", "whole segment"),
        ({"on_event": {}}, "when.on_event.event", "must be a string"),
        ({"at": AT, "delay_seconds": 5}, "when.delay_seconds", "after or on_event"),
        ({"at": AT, "join": "any"}, "when.join", "use it with after"),
        ({"cron": "0 9 * * *", "start": AT, "end": "2027-01-01T00:00:00Z"}, "when.end", "before start"),
        ({"cron": "0 9 * * *", "end": "2026-01-01T00:00:00Z"}, "when.end", "in the past"),
        ({"cron": "0 9 * * *", "max_runs": 0}, "when.max_runs", "1 to"),
        ({"cron": "0 9 * * *", "exclude": ["2027-02-30"]}, "when.exclude[0]", "not a date"),
        ({"cron": "0 9 * * *", "if_excluded": "later"}, "when.if_excluded", "next_business_day"),
        ({"cron": "0 9 * * *", "dst": {"gap": "jump"}}, "when.dst.gap", "skip, shift, next"),
        ({"cron": "0 9 * * *", "spread_seconds": -1}, "when.spread_seconds", "0 to"),
        ({"at": AT, "tz": "UTC"}, "when.tz", "known here: after, at"),
    ],
)  # fmt: skip
def test_when_refused_with_field_and_fix(when: dict[str, Any], field: str, says: str) -> None:
    problems = problems_of(timed(**when))
    assert field in {problem.field for problem in problems}, problems
    assert says in next(problem.reason for problem in problems if problem.field == field)


def test_all_problems_are_told_at_once() -> None:
    document = plain(sendAt="soon", maxRetries=-5, colour=1, target={"type": "http", "url": "x", "method": "A B"})
    fields = {problem.field for problem in problems_of(document)}
    assert fields == {"sendAt", "maxRetries", "colour", "target.url", "target.method"}


def test_a_schedule_cannot_wait_for_itself() -> None:
    document = {"id": "a", "event": "email.x", "after": [{"schedule": "b"}, {"schedule": "a"}]}
    assert only_problem(document) == ("after[1].schedule", "is the schedule itself; name another")


def test_payloads_beyond_their_limit_are_too_large() -> None:
    with pytest.raises(Refused, match="limit is 262144") as refused:
        parse(plain(message="x" * 300_000))
    assert (refused.value.code, refused.value.problems[0].field) == ("too_large", "message")
    with pytest.raises(Refused, match="limit is 1048576") as refused:
        parse(plain(message="x" * 1024 * 1024))
    assert (refused.value.code, refused.value.problems[0].field) == ("too_large", "body")
    with pytest.raises(Refused, match="limit is 16384") as refused:
        parse(plain(metadata={"a": "x" * 20_000}))
    assert (refused.value.code, refused.value.problems[0].field) == ("too_large", "metadata")


def test_parts_within_their_limits_may_be_too_large_together() -> None:
    headers = {f"X-{index}": "a" * 8000 for index in range(60)}
    with pytest.raises(Refused, match="bytes, the limit is") as refused:
        parse(target(headers=headers))
    assert (refused.value.code, refused.value.problems[0].field) == ("too_large", "body")


def test_a_flood_of_unknown_fields_is_told_in_part() -> None:
    assert len(problems_of(plain(**{f"field{index}": 1 for index in range(150)}))) <= 50


def test_hosts_outside_the_list_are_refused() -> None:
    policy = TargetPolicy(allowed_hosts=("*.example.org",))
    problem = problems_of(target(), policy=policy)[0]
    assert (problem.field, "ALLOWED_TARGET_HOSTS" in problem.reason) == ("target.url", True)
    assert parse(target(url="https://a.example.org/"), policy=policy).spec.target is not None


def test_loopback_is_refused_where_it_is_not_allowed() -> None:
    assert parse(target(url="http://127.0.0.1:9/")).spec.target is not None
    assert problems_of(target(url="http://127.0.0.1:9/"), policy=TargetPolicy())[0].field == "target.url"
