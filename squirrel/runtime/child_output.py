"""A child's output, line by line, whatever it writes: no line is too long, no byte stops it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

CHUNK_BYTES: Final = 64 * 1024
LINE_BYTES_MAX: Final = 64 * 1024  # the rest of a longer line is shown as the next one
LINES_KEPT: Final = 25  # shown when the child cannot be kept running


async def forward_lines(output: asyncio.StreamReader, take: Callable[[str], None]) -> None:
    """Hands over every line without its end, until the output is closed."""
    pending = b""
    while chunk := await output.read(CHUNK_BYTES):
        *lines, pending = (pending + chunk).split(b"\n")
        while len(pending) >= LINE_BYTES_MAX:
            lines.append(pending[:LINE_BYTES_MAX])
            pending = pending[LINE_BYTES_MAX:]
        for line in lines:
            take(line.rstrip(b"\r").decode("utf-8", "replace"))
    if pending:
        take(pending.decode("utf-8", "replace"))
