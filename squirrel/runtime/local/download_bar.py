"""The bar of a first start's download, on a terminal."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn


class DownloadBar:
    """`with DownloadBar(title, total_bytes) as advance: advance(bytes)`."""

    def __init__(self, title: str, total_bytes: int) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task(title, total=total_bytes)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __call__(self, size: int) -> None:
        self._bar.advance(self._task, size)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
