"""`squirrel dev`: Kafka and every service on this machine, one ready line, and an end that leaves nothing running.

Promises: `ready` is printed when a schedule sent now would fire; a second instance with another port and data directory works
beside the first; SIGTERM ends it within five seconds; the next start on the same directory goes on where it was.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from squirrel.model.errors import SettingsError
from squirrel.runtime.clock import SystemClock
from squirrel.runtime.local.jvm import free_port, is_free
from squirrel.runtime.local.kafka import EmbeddedKafka
from squirrel.runtime.processes import Child, Supervisor, http_ready
from squirrel.runtime.settings import Settings, load
from squirrel.runtime.stop_signals import stop_on_signals
from squirrel.runtime.topics import apply_topics

# What differs from a production installation, and why.
PROFILE: Mapping[str, object] = {
    "partitions": 8,  # one machine
    "targets_allow_cidrs": "127.0.0.0/8,::1/128",  # one tries things out against one's own machine
}
# Doors first, so that nothing new comes in while the rest drains.
STOP_ORDER = {"gateway": 0, "intake": 0, "engine": 1, "executor": 1, "recorder": 2}


@dataclass(frozen=True, slots=True)
class DevOptions:
    """The flags of `squirrel dev`."""

    port: int = 8080
    data_dir: Path = Path(".squirrel")
    kafka: str | None = None
    history: str | None = None
    ephemeral: bool = False


def run_dev(options: DevOptions) -> int:
    """Run until a signal; the exit code."""
    folder = Path(tempfile.mkdtemp(prefix="squirrel-")) if options.ephemeral else options.data_dir.absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _only_instance(folder):
            return asyncio.run(_run(options, folder))
    except OSError as error:
        raise SettingsError(f"the data directory {folder} cannot be used: {error.strerror}") from None
    finally:
        if options.ephemeral:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _only_instance(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingsError(
                f"another squirrel dev uses {folder}: end it, or give this one its own --data-dir and --port"
            ) from None
        yield


async def _run(options: DevOptions, folder: Path) -> int:
    if not is_free(options.port):
        raise SettingsError(f"port {options.port} is taken by another program; choose one with --port")
    stopping = stop_on_signals()
    clock = SystemClock()
    began = clock.monotonic()
    async with AsyncExitStack() as stack:
        bootstrap = await _kafka(options, folder, stack)
        settings, notes = load(
            {
                "kafka": bootstrap,
                "port": options.port,
                "data_dir": str(folder),
                "history": options.history,
                "internal_token": secrets.token_urlsafe(24),
            },
            profile={**PROFILE, "history": "sqlite:history.db"},
        )
        for note in notes:
            say(f"note: {note}")
        await apply_topics(settings)
        say(f"kafka {bootstrap}")
        supervisor = Supervisor(children(settings), clock=clock, forward=_forward)
        stack.push_async_callback(supervisor.stop)
        if await _first(supervisor.start(), stopping):
            say(f"started in {clock.monotonic() - began:.1f} s; data in {folder}; Ctrl-C ends it")
            say(f"ready http://127.0.0.1:{options.port}")
            await _first(supervisor.wait(), stopping)
    return 0


async def _first(work: Coroutine[Any, Any, None], stopping: asyncio.Event) -> bool:
    """Do the work unless a signal comes first; whether it was done. What it raises is raised."""
    doing = asyncio.ensure_future(work)
    waiting = asyncio.ensure_future(stopping.wait())
    await asyncio.wait({doing, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if doing.done():
        doing.result()
        return True
    doing.cancel()
    await asyncio.wait({doing})
    return False


async def _kafka(options: DevOptions, folder: Path, stack: AsyncExitStack) -> str:
    if options.kafka is not None:
        return options.kafka
    kafka = EmbeddedKafka(folder / "kafka", environment=os.environ)
    await stack.enter_async_context(kafka)
    return kafka.bootstrap


def children(settings: Settings) -> list[Child]:
    """The services as processes, each with a door of its own."""
    found: list[Child] = []
    for name, order in STOP_ORDER.items():
        port = free_port()
        # The gateway's own /readyz looks through the whole chain: Kafka, definitions, an owner for every partition.
        probed = settings.port if name == "gateway" else port
        found.append(
            Child(
                name=name,
                argv=[sys.executable, "-m", "squirrel", name],
                environment=environment_of(settings, port),
                ready=http_ready("127.0.0.1", probed),
                stop_order=order,
            )
        )
    return found


def environment_of(settings: Settings, internal_port: int) -> dict[str, str]:
    """The environment of one child: ours, with every setting that was decided here."""
    ours = {
        "SQUIRREL_KAFKA": settings.kafka,
        "SQUIRREL_TOPIC_PREFIX": settings.topic_prefix,
        "SQUIRREL_PARTITIONS": str(settings.partitions),
        "SQUIRREL_PORT": str(settings.port),
        "SQUIRREL_DATA_DIR": str(settings.data_dir),
        "SQUIRREL_HISTORY": settings.history,
        "SQUIRREL_TARGETS_ALLOW_CIDRS": settings.targets_allow_cidrs,
        "SQUIRREL_INTERNAL_TOKEN": settings.internal_token.get_secret_value(),
        "SQUIRREL_INTERNAL_PORT": str(internal_port),
        "SQUIRREL_SHOW_KAFKA": "1",
    }
    return {**os.environ, **ours}


def say(line: str) -> None:
    """One line on stdout, at once: other programs wait for it."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _forward(name: str, line: str) -> None:
    sys.stderr.write(f"{name:<9} | {line}\n")
    sys.stderr.flush()
