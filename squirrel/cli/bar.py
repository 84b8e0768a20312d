"""The bar of long work: on stderr while that is a terminal, nothing else."""

from __future__ import annotations

from typing import Self


class Bar:
    """`with Bar("schedules") as bar: bar.at(done, total)`; without a total it counts."""

    def __init__(self, things: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        console = Console(stderr=True)
        columns = (SpinnerColumn(), BarColumn(), TextColumn("{task.completed:,} " + things), TimeElapsedColumn())
        self._bar = Progress(*columns, console=console, disable=not console.is_terminal, transient=True)
        self._task = self._bar.add_task(things, total=None)

    def at(self, done: int, total: int | None = None) -> None:
        """How far it is."""
        self._bar.update(self._task, completed=done, total=total)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()
