"""The one error of this room: a rule that cannot be compiled or evaluated."""

from __future__ import annotations


class RuleError(ValueError):
    """A rule was refused. `field` is dotted as in the public JSON, `reason` says what is wrong, `fix` what to write."""

    def __init__(self, field: str, reason: str, fix: str) -> None:
        super().__init__(f"{field}: {reason}. {fix}")
        self.field = field
        self.reason = reason
        self.fix = fix
