"""SIGTERM and SIGINT as an event to wait for."""

from __future__ import annotations

import asyncio
import os
import signal


def stop_on_signals() -> asyncio.Event:
    """Set by the first SIGTERM or SIGINT. A second one ends this process at once, and with it its children."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()

    def arrived(number: int) -> None:
        if stopping.is_set():
            os._exit(128 + number)
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, arrived, number)
    return stopping
