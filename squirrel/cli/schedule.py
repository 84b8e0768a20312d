"""`squirrel schedule EVENT ...`: any kind of schedule in one line; `squirrel preview`: when a rule would run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal
from uuid import uuid4

from cyclopts import App, Parameter

from squirrel.cli.json_flag import json_flag
from squirrel.cli.printing import done, warn
from squirrel.cli.reach import HERE, Reach
from squirrel.model.errors import SettingsError

API: Final = "/api/v1"
_UNITS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_INTERVALS: Final = {"s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week", "mo": "month", "y": "year"}
_DURATION: Final = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[smhdw]))+|\d+(?:\.\d+)?", re.ASCII)
_EVERY: Final = re.compile(r"(\d*) ?(mo|[smhdwy]|second|minute|hour|day|week|month|year)s?", re.ASCII)


@Parameter(name="*")
@dataclass(frozen=True)
class Timing:
    """When: exactly one of the first seven."""

    at: Annotated[str | None, Parameter(help="an instant with its zone: 2027-02-01T10:00:00Z")] = None
    in_: Annotated[str | None, Parameter(name="--in", help="a delay: 10s, 5m, 1h30m, 2d")] = None
    cron: Annotated[str | None, Parameter(help="five or six fields, or @daily and its like")] = None
    rrule: Annotated[str | None, Parameter(help="RFC 5545: FREQ=DAILY;BYHOUR=9")] = None
    every: Annotated[str | None, Parameter(help="an interval: 10s, 5m, day, 2 weeks, 3mo")] = None
    after: Annotated[
        tuple[str, ...], Parameter(negative=(), help="a schedule to wait for, ID or ID:failure; may be repeated")
    ] = ()
    on_event: Annotated[str | None, Parameter(help="a completed event to follow: email.send.*, or email.*:failure")] = (
        None
    )
    join: Annotated[Literal["all", "any"] | None, Parameter(help="whether all of --after must end, or one")] = None
    timezone: Annotated[str | None, Parameter(help="an IANA zone; of cron, rrule and every")] = None
    delay: Annotated[str | None, Parameter(help="how long after --after or --on-event: 2d")] = None
    max_runs: int | None = None
    start: Annotated[str | None, Parameter(help="an instant: no run before it")] = None
    end: Annotated[str | None, Parameter(help="an instant: no run after it")] = None
    exclude: Annotated[
        tuple[str, ...], Parameter(negative=(), help="a calendar's name, or a date: 2027-12-24; may be repeated")
    ] = ()
    if_excluded: Literal["skip", "next_business_day", "previous_business_day"] | None = None
    dst_gap: Annotated[
        Literal["skip", "shift", "next"] | None, Parameter(help="a local time that the clock jumps over")
    ] = None
    dst_overlap: Annotated[Literal["first", "last", "both"] | None, Parameter(help="a local time that comes twice")] = (
        None
    )
    spread: Annotated[str | None, Parameter(help="a stable offset from the id, up to this: 5m")] = None
    if_: Annotated[
        str | None,
        Parameter(name="--if", help="with --after or --on-event: run only where this holds: parent.status == `200`"),
    ] = None

    def document(self) -> dict[str, Any]:
        """The API's `when`. Raises SettingsError (exit 2) when not exactly one kind is said."""
        kinds: dict[str, Any] = {
            "at": self.at,
            "in_seconds": None if self.in_ is None else seconds_of("--in", self.in_),
            "cron": self.cron,
            "rrule": self.rrule if self.rrule is None or ":" in self.rrule else f"RRULE:{self.rrule}",
            "every": None if self.every is None else interval_of(self.every),
            "after": [_parent(each) for each in self.after] or None,
            "on_event": None if self.on_event is None else _listened(self.on_event),
        }
        said = {name: value for name, value in kinds.items() if value is not None}
        if len(said) != 1:
            found = "none was" if not said else f"{' and '.join(said)} were"
            raise SettingsError(f"say one of --at --in --cron --rrule --every --after --on-event; {found} given")
        return said | self._around()

    def _around(self) -> dict[str, Any]:
        """What stands beside the kind."""
        plain = ("timezone", "join", "max_runs", "start", "end", "if_excluded")
        found = {name: getattr(self, name) for name in plain if getattr(self, name) is not None}
        if self.delay is not None:
            found["delay_seconds"] = seconds_of("--delay", self.delay)
        if self.exclude:
            found["exclude"] = list(self.exclude)
        dst = {"gap": self.dst_gap, "overlap": self.dst_overlap}
        if any(dst.values()):
            found["dst"] = {name: value for name, value in dst.items() if value}
        if self.spread is not None:
            found["spread_seconds"] = seconds_of("--spread", self.spread)
        if self.if_ is not None:
            found["if"] = self.if_
        return found


@Parameter(name="*")
@dataclass(frozen=True)
class Calling:
    """What is called, and with what. Without --url or --topic the route of the event decides."""

    url: Annotated[str | None, Parameter(help="a webhook")] = None
    topic: Annotated[str | None, Parameter(help="a Kafka topic")] = None
    key: Annotated[str | None, Parameter(help="the record's key, with --topic")] = None
    method: Annotated[str | None, Parameter(help="with --url; POST when left out")] = None
    header: Annotated[tuple[str, ...], Parameter(negative=(), help="'Name: value'; may be repeated")] = ()
    timeout: Annotated[str | None, Parameter(help="how long one call may take: 30s")] = None
    completion: Annotated[
        Literal["sync", "async"] | None,
        Parameter(help="async: a 202 is a promise, and the target says later how it ended"),
    ] = None
    completion_timeout: Annotated[str | None, Parameter(help="how long such a promise holds: 2h")] = None
    message: Annotated[str | None, Parameter(help="JSON to send; @file, @- for stdin")] = None
    fallback: Annotated[tuple[str, ...], Parameter(negative=(), help="a webhook to call instead; may be repeated")] = ()

    def document(self) -> dict[str, Any]:
        """`target` and `message`. Raises SettingsError."""
        found: dict[str, Any] = {} if self.message is None else {"message": json_flag("--message", self.message)}
        if self.fallback:
            found["fallback"] = [{"type": "http", "url": url} for url in self.fallback]
        if self.url is not None and self.topic is not None:
            raise SettingsError("say --url or --topic, not both")
        target: dict[str, Any] = {
            "url": self.url, "topic": self.topic, "key": self.key, "method": self.method,
            "headers": dict(_header(each) for each in self.header) or None,
            "timeout_seconds": _seconds("--timeout", self.timeout),
            "completion": self.completion,
            "completion_timeout_seconds": _seconds("--completion-timeout", self.completion_timeout),
        }  # fmt: skip
        target = _said(target)
        if target and self.url is None and self.topic is None:
            raise SettingsError(f"{' and '.join(target)} need --url or --topic beside them")
        return found | ({"target": {"type": "http" if self.url else "kafka", **target}} if target else {})


@Parameter(name="*")
@dataclass(frozen=True)
class Policies:
    """How it is kept, repeated and found again."""

    id: Annotated[str | None, Parameter(help="yours; the same id with the same content is the same schedule")] = None
    name: str | None = None
    description: str | None = None
    tag: Annotated[tuple[str, ...], Parameter(negative=(), help="may be repeated")] = ()
    group: str | None = None
    retry: Annotated[int | None, Parameter(help="how often a failed call is repeated; -1 for ever")] = None
    retry_strategy: Literal["exponential", "linear", "fixed"] | None = None
    retry_wait: Annotated[str | None, Parameter(help="the first wait: 1s")] = None
    overlap: Literal["skip", "queue", "allow"] | None = None
    missed: Literal["run_all", "run_last", "skip"] | None = None
    max_lateness: Annotated[str | None, Parameter(help="later than this a run is missed: 10m")] = None
    fire_and_forget: Annotated[bool | None, Parameter(negative=())] = None
    guarantee: Annotated[
        Literal["at_least_once", "at_most_once"] | None,
        Parameter(help="at_most_once: recorded before the call and never repeated; without retries and fallbacks"),
    ] = None
    retry_deadline: Annotated[str | None, Parameter(help="no attempt later than this after the first: 1d")] = None
    retry_on: Annotated[
        tuple[str, ...], Parameter(negative=(), help="the only endings to repeat: 5xx, 429, network; may be repeated")
    ] = ()
    retry_if: Annotated[
        str | None, Parameter(help="repeat where this holds of the answer: body.state == 'pending'")
    ] = None
    flow: Annotated[str | None, Parameter(help="the key of a limit that all its schedules share")] = None
    rate: Annotated[float | None, Parameter(help="with --flow: calls that begin in a second, evenly apart")] = None
    parallelism: Annotated[int | None, Parameter(help="with --flow: calls under way at once")] = None
    keep_response: Annotated[bool | None, Parameter(negative=(), help="for children created after it ended")] = None

    def document(self) -> dict[str, Any]:
        """The fields that were said."""
        plain = (
            "id", "name", "description", "group", "overlap", "missed", "fire_and_forget", "guarantee", "keep_response",
        )  # fmt: skip
        found = _said({name: getattr(self, name) for name in plain})
        if self.tag:
            found["tags"] = list(self.tag)
        retry = {
            "max_retries": self.retry, "strategy": self.retry_strategy,
            "initial_seconds": _seconds("--retry-wait", self.retry_wait),
            "deadline_seconds": _seconds("--retry-deadline", self.retry_deadline),
            "on": list(self.retry_on) or None, "if": self.retry_if,
        }  # fmt: skip
        flow = {"key": self.flow, "rate_per_second": self.rate, "parallelism": self.parallelism}
        for name, fields in (("retry", _said(retry)), ("flow", _said(flow))):
            if fields:
                found[name] = fields
        if self.max_lateness is not None:
            found["max_lateness_seconds"] = seconds_of("--max-lateness", self.max_lateness)
        return found


WHEN: Final = Timing()
CALL: Final = Calling()
POLICIES: Final = Policies()


def register(app: App) -> None:
    """Add the verbs."""
    app.command(schedule)
    app.command(preview)


def schedule(
    event: Annotated[str, Parameter(help="what happens, such as email.send.reminder")],
    /,
    *,
    when: Timing = WHEN,
    call: Calling = CALL,
    policies: Policies = POLICIES,
    reach: Reach = HERE,
) -> int:
    """Create any kind of schedule: squirrel schedule email.send --in 10s --url http://localhost:9000/hook."""
    body = {"event": event, "when": when.document(), **call.document(), **policies.document()}
    body.setdefault("id", uuid4().hex)  # ours, so that a repeat after a lost answer finds what the first one made
    with reach.client() as client:
        made = client.call("POST", f"{API}/schedules", body, repeatable=True)
    for text in made.get("warnings", ()):
        warn(text)
    if reach.is_for_people:
        done(f"Schedule {made['id']} {made.get('state', 'accepted')}")
        print(f"Next run: {made.get('next_run') or '-'}")
    else:
        reach.show(made)
    return 0


def preview(
    *,
    when: Timing = WHEN,
    count: int = 10,
    since: Annotated[str | None, Parameter(name="--from", help="an instant; now when left out")] = None,
    reach: Reach = HERE,
) -> int:
    """Say when a rule would run, in words and instants, without making anything."""
    body = {"when": when.document(), "count": count} | ({} if since is None else {"from": since})
    with reach.client() as client:
        found = client.call("POST", f"{API}/preview", body, repeatable=True)
    if not reach.is_for_people:
        reach.show(found)
        return 0
    print(found.get("explain", ""))
    print("\n".join(found["runs"]) or "it never runs")
    for text in found.get("warnings", ()):
        warn(text)
    return 0


def seconds_of(flag: str, text: str) -> float:
    """`1h30m`, `10s`, `250ms` or a bare number of seconds. Raises SettingsError naming the flag."""
    if _DURATION.fullmatch(text) is None:
        raise SettingsError(f"{flag} {text!r} is no duration; write 10s, 5m, 1h30m or 2d")
    if text.replace(".", "", 1).isdigit():
        return float(text)
    return sum(float(number) * _UNITS[unit] for number, unit in re.findall(r"([\d.]+)(ms|[smhdw])", text))


def interval_of(text: str) -> dict[str, Any]:
    """`5m`, `day`, `2 weeks`, `3mo` as the API's `every`."""
    match = _EVERY.fullmatch(text)
    if match is None:
        raise SettingsError(f"--every {text!r} is no interval; write 10s, 5m, 2h, day, 2 weeks, 3mo or year")
    return {"interval": _INTERVALS.get(match[2], match[2]), "value": int(match[1] or 1)}


def _seconds(flag: str, text: str | None) -> float | None:
    return None if text is None else seconds_of(flag, text)


def _said(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _parent(text: str) -> dict[str, str]:
    parent, outcome = _outcome(text)
    return {"schedule": parent, "on": outcome or "success"}


def _listened(text: str) -> dict[str, str]:
    event, outcome = _outcome(text)
    return {"event": event} | ({"on": outcome} if outcome else {})


def _outcome(text: str) -> tuple[str, str]:
    name, _, outcome = text.rpartition(":")
    return (name, outcome) if name and outcome in ("success", "failure", "completion") else (text, "")


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise SettingsError(f"--header {text!r} must be written 'Name: value'")
    return name.strip(), value.strip()
