"""An entry on a Redis stream."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from squirrel.wire.target_types.kind import Secret, TargetType


class RedisStreamConfig(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """XADD on a stream: the message, the run's id, the event and the attempt as fields."""

    host: Annotated[str, Meta(min_length=1, max_length=253)]
    stream: Annotated[str, Meta(description="the stream's key", min_length=1, max_length=1024)]
    port: Annotated[int, Meta(ge=1, le=65535)] = 6379
    tls: bool = False
    username: Annotated[str, Meta(description="an ACL user; needs a password", max_length=255)] = ""
    password: Secret = ""
    database: Annotated[int, Meta(ge=0, le=65535)] = 0
    length_max: Annotated[int, Meta(description="trims the stream to about so many entries; 0: never", ge=0)] = 0

    def __post_init__(self) -> None:
        if self.username and not self.password:
            raise ValueError("a username needs a password")


def _dials(config: Any) -> list[tuple[str, str]]:
    host = f"[{config.host}]" if ":" in config.host else config.host
    return [("host", f"http://{host}:{config.port}")]


REDIS_STREAM = TargetType(
    kind="redis_stream",
    title="Redis stream",
    description="Adds an entry with the fields message, run, schedule, event, attempt and scheduled_for.",
    config=RedisStreamConfig,
    send="squirrel.executor.targets.redis_stream:send",
    example={"host": "redis.example.com", "stream": "due", "password": {"secret": "redis_password"}},
    dials=_dials,
    place=lambda config: f"redis://{config.host}:{config.port}",
)
