"""A condition as it is sent: JMESPath text, refused at the door with its field when it cannot be evaluated."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from squirrel.model.errors import Problem
from squirrel.wire.documents.values import Problems
from squirrel.wire.expressions import expression_problem


def read_condition(field: str, value: Any, problems: Problems, roots: Iterable[str]) -> str | None:
    """Its text, or None and what is wrong with it. `roots` are the names it may look up."""
    reason = expression_problem(value, roots)
    if reason is not None:
        problems.append(Problem(field, reason))
        return None
    return str(value)
