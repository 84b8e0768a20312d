"""What one client, and all of them together, may ask of this process; each with its reason."""

from __future__ import annotations

from typing import Final

from squirrel.model.limits import BODY_BYTES_MAX, KIB, MIB, REQUEST_BYTES_MAX

REQUESTS_IN_FLIGHT_MAX: Final = 2_000  # beyond it answers would come after their callers have given up
CONNECTIONS_MAX: Final = 5_000  # open sockets, idle ones counted
BODIES_BYTES_MAX: Final = 512 * MIB  # request bodies in memory at the same time
DRAIN_BYTES_MAX: Final = 64 * MIB  # of a body that is too large: read and dropped, so that the caller can read why
HEAD_BYTES_MAX: Final = 128 * KIB  # request line and headers as they arrive
HEADERS_BYTES_MAX: Final = 64 * KIB  # names and values
HEADERS_MAX: Final = 100
QUERY_BYTES_MAX: Final = 16 * KIB
HEAD_SECONDS_MAX: Final = 10.0  # from the first byte of a request to the end of its headers
BODY_SECONDS_MAX: Final = 30.0  # to the end of its body: a full batch at 1 MiB/s
SEND_SECONDS_MAX: Final = 30.0  # for a client to take one part of an answer
LINGER_SECONDS: Final = 1.0  # for a client that is still sending to read why it was refused
KEEP_ALIVE_SECONDS: Final = 75  # longer than the 60 s after which common proxies close an idle connection
IDEMPOTENCY_KEY_CHARS_MAX: Final = 255
IDEMPOTENCY_KEYS_KEPT_MAX: Final = 50_000
WRITE_SECONDS_MAX: Final = 10.0  # for Kafka to acknowledge
OUTCOME_SECONDS_MAX: Final = 5.0  # for the owner to say what became of it; then 202

assert REQUEST_BYTES_MAX <= BODY_BYTES_MAX <= DRAIN_BYTES_MAX, "a body just above its limit still gets its 413"
assert BODY_BYTES_MAX * 4 <= BODIES_BYTES_MAX, "a few full batches fit at the same time"
assert HEADERS_BYTES_MAX + QUERY_BYTES_MAX <= HEAD_BYTES_MAX, "what the door refuses by name still arrives there"
