"""The body of `POST /api/v1/runs/{run}:replay`: nothing, or another message or target for the new run."""

from __future__ import annotations

from squirrel.model.errors import Problem, Refused
from squirrel.model.limits import PAYLOAD_BYTES_MAX, REQUEST_BYTES_MAX
from squirrel.model.target import Target
from squirrel.wire.documents import TargetPolicy, read_document
from squirrel.wire.documents.target import parse_target_object


def read_replay(body: bytes, policy: TargetPolicy) -> tuple[bytes | None, Target | None]:
    """(message, target); None keeps what the schedule has. Raises NotJson or Refused with every problem at once."""
    if not body.strip():
        return None, None
    document = read_document(body, REQUEST_BYTES_MAX)
    problems: list[Problem] = []
    message: bytes | None = None
    target: Target | None = None
    for key, value in document.values.items():
        if key == "message":
            message = document.raw(key)
            if len(message) > PAYLOAD_BYTES_MAX:
                reason = f"has {len(message)} bytes, the limit is {PAYLOAD_BYTES_MAX}; store it elsewhere and send a reference"
                problems.append(Problem(key, reason))
        elif key != "target":
            problems.append(Problem(key[:100], "is no known field; known here: message, target"))
        elif value is not None:
            target = parse_target_object(key, value, policy, problems)
    if problems:
        raise Refused("invalid", problems)
    return message, target
