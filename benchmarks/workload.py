"""What is scheduled: one-shots with 200 random bytes (base64 text in the message, 268 characters), the same from run to run."""

from __future__ import annotations

import random
from base64 import b64encode
from collections.abc import Callable, Iterator

import orjson

from squirrel.model.instants import format_instant
from squirrel.model.schedule import Spec
from squirrel.model.target import HttpTarget
from squirrel.model.when import When
from squirrel.streams.writer import Record
from squirrel.wire.partitioner import partition_of
from squirrel.wire.records import Command, encode_command

NAMESPACE = "default"
EVENT = "bench.one_shot"
RANDOM_BYTES = 200
CHUNK = 20_000
SEED = 1
DAY_MS = 86_400_000
Chunk = dict[int, list[Record]]  # partition -> records


def message_of(draw: random.Random) -> bytes:
    """The JSON of one message."""
    return b'{"data":"%b"}' % b64encode(draw.randbytes(RANDOM_BYTES))


def creates(
    count: int,
    due_ms: Callable[[int], int],
    *,
    now_ms: int,
    partitions: int,
    url: str,
    seed: int = SEED,
    whose: tuple[str, str] = (NAMESPACE, EVENT),
) -> Iterator[Chunk]:
    """Create commands as a gateway makes them for `Prefer: respond-async`, in chunks; `due_ms(i)` is the instant of the i-th.

    Two loads of one run need two seeds: the ids come from it. `whose`: namespace and event.
    """
    namespace, event = whose
    draw = random.Random(seed)
    target = HttpTarget(url)
    for start in range(0, count, CHUNK):
        chunk: Chunk = {number: [] for number in range(partitions)}
        for index in range(start, min(start + CHUNK, count)):
            schedule_id = f"{draw.getrandbits(128):032x}"
            command = Command(
                op="create",
                namespace=namespace,
                id=schedule_id,
                command_id=f"{draw.getrandbits(128):032x}",
                accepted_ms=now_ms,
                spec=Spec(event=event, when=When(at_ms=due_ms(index)), message=message_of(draw), target=target),
                fingerprint=f"{draw.getrandbits(128):032x}",
                actor="rest",
            )
            number = partition_of(namespace, schedule_id, partitions)
            chunk[number].append((schedule_id.encode(), encode_command(command), ()))
        yield chunk


def far_future(now_ms: int) -> Callable[[int], int]:
    """Instants spread at random over the eleven days that begin tomorrow."""
    draw = random.Random(SEED + 1)
    return lambda index: now_ms + DAY_MS + draw.randrange(10**9)


def document(due_ms: int, url: str, draw: random.Random) -> bytes:
    """The public JSON of one schedule."""
    head = {"event": EVENT, "when": {"at": format_instant(due_ms)}, "target": {"type": "http", "url": url}}
    return b'%b,"message":%b}' % (orjson.dumps(head)[:-1], message_of(draw))
