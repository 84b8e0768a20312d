"""What is freed between two batches stays with the process: the next batch takes as much.

glibc gives large allocations (a fetch, a record batch) back to the system when they are freed and has them faulted in again, page
by page: about 7 % of the engine's time while it ingests. Linux with glibc only; elsewhere nothing happens.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Final

from squirrel.model.limits import MIB

KEPT_BYTES: Final = 32 * MIB  # at the end of the heap; what is free beyond it goes back to the system
OWN_MAPPING_BYTES: Final = 16 * MIB  # an allocation of at least this size comes and goes by itself
_M_TRIM_THRESHOLD: Final = -1  # malloc.h
_M_MMAP_THRESHOLD: Final = -3


def keep_freed_memory() -> bool:
    """Sets both thresholds for this process; whether its allocator took them."""
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES) and mallopt(_M_MMAP_THRESHOLD, OWN_MAPPING_BYTES))
