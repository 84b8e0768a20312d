"""What a target type is made of: the one module that a plugin imports. See docs/targets.md.

A type is a value (`TargetType`): a name, a typed configuration that becomes a JSON Schema, and a coroutine that makes the call.
The doors (gateway, intake) read the configuration, the executor calls `send`. Types of other packages are found through the entry
points `squirrel.targets` (for schedules and routes) and `squirrel.notifiers` (for notifications only).
"""

from squirrel.wire.attempt import Attempt, ErrorType
from squirrel.wire.target_types.kind import Secret, TargetType
from squirrel.wire.target_types.sending import CallFailed, Network, Reply, expect_success, text_of

__all__ = [
    "Attempt",
    "CallFailed",
    "ErrorType",
    "Network",
    "Reply",
    "Secret",
    "TargetType",
    "expect_success",
    "text_of",
]
