"""Damage to the files of a real RocksDB: what a store then says is true at the offset it names, or it says that it is broken.

Whatever is damaged, the next start may lose time and never truth: what the C row promises stands in the rows, and what cannot be
read is removed at the start after, so that there is no crash loop.
"""

from __future__ import annotations

import gc
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from squirrel.model.errors import Fatal
from squirrel.streams.timeline.changes import changes_of, row_keys
from squirrel.streams.timeline.keys import META_KEY, s_key
from squirrel.streams.timeline.store import NO_OFFSET, TimelineStore
from tests.unit.streams.rows import encoded

Damage = Callable[[Path, random.Random], None]
State = dict[bytes, bytes]
ROWS = 300
ROUNDS_PER_FILE = 12
SMALL = {"cache_bytes": 1 << 20, "write_buffer_bytes": 1 << 20}


def flip(path: Path, draw: random.Random) -> None:
    content = bytearray(path.read_bytes())
    if content:
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    path.write_bytes(content)


def cut(path: Path, draw: random.Random) -> None:
    size = path.stat().st_size
    os.truncate(path, draw.randrange(size) if size else 0)


def remove(path: Path, draw: random.Random) -> None:
    path.unlink()


def everything(store: TimelineStore) -> State:
    return {key: value for kind in (b"S", b"D", b"X") for key, value in store.scan(0, kind, None, 100_000)}


def fill(store: TimelineStore, turn: int) -> None:
    records: list[tuple[bytes, bytes | None]] = [
        (s_key("default", f"id{n:05}"), encoded(f"id{n:05}", wake_ms=1000 * turn + n)) for n in range(ROWS)
    ]
    keys = row_keys(records)
    changes = changes_of(records, dict(zip(keys, store.get_many(0, keys), strict=True)))
    store.apply(0, changes, wall_ms=turn, changelog_offset=(turn + 1) * ROWS - 1)


@pytest.fixture(scope="module")
def undamaged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[int, State]]:
    """A folder with a store that was killed with something in memory, and what is true at each offset it ever had on disk."""
    folder = tmp_path_factory.mktemp("undamaged")
    store = TimelineStore(folder / "live", **SMALL)
    store.open(0)
    truth: dict[int, State] = {NO_OFFSET: {}}
    for turn in range(3):
        fill(store, turn)
        store.flush(0)
        truth[store.meta(0).changelog_offset] = everything(store)
    fill(store, 3)
    store.note_current(0, 10)
    shutil.copytree(folder / "live", folder / "killed")
    store.close_all()
    return folder / "killed", truth


@pytest.mark.parametrize("damage", [flip, cut, remove])
def test_damage_never_makes_a_store_say_what_is_not_true(
    undamaged: tuple[Path, dict[int, State]], tmp_path: Path, damage: Damage
) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    sys.stdout.write(f"seed {seed}\n")
    draw = random.Random(seed)
    folder, truth = undamaged
    noticed = 0
    files = sorted(path.name for path in (folder / "0").iterdir())
    assert {name.split("-")[0].rpartition(".")[2] for name in files} >= {"sst", "MANIFEST", "CURRENT", "log"}
    for name in files * (1 if damage is remove else ROUNDS_PER_FILE):
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(folder, copy)
        damage(copy / "0" / name, draw)
        noticed += _start_until_it_reads(copy, name, truth)
    assert noticed > 0


def _start_until_it_reads(folder: Path, name: str, truth: dict[int, State]) -> bool:
    """As a supervisor does; whether somebody was told. Two starts are enough for any damage."""
    reasons: list[str] = []
    failed = _read(folder, reasons, name, truth)
    if failed is not None:
        gc.collect()  # the error held the iterator, and the iterator the lock
        assert str(folder / "0") in failed
        assert (folder / "0.corrupt").exists(), f"{name}: {failed} is met again by every start"
        assert _read(folder, reasons, name, truth) is None
        assert len(reasons) == 1, name
    assert all(str(folder / "0") in reason for reason in reasons)
    return bool(reasons)


def _read(folder: Path, reasons: list[str], name: str, truth: dict[int, State]) -> str | None:
    """One start: what it ended with, or None."""
    store = TimelineStore(folder, on_wiped=lambda _, reason: reasons.append(reason), **SMALL)
    try:
        offset = store.open(0).changelog_offset
        found = everything(store)
    except Fatal as error:
        return str(error)
    finally:
        _drop(store)
    assert found == truth[offset], f"{name}: the rows are not those of offset {offset}"
    if offset == NO_OFFSET:
        assert reasons, f"{name}: everything is gone and nobody was told"
    return None


def _drop(store: TimelineStore) -> None:
    """What the end of a process does to its handles."""
    for partition in store._open.values():
        partition.db.close()
    store._open.clear()


def test_a_kill_leaves_the_rows_of_the_offset_that_it_leaves(tmp_path: Path) -> None:
    """A C row that reached the disk by itself would hide that the rows it speaks of did not."""
    program = f"""
import os
from pathlib import Path
from squirrel.streams.timeline.store import TimelineStore
from tests.system.faults.test_damaged_store import SMALL, fill
store = TimelineStore(Path({str(tmp_path)!r}), **SMALL)
store.open(0)
fill(store, 0)
store.flush(0)
fill(store, 1)
store.note_current(0, 10)
os.kill(os.getpid(), 9)
"""
    ended = subprocess.run([sys.executable, "-c", program], check=False, timeout=60, capture_output=True, text=True)
    assert ended.returncode == -9, ended.stderr
    store = TimelineStore(tmp_path, **SMALL)
    meta = store.open(0)
    turns = (meta.changelog_offset + 1) // ROWS
    assert turns == 1
    assert len(everything(store)) == ROWS * 4
    assert store.next_due_ms(0) == 1000 * (turns - 1)
    store.close_all()


def test_an_idle_partition_notes_on_disk_that_it_was_current(tmp_path: Path) -> None:
    """A copy that looks older than the changelog's tombstones is rebuilt: an idle owner's must not."""
    store = TimelineStore(tmp_path, **SMALL)
    store.open(0)
    fill(store, 0)
    store.flush(0)
    store.note_current(0, 3_600_000)
    db = store._open[0].db
    assert db.get(META_KEY) is not None
    shutil.copytree(tmp_path / "0", tmp_path / "1")
    store.open(1)
    assert store.meta(1).wall_ms == 3_600_000
    store.close_all()


def test_damage_is_noticed_by_a_running_owner_and_cured_by_its_next_start(
    undamaged: tuple[Path, dict[int, State]], tmp_path: Path
) -> None:
    folder, _ = undamaged
    shutil.copytree(folder, tmp_path / "live")
    oldest = min((tmp_path / "live" / "0").glob("*.sst"))  # the C row that an open reads is in the newest
    content = bytearray(oldest.read_bytes())
    content[100] ^= 1  # of the first block of rows; RocksDB looks at it when it is read
    oldest.write_bytes(content)
    reasons: list[str] = []
    store = TimelineStore(tmp_path / "live", on_wiped=lambda _, reason: reasons.append(reason), **SMALL)
    store.open(0)
    assert reasons == []
    with pytest.raises(Fatal, match=r"live/0 failed: Corruption: block checksum mismatch"):
        store.due(0, "default", 10_000, 10_000)
    _drop(store)
    gc.collect()
    assert store.open(0).changelog_offset == NO_OFFSET
    assert "block checksum mismatch" in reasons[0]
    store.close_all()
