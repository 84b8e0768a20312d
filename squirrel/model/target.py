"""What a run calls: frozen, tagged by type, small enough to ride in every execution."""

from __future__ import annotations

from msgspec import Struct

from squirrel.model.call_security import HttpSecurity
from squirrel.model.flow import Flow
from squirrel.model.limits import TIMEOUT_SECONDS_DEFAULT
from squirrel.model.retry import RetryPolicy


class HttpTarget(Struct, gc=False, frozen=True, array_like=True, tag="http"):
    """A webhook. Source: api.md, "What a target receives"; `url` is normalised at the door."""

    url: str
    method: str = "POST"
    headers: tuple[tuple[str, str], ...] = ()
    timeout_ms: int = TIMEOUT_SECONDS_DEFAULT * 1000
    body: bytes | None = None  # verbatim body instead of the message (the RRule seed's `body`); None sends the message
    success_below: int = 300  # statuses 200 <= s < this count as success (the Workflow seed takes < 400)
    retry_4xx: bool = (
        False  # 4xx, 410 too, fail like a 5xx: tried again, and none ends the schedule (three of the seeds)
    )
    security: HttpSecurity | None = (
        None  # None: signed with the installation's keys, the system's authorities, no credentials
    )
    completion_timeout_ms: int | None = None  # a 202 is a promise, kept within this time; None: a 202 is a success


class KafkaTarget(Struct, gc=False, frozen=True, array_like=True, tag="kafka"):
    """A record on a topic of the same cluster; key None leaves the partition to the producer."""

    topic: str
    key: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    timeout_ms: int = TIMEOUT_SECONDS_DEFAULT * 1000


class PluginTarget(Struct, gc=False, frozen=True, array_like=True, tag="plugin"):
    """A target type that an entry point brings; `config` is JSON that its schema has accepted."""

    kind: str
    config: bytes
    timeout_ms: int = TIMEOUT_SECONDS_DEFAULT * 1000


Target = HttpTarget | KafkaTarget | PluginTarget


class Fallback(Struct, gc=False, frozen=True, array_like=True):
    """What is called when the target before it has used up its attempts."""

    target: Target
    retry: RetryPolicy | None = None  # None: a single attempt


class Route(Struct, gc=False, frozen=True, array_like=True):
    """The target of every event that matches a pattern and names none itself."""

    pattern: str
    target: Target
    retry: RetryPolicy | None = None
    fallback: tuple[Fallback, ...] = ()
    created_ms: int = 0
    updated_ms: int = 0
    document: bytes = b"{}"  # the JSON as it was put, for answers and for keys that later releases read
    flow: Flow | None = None
