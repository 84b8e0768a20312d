"""The door to `recurrence`: a rule that cannot be compiled is refused here, under the field as it was sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from squirrel.model.errors import Problem, Refused
from squirrel.model.when import When
from squirrel.wire.documents.names import Entries
from squirrel.wire.documents.values import Problems

if TYPE_CHECKING:
    from squirrel.recurrence import CalendarLookup

_UNKEYED = "new"  # a spread depends on the id, whether a rule compiles does not


def check_rule(when: When, now_ms: int, entries: Entries, problems: Problems) -> None:
    """Compiles the rule once; adds the problem it meets. Calendars are not known here: `check_calendars` looks at those."""
    # Imported here because dateutil and croniter cost 100 ms, which services that see one-shots only need not pay.
    from squirrel.recurrence import RuleError, compile_rule

    if calendar_names(when.exclude):
        when = replace(when, exclude=tuple(each for each in when.exclude if _is_date(each)))
    try:
        compile_rule(when, created_ms=now_ms, schedule_key=_UNKEYED)
    except RuleError as error:
        name, dot, inner = error.field.removeprefix("when.").partition(".")
        field = f"{entries[name][0]}{dot}{inner}" if name in entries else error.field
        problems.append(Problem(field, f"{error.reason}. {error.fix}"))


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
