"""Idempotency keys that came with an id of the caller's: remembered for a while, to say that a key met another body.

The promise itself rests on the schedule's id, which a key without one becomes; it survives restarts and holds over all
gateways. This memory only adds the warning that one process can give, and forgets the oldest first.
"""

from __future__ import annotations

from collections import OrderedDict

from squirrel.gateway.limits import IDEMPOTENCY_KEYS_KEPT_MAX
from squirrel.gateway.problems import Answered
from squirrel.model.errors import Problem


class IdempotencyKeys:
    """What each key came with, newest last, bounded."""

    def __init__(self, kept_max: int = IDEMPOTENCY_KEYS_KEPT_MAX) -> None:
        self._kept_max = kept_max
        self._contents: OrderedDict[tuple[str, str], str] = OrderedDict()

    def check(self, namespace: str, key: str, content: str) -> None:
        """Raises Answered 422 when the key came with other content and that was taken."""
        if self._contents.get((namespace, key), content) != content:
            raise key_reused()

    def remember(self, namespace: str, key: str, content: str) -> None:
        """`content` was taken under this key."""
        self._contents.setdefault((namespace, key), content)
        self._contents.move_to_end((namespace, key))
        if len(self._contents) > self._kept_max:
            self._contents.popitem(last=False)


def key_reused() -> Answered:
    """422: the same key with another body."""
    reason = "came with another body before; send a new key with a new body"
    return Answered(
        "idempotency_key_reused", f"the Idempotency-Key {reason}", errors=[Problem("Idempotency-Key", reason)]
    )
