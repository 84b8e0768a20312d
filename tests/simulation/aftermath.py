"""When all is quiet: what stands on disks, in logs and in the history is written into the files that the judge reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Any

import orjson
from msgspec import to_builtins

from squirrel.model.schedule import Row, State, decode_row
from squirrel.streams.timeline.keys import derived_keys, s_key
from squirrel.wire.partitioner import partition_of
from squirrel.wire.records import decode_command, decode_execution
from tests.simulation.client import NAMESPACE, Client, shown

LANES = {
    "squirrel-engine": ("commands", "results"),
    "squirrel-executor": ("executions",),
    "squirrel-recorder": ("results", "completions", "dead-letters"),
    "squirrel-intake": ("inbox",),
}
TAPS = ("executions", "results", "completions", "dead-letters", "refused", "commands", "timeline-changelog")


async def write_down(world: Any, client: Client, last_heal_ns: int) -> Path:
    """The folder of the judged files. Everything must be quiet."""
    folder: Path = world.folder / "judged"
    _write(folder / "ledger.jsonl", client.ledger)
    _write(folder / "sink.jsonl", world.sink)
    _write(folder / "faults.jsonl", world.faults)
    for name in TAPS:
        _write(folder / "taps" / f"{name}.jsonl", _tap(world, name))
    final: list[dict[str, Any]] = [_end(world, last_heal_ns)]
    final += _lags(world)
    final += _owners_and_states(world)
    final += _schedules(world, client)
    final += await _runs(world)
    final += _rebalances(world)
    final += [{"what": "sometimes", "name": name, "count": count} for name, count in world.sometimes.items()]
    _write(folder / "final.jsonl", final)
    return folder


def _write(path: Path, records: Iterable[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(orjson.dumps(record) + b"\n" for record in records))


def _end(world: Any, last_heal_ns: int) -> dict[str, Any]:
    settings = world.settings
    return {
        "what": "end",
        "mono_ns": world.boot_ns(),
        "wall_ms": world.wall_ms(),
        "last_heal_ns": last_heal_ns,
        "commit_interval_ms": round(settings.commit_interval_seconds * 1000),
        "session_timeout_ms": round(settings.session_timeout_seconds * 1000),
        "emit_ahead_ms": settings.emit_ahead_ms,
        "seed": world.seed,
    }


# --- taps ---------------------------------------------------------------------------------------------------------


def _tap(world: Any, name: str) -> list[dict[str, Any]]:
    decode = _DECODERS.get(name, _public)
    found = []
    for log in world.broker.topics[f"squirrel.{name}"]:
        for record in log.records:
            fields = decode(record.key, record.value)
            if fields is not None:
                key = (record.key or b"").decode("utf-8", "replace")
                found.append({**fields, "partition": record.partition, "offset": record.offset, "key": key})
    return found


def _public(key: bytes | None, value: bytes | None) -> dict[str, Any] | None:
    del key
    try:
        decoded = orjson.loads(value or b"")
    except orjson.JSONDecodeError:
        return None
    return decoded if isinstance(decoded, dict) and len(decoded) > 2 else None


def _fields(decode: Callable[[bytes], Any]) -> Callable[[bytes | None, bytes | None], dict[str, Any] | None]:
    def read(key: bytes | None, value: bytes | None) -> dict[str, Any] | None:
        del key
        try:
            struct = decode(value or b"")
        except ValueError:
            return None
        found = {name: getattr(struct, name) for name in struct.__struct_fields__}
        for heavy in ("target", "message", "spec", "patch"):
            found.pop(heavy, None)
        plain: dict[str, Any] = to_builtins(found)
        return plain

    return read


def _rows(key: bytes | None, value: bytes | None) -> dict[str, Any] | None:
    if not (key or b"").startswith(b"S") or value is None:
        return {"deleted": value is None}
    row = decode_row(value)
    return {"id": row.id, "state": str(row.state), "revision": row.revision, "epoch": row.epoch}


_DECODERS: dict[str, Callable[[bytes | None, bytes | None], dict[str, Any] | None]] = {
    "executions": _fields(decode_execution),
    "commands": _fields(decode_command),
    "timeline-changelog": _rows,
}


# --- state --------------------------------------------------------------------------------------------------------


def _lags(world: Any) -> list[dict[str, Any]]:
    found = []
    for group, topics in LANES.items():
        committed = world.group(group).committed
        for topic in topics:
            for log in world.broker.topics[f"squirrel.{topic}"]:
                offset = committed.get((f"squirrel.{topic}", log.partition), (None, ""))[0]
                lag = log.next if offset is None else log.next - offset
                found.append({"what": "lag", "group": group, "topic": topic, "partition": log.partition, "lag": lag})
    return found


def _rebalances(world: Any) -> list[dict[str, Any]]:
    """Where nothing was wrong but clocks, the groups must not have moved since they had settled."""
    if not world.faults or any(fault["kind"] not in ("clock", "exit") for fault in world.faults):
        return []
    exits = sum(fault["kind"] == "exit" for fault in world.faults)
    found = [{"what": "metric", "service": "all", "name": "clock_fault_rebalances", "value": exits}]
    for name, group in world.groups.items():
        moved = group.generation - group.settled_generation
        found.append({"what": "metric", "service": name, "name": "clock_fault_rebalances", "value": moved})
    return found


def _engines(world: Any) -> list[tuple[str, Any]]:
    return [(name, service) for name, service in sorted(world.services.items()) if hasattr(service, "engine")]


def _owners_and_states(world: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name, service in _engines(world):
        for partition in sorted(service.engine.owners):
            found.append({"what": "owner", "partition": partition, "worker": name})
            stored = _stored(service.store, partition)
            rows = {key: value for key, value in stored.items() if key[:1] in (b"S", b"W")}
            replayed = _replayed(world.broker.log(world.topics.timeline_changelog, partition))
            for source, state in (("disk", rows), ("log", replayed)):
                found.append(
                    {
                        "what": "state",
                        "partition": partition,
                        "source": source,
                        "rows": len(state),
                        "digest": _digest(state.items()),
                    }
                )
            found += _orphans(stored, rows, partition)
    owned = {record["partition"] for record in found if record["what"] == "owner"}
    for partition in set(range(world.partitions)) - owned:
        found.append({"what": "orphan", "detail": f"partition {partition} has no owner"})
    return found


def _stored(store: Any, partition: int) -> dict[bytes, bytes]:
    db = store._of(partition).db
    return dict(db.items())


def _replayed(log: Any) -> dict[bytes, bytes]:
    state: dict[bytes, bytes] = {}
    for record in log.records:
        if record.key[:1] not in (b"S", b"W"):
            continue
        if record.value is None:
            state.pop(record.key, None)
        else:
            state[record.key] = record.value
    return state


def _digest(items: Iterable[tuple[bytes, bytes]]) -> str:
    hashed = blake2b(digest_size=8)
    for key, value in sorted(items):
        hashed.update(b"%d:%b%d:%b" % (len(key), key, len(value), value))
    return hashed.hexdigest()


def _orphans(stored: dict[bytes, bytes], rows: dict[bytes, bytes], partition: int) -> list[dict[str, Any]]:
    """D and X recomputed from S."""
    wanted: set[bytes] = set()
    for key, value in rows.items():
        if key.startswith(b"S"):
            wanted.update(derived_keys(decode_row(value)))
    there = {key for key in stored if key[:1] in (b"D", b"X")}
    found = [f"partition {partition}: nothing stands behind the key {key!r}" for key in sorted(there - wanted)]
    found += [f"partition {partition}: the key {key!r} is missing" for key in sorted(wanted - there)]
    return [{"what": "orphan", "detail": detail} for detail in found[:10]]


def row_of(world: Any, schedule: str, home: str = "") -> Row | None:
    """As its owner has it now."""
    partition = partition_of(NAMESPACE, home or schedule, world.partitions)
    for _, service in _engines(world):
        if partition in service.engine.owners:
            value = service.store.get(partition, s_key(NAMESPACE, schedule))
            return None if value is None else decode_row(value)
    return None


def rows_of(world: Any) -> list[Row]:
    """All rows of all owners."""
    found = []
    for _, service in _engines(world):
        for partition in sorted(service.engine.owners):
            stored = _stored(service.store, partition)
            found += [decode_row(value) for key, value in stored.items() if key.startswith(b"S")]
    return found


def _schedules(world: Any, client: Client) -> list[dict[str, Any]]:
    ids = dict.fromkeys(line["id"] for line in client.ledger if line["op"] == "create")
    found = []
    for schedule in ids:
        row = row_of(world, schedule, client.homes.get(schedule, ""))
        found.append({"what": "schedule", "id": schedule, **shown(row)})
    return found


async def _runs(world: Any) -> list[dict[str, Any]]:
    """Open runs as the rows have them, finished ones as the history has them."""
    found: list[dict[str, Any]] = []
    for _, service in _engines(world):
        for partition in sorted(service.engine.owners):
            for key, value in _stored(service.store, partition).items():
                row = decode_row(value) if key.startswith(b"S") else None
                if row is not None and row.state is not State.UNKNOWN:
                    found += [_run(run.id, row.id, str(run.state), run.due_ms) for run in row.runs]
    open_runs = {record["id"] for record in found}
    recorder = next(service for service in world.services.values() if hasattr(service, "history"))
    cursor = None
    while True:
        page = await recorder.history.runs(NAMESPACE, None, 1000, cursor)
        for item in page.items:
            record = item.record
            if record.id not in open_runs:
                found.append(_run(record.id, record.schedule_id, record.state, record.due_ms))
        cursor = page.next_cursor
        if cursor is None:
            return found


def _run(run: str, schedule: str, state: str, due_ms: int) -> dict[str, Any]:
    return {"what": "run", "id": run, "schedule_id": schedule, "state": state, "due_ms": due_ms}
