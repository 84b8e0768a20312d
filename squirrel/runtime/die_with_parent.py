"""Children that end with us, even when we are killed with SIGKILL and can run no handler.

Linux: `prctl(PR_SET_PDEATHSIG, SIGKILL)` between fork and exec. The kernel watches the *thread* that forked, so start children
from a thread that lives as long as the process (the main one). On systems without prctl the clean stop is all there is.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
# Loaded before any fork: between fork and exec nothing may be imported or allocated by the dynamic linker.
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def die_with_parent() -> Callable[[], None] | None:
    """The `preexec_fn` for a child of this process, or None where the system has no such thing."""
    libc = _libc
    if libc is None:
        return None
    parent = os.getpid()

    def arm() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent died between fork and prctl: nobody would send the signal
            os._exit(1)

    return arm
