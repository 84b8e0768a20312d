"""The door to `recurrence`: a rule that cannot be compiled is refused here, under the field as it was sent."""

from __future__ import annotations

from squirrel.model.errors import Problem
from squirrel.model.when import When
from squirrel.wire.documents.names import Entries
from squirrel.wire.documents.values import Problems

_UNKEYED = "new"  # a spread depends on the id, whether a rule compiles does not


def check_rule(when: When, now_ms: int, entries: Entries, problems: Problems) -> None:
    """Compiles the rule once; adds the problem it meets."""
    # Imported here because dateutil and croniter cost 100 ms, which services that see one-shots only need not pay.
    from squirrel.recurrence import RuleError, compile_rule

    try:
        compile_rule(when, created_ms=now_ms, schedule_key=_UNKEYED)
    except RuleError as error:
        name, dot, inner = error.field.removeprefix("when.").partition(".")
        field = f"{entries[name][0]}{dot}{inner}" if name in entries else error.field
        problems.append(Problem(field, f"{error.reason}. {error.fix}"))
