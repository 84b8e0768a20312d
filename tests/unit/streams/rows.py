"""Rows for the tests of keys, changes and store."""

from __future__ import annotations

from squirrel.model.schedule import OpenRun, Row, Spec, State, encode_row
from squirrel.model.when import When

NOW_MS = 1_800_000_000_000


def row(
    schedule_id: str = "a",
    *,
    wake_ms: int | None = NOW_MS,
    state: State = State.ACTIVE,
    tags: tuple[str, ...] = (),
    created_ms: int = NOW_MS,
    runs: tuple[str, ...] = (),
    namespace: str = "default",
) -> Row:
    return Row(
        namespace=namespace,
        id=schedule_id,
        state=state,
        wake_ms=wake_ms,
        created_ms=created_ms,
        event="email.send",
        tags=tags,
        revision=1,
        runs=[OpenRun(run, NOW_MS, NOW_MS) for run in runs],
        spec=Spec(event="email.send", when=When()),
    )


def encoded(*args: object, **kwargs: object) -> bytes:
    return encode_row(row(*args, **kwargs))  # type: ignore[arg-type]
