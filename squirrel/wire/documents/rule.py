"""The door to `recurrence`: a rule that cannot be compiled is refused here, under the field as it was sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from squirrel.model.errors import Problem, Refused
from squirrel.model.when import When
from squirrel.wire.documents.names import Entries
from squirrel.wire.documents.values import Problems

if TYPE_CHECKING:
    from squirrel.recurrence import CalendarLookup, Rule

_EMPTY: Final = "comes before the first time of the rule after start, so the rule never occurs; move start or end"
_UNKEYED = "new"  # a spread depends on the id, whether a rule compiles does not


def check_rule(when: When, now_ms: int, entries: Entries, problems: Problems) -> None:
    """Compiles the rule once; adds the problem it meets. Calendars are not known here: `check_calendars` looks at those."""
    # Imported here because dateutil and croniter cost 100 ms, which services that see one-shots only need not pay.
    from squirrel.recurrence import RuleError, compile_rule

    if calendar_names(when.exclude):
        when = replace(when, exclude=tuple(each for each in when.exclude if _is_date(each)))
    try:
        rule = compile_rule(when, created_ms=now_ms, schedule_key=_UNKEYED)
        if when.end_ms is not None and not (when.after or when.on_event) and _is_empty(rule, when):
            problems.append(Problem(entries["end"][0], _EMPTY))
    except RuleError as error:
        name, dot, inner = error.field.removeprefix("when.").partition(".")
        field = f"{entries[name][0]}{dot}{inner}" if name in entries else error.field
        problems.append(Problem(field, f"{error.reason}. {error.fix}"))


def _is_empty(rule: Rule, when: When) -> bool:
    """No slot in the whole window, also not in the past: a rule that is only over is no mistake."""
    return rule.next_after(-1 if when.start_ms is None else when.start_ms - 1) is None


def zone_refusal(name: str) -> str | None:
    """Why a zone is not taken, with the name to write instead; None for an IANA name."""
    from squirrel.recurrence import refuse_zone

    error = refuse_zone(name, "when.timezone")
    return None if error is None else f"{error.reason}. {error.fix}"


def text_refusal(text: str) -> str:
    """Why a rule that is too long is not taken: which part takes the room."""
    from squirrel.recurrence import too_long

    error = too_long(text)
    return f"{error.reason}. {error.fix}"


def calendar_names(exclude: tuple[str, ...]) -> list[str]:
    """The entries that are no dates."""
    return [each for each in exclude if not _is_date(each)]


def _is_date(entry: str) -> bool:
    return entry[:1].isdigit()  # as `recurrence` tells them apart: no calendar's name begins with a digit


def check_calendars(when: When, calendars: CalendarLookup, now_ms: int) -> None:
    """What `exclude` names must exist, and leave days to run on. Raises Refused naming the entry."""
    names = calendar_names(when.exclude)
    if not names:
        return
    from squirrel.recurrence import RuleError, compile_rule

    problems = [
        Problem(
            f"when.exclude[{when.exclude.index(name)}]",
            f'there is no calendar "{name[:80]}". Create it with PUT /api/v1/calendars/{name[:80]}',
        )
        for name in names
        if calendars(name) is None
    ]
    if not problems:
        try:
            compile_rule(when, created_ms=now_ms, schedule_key=_UNKEYED, calendars=calendars)
        except RuleError as error:
            problems.append(Problem(error.field, f"{error.reason}. {error.fix}"))
    if problems:
        raise Refused("invalid", problems)
