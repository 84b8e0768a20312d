"""Whether the allocator of this system takes what we ask of it, and keeps what a batch frees."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys

import pytest

PAGES = """
import resource, sys
from squirrel.runtime.memory import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
def batch():
    return [bytes(300_000) for _ in range(20)]
for _ in range(3):
    batch()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    batch()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    """How often ten batches of 6 MB were given a page by the system."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    said = subprocess.run(
        [sys.executable, "-c", PAGES, how], capture_output=True, text=True, check=True, env=environment
    )
    return int(said.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these thresholds")
def test_what_a_batch_frees_is_there_for_the_next() -> None:
    pages_of_a_batch = 20 * 300_000 // resource.getpagesize()
    assert faults("keep") < pages_of_a_batch, "ten batches, and not one of them anew"
    assert faults("as it is") > pages_of_a_batch, "without it most of them"
