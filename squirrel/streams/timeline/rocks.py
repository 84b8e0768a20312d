"""RocksDB, opened for many small partitions in one process: one cache and one write buffer budget over all of them.

rocksdict raises bare `Exception` with RocksDB's sentence; this file is where the sentence is read.
Stock Faust gives every partition 2 GiB of cache and 192 MiB of memtables and never closes a database (reference faust.md, 1).
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NoReturn

from rocksdict import (
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    Options,
    Rdict,
    ReadOptions,
    WriteBufferManager,
    WriteOptions,
)

from squirrel.model.errors import Fatal
from squirrel.model.limits import KIB, MIB

CACHE_BYTES_DEFAULT: Final = 64 * MIB  # blocks, indexes and filters of all partitions together
WRITE_BUFFER_BYTES_DEFAULT: Final = 64 * MIB  # memtables of all partitions together
MEMTABLE_BYTES: Final = 8 * MIB  # one partition's, so that a flush stays short
BLOCK_BYTES: Final = 16 * KIB  # larger compress better: ids come four times, once per kind of row
BLOOM_BITS_PER_KEY: Final = 10  # most look-ups are of ids that do not exist yet
ZSTD_WINDOW_BITS: Final = -14  # RocksDB's default
OPEN_FILES_MAX: Final = 128  # per partition
LEVEL_BASE_BYTES: Final = 64 * MIB
FILE_BYTES: Final = 32 * MIB


def rocks_options(cache_bytes: int, write_buffer_bytes: int) -> Options:
    """Options that every partition of this process shares, budgets included."""
    cache = Cache(cache_bytes)
    table = BlockBasedOptions()
    table.set_block_cache(cache)
    table.set_block_size(BLOCK_BYTES)
    table.set_bloom_filter(BLOOM_BITS_PER_KEY, False)
    table.set_cache_index_and_filter_blocks(True)
    table.set_pin_l0_filter_and_index_blocks_in_cache(True)
    table.set_format_version(5)
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_block_based_table_factory(table)
    # allow_stall False: over budget a flush starts; the event loop is never held.
    options.set_write_buffer_manager(WriteBufferManager(write_buffer_bytes, False))
    options.set_write_buffer_size(MEMTABLE_BYTES)
    options.set_max_write_buffer_number(4)
    options.set_compression_type(DBCompressionType.zstd())
    options.set_bottommost_compression_type(DBCompressionType.zstd())
    # Level 1: a tenth smaller than lz4 above and zstd 3 below, for no more of the second core (measured on 400,000 rows).
    options.set_compression_options(ZSTD_WINDOW_BITS, 1, 0, 0)
    options.set_level_compaction_dynamic_level_bytes(True)
    options.set_max_bytes_for_level_base(LEVEL_BASE_BYTES)
    options.set_target_file_size_base(FILE_BYTES)
    options.set_max_background_jobs(2)
    options.set_max_open_files(OPEN_FILES_MAX)
    options.set_keep_log_file_num(2)
    options.set_max_log_file_size(MIB)
    options.set_max_manifest_file_size(16 * MIB)
    return options


def without_log() -> Any:
    """For recovery: what a crash takes is replayed from the changelog, so no second log is written."""
    options: Any = WriteOptions()  # its stub says method; it is an attribute
    options.disable_wal = True
    return options


def open_rocks(path: Path, options: Options) -> tuple[Rdict, str | None]:
    """The database at `path`, and why it was wiped first, or None.

    Raises Fatal when another process holds it, the disk is full, or RocksDB refuses for a reason that wiping would not cure.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    reason = _found_broken(path)
    if reason is not None:
        wipe_rocks(path)
    try:
        return Rdict(str(path), options=options), reason
    except Exception as error:  # noqa: BLE001 - rocksdict has no types of its own
        sentence = str(error)
        if not _curable(sentence):
            _refuse(path, error)
    wipe_rocks(path)
    try:
        return Rdict(str(path), options=options), sentence
    except Exception as error:  # noqa: BLE001 - as above
        _refuse(path, error)


def wipe_rocks(path: Path) -> None:
    """Removes a closed database and its mark."""
    shutil.rmtree(path, ignore_errors=True)
    _mark(path).unlink(missing_ok=True)


def broken(path: Path, error: Exception) -> Fatal:
    """What an error of an open database means: the process ends; a corrupted one is wiped and rebuilt by the next start."""
    if isinstance(error, Fatal):
        return error
    sentence = str(error)
    if _curable(sentence):
        with suppress(OSError):  # without the mark the next start meets the same error, and says so
            _mark(path).write_text(sentence, encoding="utf-8")
    return Fatal(f"the timeline in {path} failed: {sentence}")


def below(end: bytes) -> ReadOptions:
    """Options of an iterator that ends below `end`.

    The caller must hold them as long as the iterator: rocksdict does not, and would read freed memory as the bound.
    """
    options = ReadOptions()
    options.set_iterate_upper_bound(end)
    return options


def keys_below(db: Any, start: bytes, end: bytes, limit: int) -> list[bytes]:
    """Up to `limit` keys from `start` on and below `end`, ascending."""
    keys: list[bytes] = []
    bound = below(end)
    cursor = db.iter(bound)
    cursor.seek(start)
    while len(keys) < limit and cursor.valid():
        keys.append(cursor.key())
        cursor.next()
    cursor.status()
    return keys


def property_of(db: Any, name: str) -> int:
    """One of RocksDB's integer properties, 0 when it has none."""
    return int(db.property_int_value(f"rocksdb.{name}") or 0)


def _found_broken(path: Path) -> str | None:
    """Why what lies there must not even be opened: RocksDB would begin an empty database where CURRENT is missing."""
    if _mark(path).exists():
        return _mark(path).read_text(encoding="utf-8")
    if not (path / "CURRENT").exists() and next(path.glob("*.sst"), None) is not None:
        return f"Corruption: {path / 'CURRENT'} is missing beside files of a database"
    return None


def _mark(path: Path) -> Path:
    return path.with_name(path.name + ".corrupt")


def _curable(sentence: str) -> bool:
    return sentence.startswith(("Corruption", "Invalid argument")) or any(
        sign in sentence for sign in ("checksum mismatch", "No such file or directory")
    )


def _refuse(path: Path, error: Exception) -> NoReturn:
    sentence = str(error)
    if "lock" in sentence.lower():
        raise Fatal(
            f"{path} is held by another process ({sentence}); two engines must not share a data directory"
        ) from error
    raise Fatal(f"the timeline in {path} cannot be opened: {sentence}") from error
