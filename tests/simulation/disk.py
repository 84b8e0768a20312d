"""What a killed process leaves on its disk: what it had written, without what it had only in memory; and copies of older days."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any


def leave_behind(service: Any) -> None:
    """Closes the databases of a dead service. Closing would flush what a kill takes, so the files are put aside before."""
    store = getattr(service, "store", None)
    if store is not None:
        for partition, found in list(store._open.items()):
            kept = Path(f"{found.path}.kept")
            shutil.copytree(found.path, kept)
            store._open.pop(partition)
            found.db.close()
            shutil.rmtree(found.path)
            kept.rename(found.path)
    history = getattr(service, "history", None)
    if history is not None:
        inner = history.store
        for thread in (inner._writer, *inner._readers):
            thread._disconnect()


def timeline_of(world: Any, name: str) -> Path:
    """Where the engine of that name keeps its timeline."""
    folder: Path = world.folder / name / "timeline" / f"{name}-engine"
    return folder


def wipe(world: Any, name: str) -> None:
    """A lost disk."""
    shutil.rmtree(timeline_of(world, name), ignore_errors=True)


def keep_copy(world: Any, name: str) -> bool:
    """Puts a copy aside, to be restored on another day. Only of an engine that does not run."""
    source = timeline_of(world, name)
    if not source.exists():
        return False
    copy = world.folder / "copies" / name
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(source, copy)
    return True


def restore_copy(world: Any, name: str) -> bool:
    """The old copy comes back."""
    copy = world.folder / "copies" / name
    if not copy.exists():
        return False
    wipe(world, name)
    shutil.copytree(copy, timeline_of(world, name))
    return True
