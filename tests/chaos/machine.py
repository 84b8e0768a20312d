"""What this machine lets us do to it: clocks that can be set, file systems that can be filled, tracers; and how busy it is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

FAKETIME: Final = (
    Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"),
    Path("/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1"),
    Path("/usr/lib/faketime/libfaketime.so.1"),
)
FAKED: Final = ("engine-1", "executor-1")
DISK_BYTES: Final = 512 * 1024 * 1024
LOAD_FACTOR_MAX: Final = 6.0
IN_NAMESPACE: Final = "CHAOS_MOUNT_NAMESPACE"  # set in the process that has a mount namespace of its own


@dataclass(slots=True)
class Clocks:
    """Where the clocks of some services are set, and the environment that makes them look there."""

    files: dict[str, Path] = field(default_factory=dict)
    environments: dict[str, dict[str, str]] = field(default_factory=dict)


def faketime() -> Path | None:
    return next((path for path in FAKETIME if path.exists()), None)


def abilities(with_cassandra: bool) -> set[str]:
    """What kinds of faults may need."""
    found = {"cassandra"} if with_cassandra else set()
    if faketime() is not None:
        found.add("faketime")
    if shutil.which("strace") is not None and os.geteuid() == 0:
        found.add("strace")
    if IN_NAMESPACE in os.environ:
        found.add("tmpfs")
    return found


def clock_environment(folder: Path) -> Clocks:
    """libfaketime for two services: it moves `time()` and leaves the monotonic clock and all waiting alone."""
    clocks, library = Clocks(), faketime()
    if library is not None:
        for name in FAKED:
            file = folder / f"clock-{name}"
            set_clock(file, 0)
            clocks.files[name] = file
            clocks.environments[name] = {
                "LD_PRELOAD": str(library),
                "FAKETIME_TIMESTAMP_FILE": str(file),
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                "FAKETIME_CACHE_DURATION": "1",
                "FAKETIME_XRESET": "1",
            }
    return clocks


def set_clock(file: os.PathLike[str], jump_ms: int) -> None:
    """libfaketime reads it again within its cache time; a rename never shows half a line."""
    fresh = f"{os.fspath(file)}.new"
    with open(fresh, "w", encoding="ascii") as opened:  # noqa: PTH123 - beside the rename
        opened.write(f"{jump_ms / 1000:+.3f}\n")
    os.replace(fresh, file)  # noqa: PTH105


def small_disk(path: Path) -> None:
    """A file system of its own, that can be filled; it goes with the namespace of this process."""
    path.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(path)], check=True)


def can_unshare() -> bool:
    """Whether this process may have a mount namespace of its own."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode == 0


def load_factor() -> float:
    """How much longer things may take because others use this machine, 1 to 6: wall time a process needs for its CPU time.

    Our own processes, catching up after the last fault, leave a process of two idle cores about half of one.
    """
    busy = (
        "import time\nbegan = time.monotonic()\nwhile time.process_time() < 0.25: pass\nprint(time.monotonic() - began)"
    )
    said = subprocess.run([sys.executable, "-S", "-c", busy], capture_output=True, text=True, check=True).stdout
    return min(LOAD_FACTOR_MAX, max(1.0, float(said) / 0.25 / 2))
