"""What can be called: one module per target type, all behind `TargetCaller`.

Reads:    an `Attempt`.
Keeps:    what makes the next call cheap (connections, prepared heads), bounded.
Writes:   one request or one record, at most once per call.
Promises: an `Outcome` by the target's timeout, whatever the target does; expected failures are outcomes, not exceptions.
Never:    raises for what a target or a user did; only cancellation and our own faults come out of `call`.
"""

from __future__ import annotations

from typing import Protocol

from squirrel.wire.attempt import Attempt, Outcome


class TargetCaller(Protocol):
    """One target type."""

    async def call(self, attempt: Attempt) -> Outcome:
        """Makes the one call that `attempt` stands for; the deadline is `attempt.target.timeout_ms` from now."""
        ...

    async def close(self) -> None:
        """Drops what is kept. Safe twice."""
        ...
