"""Faults of an engine's local copy: gone, old, another partition's, damaged, on a disk that is full or cannot be synced."""

from __future__ import annotations

import asyncio
import errno
import shutil
import signal
from pathlib import Path

from tests.chaos.nemesis import Fault, World

FLIPS = 8
FILLED_BYTES_AT_ONCE = 1 << 20


async def disk_lost(world: World, target: str, _: float) -> None:
    service, store = world.on.services[target], world.on.store_of(target)
    await service.down()
    await asyncio.to_thread(_emptied, store)
    await service.up()


async def old_copy(world: World, target: str, seconds: float) -> None:
    """A backup that somebody puts back: right once, and too old now."""
    service, store = world.on.services[target], world.on.store_of(target)
    copy = world.on.folder / f"old-{target}"
    await service.down(signal.SIGTERM)
    await asyncio.to_thread(shutil.copytree, store, copy)
    await service.up()
    await world.pause(seconds)
    await service.down()
    await asyncio.to_thread(_emptied, store)
    await asyncio.to_thread(shutil.copytree, copy, store, dirs_exist_ok=True)
    await asyncio.to_thread(shutil.rmtree, copy)
    await service.up()


async def swapped_copies(world: World, target: str, _: float) -> None:
    """Two partitions have each other's files."""
    service, store = world.on.services[target], world.on.store_of(target)
    await service.down()
    partitions = sorted(path for path in store.iterdir() if path.name.isdigit()) if store.is_dir() else []
    if len(partitions) >= 2:
        one, other = world.chance.sample(partitions, 2)
        aside = store / "aside"
        one.rename(aside)
        other.rename(one)
        aside.rename(other)
    await service.up()


async def flip_bytes(world: World, target: str, _: float) -> None:
    """Some bytes of some file are others than were written."""
    service = world.on.services[target]
    await service.down()
    for path in _some_files(world, target):
        content = bytearray(path.read_bytes())
        for _flip in range(min(FLIPS, len(content))):
            content[world.chance.randrange(len(content))] ^= 1 << world.chance.randrange(8)
        path.write_bytes(content)
    await service.up()


async def truncate_file(world: World, target: str, _: float) -> None:
    service = world.on.services[target]
    await service.down()
    for path in _some_files(world, target):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    await service.up()


def _some_files(world: World, target: str) -> list[Path]:
    """Up to two files of RocksDB: tables, manifests, what says which is current."""
    store = world.on.store_of(target)
    files = sorted(
        path for path in store.glob("*/*") if path.name.startswith(("MANIFEST", "CURRENT")) or path.suffix == ".sst"
    )
    return world.chance.sample(files, min(2, len(files)))


def _emptied(store: Path) -> None:
    """What lies in it; the directory may be where a file system is mounted."""
    for path in store.iterdir() if store.is_dir() else ():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


async def disk_full(world: World, target: str, seconds: float) -> None:
    """No byte is left on the file system of its store; then there is space again."""
    filler = world.on.store_of(target) / "filler"
    try:
        await asyncio.to_thread(_fill, filler)
        await world.pause(seconds)
    finally:
        filler.unlink(missing_ok=True)


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * FILLED_BYTES_AT_ONCE)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise


async def fsync_fails(world: World, target: str, seconds: float) -> None:
    """Every fsync of the process answers EIO."""
    pid = world.on.services[target].pid
    if pid is None:
        return
    inject = "inject=fsync,fdatasync:error=EIO"
    command = ["strace", "-f", "-q", "-p", str(pid), "-e", "trace=fsync,fdatasync", "-e", inject, "-o", "/dev/null"]
    tracer = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
    try:
        await world.pause(seconds)
    finally:
        if tracer.returncode is None:
            tracer.send_signal(signal.SIGINT)
        await tracer.wait()


FAULTS: dict[str, Fault] = {
    "disk-lost": disk_lost,
    "old-copy": old_copy,
    "swapped-copies": swapped_copies,
    "flip-bytes": flip_bytes,
    "truncate-file": truncate_file,
    "disk-full": disk_full,
    "fsync-fails": fsync_fails,
}
