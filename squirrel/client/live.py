"""`GET /api/v1/stream` read from the client's side: server-sent events as bytes -> what happened; no network here.

Only what happens while connected is seen: after a lost connection the stream begins anew, and what came in between is in the
runs and in Kafka. Source: the HTML standard, 9.2.6, of which the server uses `event`, `id`, `data`, comments.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from squirrel.client.calls import API, query_of
from squirrel.client.errors import ClientError, Unreachable, error_of
from squirrel.client.records import Completion
from squirrel.client.talk import RETRIED, Answer, Patience, Request, problem_of, retry_after_seconds

EVENT_BYTES_MAX: Final = 4 * 1024 * 1024  # far above a record's megabyte; more than that is no Squirrel
SILENCE_SECONDS_MAX: Final = 45.0  # the server says something every 15 s; three silent times are a dead connection
AGAIN_SECONDS: Final = 0.5  # before connecting again to a server that ended the stream in order


class Live(Struct, frozen=True, kw_only=True):
    """One thing that happened. `kind`: `result` (an attempt finished) or `completion` (a run is over); `record` as in Kafka."""

    kind: str
    run: str
    schedule_id: str
    event: str
    state: str
    record: dict[str, Any]

    def completion(self) -> Completion:
        """The record of a `completion`, typed. Raises msgspec.ValidationError for any other kind."""
        return msgspec.convert(self.record, Completion)


class EventReader:
    """Bytes as they arrive -> events, however they are cut. Not `str.splitlines`: a record may hold other line ends."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[Live]:
        """The events that are whole now. Raises Unreachable's kin for what is no such stream."""
        *blocks, self._rest = (self._rest + chunk).split(b"\n\n")
        if len(self._rest) > EVENT_BYTES_MAX:
            raise error_of(
                502, {"detail": f"an event of more than {EVENT_BYTES_MAX} bytes; is this a Squirrel server?"}
            )
        return [found for block in blocks if (found := _live(block)) is not None]


def _live(block: bytes) -> Live | None:
    """None for comments and for what says only when to come back."""
    fields: dict[bytes, bytes] = {}
    for line in block.split(b"\n"):
        name, _, value = line.partition(b":")
        if name:
            fields[name] = value.removeprefix(b" ")
    if b"data" not in fields:
        return None
    try:
        record = msgspec.json.decode(fields[b"data"], type=dict[str, Any])
    except msgspec.MsgspecError as error:
        detail = f"the stream holds what is no record ({error}); is this a Squirrel server?"
        raise error_of(502, {"detail": detail}) from error
    return Live(
        kind=fields.get(b"event", b"message").decode("utf-8", "replace"),
        record=record,
        **{name: str(record.get(name, "")) for name in ("run", "schedule_id", "event", "state")},
    )


def stream_request(event: str | None, schedule: str | None) -> Request:
    query: Mapping[str, object] = {"event": event, "schedule": schedule}
    return Request("GET", f"{API}/stream", query_of(query), {"accept": "text/event-stream"})


class Patient:
    """Whether to connect again, and after how long: a stream that lived begins the count anew."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._tries = 0

    def heard(self) -> None:
        """Something came: the server is well."""
        self._tries = 0

    def wait_seconds(self, failure: ClientError | None) -> float:
        """Before the next try. Raises the failure when trying again is no use; None: the server ended the stream in order."""
        if failure is None:
            return AGAIN_SECONDS
        self._tries += 1
        again = isinstance(failure, Unreachable) or failure.status in RETRIED
        if not again or self._tries >= self._patience.tries_max:
            raise failure
        return self._patience.wait_seconds(self._tries, failure.retry_after_seconds)


def refusal(answer: Answer) -> ClientError:
    """What an answer of 400 and above to the stream's request is."""
    return error_of(answer.status, problem_of(answer), retry_after_seconds(answer))
