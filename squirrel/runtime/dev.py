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
from urllib.parse import urlsplit

from pydantic import SecretStr

from squirrel.model.errors import SettingsError
from squirrel.runtime.clock import SystemClock
from squirrel.runtime.kept_secret import kept_secret
from squirrel.runtime.local.jvm import free_port, is_free
from squirrel.runtime.local.kafka import EmbeddedKafka
from squirrel.runtime.processes import Child, Supervisor, http_ready
from squirrel.runtime.settings import Settings, load
from squirrel.runtime.stop_signals import stop_on_signals
from squirrel.runtime.topics import apply_topics

# What differs from a production installation, and why.
EMBEDDED = "embedded"  # what the setting kafka says when nobody named one
PROFILE: Mapping[str, object] = {
    "kafka": EMBEDDED,
    "partitions": 8,  # one machine
    "targets_allow_cidrs": "127.0.0.0/8,::1/128",  # one tries things out against one's own machine
}
# Doors first, so that nothing new comes in while the rest drains.
STOP_ORDER = {"gateway": 0, "intake": 0, "engine": 1, "executor": 1, "recorder": 2}
WATCHDOG = "watchdog"  # reads everything a second time, so it runs when asked for


@dataclass(frozen=True, slots=True)
class DevOptions:
    """The flags of `squirrel dev`; what is None is read from .env, the environment and the defaults."""

    port: int | None = None
    data_dir: Path | None = None
    kafka: str | None = None
    history: str | None = None
    ephemeral: bool = False
    watchdog: bool = False


def run_dev(options: DevOptions) -> int:
    """Run until a signal; the exit code."""
    temporary = Path(tempfile.mkdtemp(prefix="squirrel-")) if options.ephemeral else None
    try:
        settings, notes = settings_of(options, temporary)
        for note in notes:
            say(f"note: {note}")
        with _only_instance(settings.data_dir):
            return asyncio.run(_run(settings))
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def settings_of(options: DevOptions, temporary: Path | None = None) -> tuple[Settings, list[str]]:
    """What all services of this instance share, but for the embedded Kafka's address. Raises SettingsError."""
    flags = {
        "kafka": options.kafka,
        "port": options.port,
        "data_dir": temporary or options.data_dir,
        "history": options.history,
        "internal_token": secrets.token_urlsafe(24),
        "watchdog_url": f"http://127.0.0.1:{free_port()}" if options.watchdog else None,
    }
    settings, notes = load(flags, profile=PROFILE)
    return settings.model_copy(update={"data_dir": settings.data_dir.absolute()}), notes


@contextmanager
def _only_instance(folder: Path) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
    except OSError as error:
        raise SettingsError(f"the data directory {folder} cannot be used: {error.strerror}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingsError(
                f"another squirrel dev uses {folder}: end it, or give this one its own --data-dir and --port"
            ) from None
        yield


async def _run(settings: Settings) -> int:
    if not settings.completion_secret.get_secret_value():
        kept = SecretStr(kept_secret(settings.data_dir / "completion.key"))
        settings = settings.model_copy(update={"completion_secret": kept})
    if not settings.keys():
        kept = SecretStr(kept_secret(settings.data_dir / "encryption.key"))
        settings = settings.model_copy(update={"encryption_keys": kept})
    if not is_free(settings.port):
        raise SettingsError(f"port {settings.port} is taken by another program; choose one with --port")
    stopping = stop_on_signals()
    clock = SystemClock()
    began = clock.monotonic()
    async with AsyncExitStack() as stack:
        settings = settings.model_copy(update={"kafka": await _kafka(settings, stack)})
        await apply_topics(settings)
        say(f"kafka {settings.kafka}")
        supervisor = Supervisor(children(settings), clock=clock, forward=_forward)
        stack.push_async_callback(supervisor.stop)
        if await _first(supervisor.start(), stopping):
            say(f"started in {clock.monotonic() - began:.1f} s; data in {settings.data_dir}; Ctrl-C ends it")
            say(f"ready http://127.0.0.1:{settings.port}")
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


async def _kafka(settings: Settings, stack: AsyncExitStack) -> str:
    if settings.kafka != EMBEDDED:
        return settings.kafka
    kafka = EmbeddedKafka(settings.data_dir / "kafka", environment=os.environ)
    await stack.enter_async_context(kafka)
    return kafka.bootstrap


def children(settings: Settings) -> list[Child]:
    """The services as processes, each with a door of its own."""
    found: list[Child] = []
    ports = {name: free_port() for name in STOP_ORDER}
    if settings.watchdog_url:
        ports[WATCHDOG] = urlsplit(settings.watchdog_url).port or free_port()
    closed = ",".join((settings.refused_ports, *map(str, ports.values()))).lstrip(",")
    settings = settings.model_copy(update={"refused_ports": closed})  # loopback is open to targets, but not these doors
    for name, port in ports.items():
        # The gateway's own /readyz looks through the whole chain: Kafka, definitions, an owner for every partition.
        probed = settings.port if name == "gateway" else port
        found.append(
            Child(
                name=name,
                argv=[sys.executable, "-m", "squirrel", name],
                environment=environment_of(settings, port),
                ready=http_ready("127.0.0.1", probed),
                stop_order=STOP_ORDER.get(name, 2),
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
        "SQUIRREL_COMPLETION_SECRET": settings.completion_secret.get_secret_value(),
        "SQUIRREL_ENCRYPTION_KEYS": settings.encryption_keys.get_secret_value(),
        "SQUIRREL_REFUSED_PORTS": settings.refused_ports,
        "SQUIRREL_INTERNAL_PORT": str(internal_port),
        "SQUIRREL_SHOW_KAFKA": "1",
        "SQUIRREL_WATCHDOG_URL": settings.watchdog_url,
    }
    return {**os.environ, **ours}


def say(line: str) -> None:
    """One line on stdout, at once: other programs wait for it."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _forward(name: str, line: str) -> None:
    sys.stderr.write(f"{name:<9} | {line}\n")
    sys.stderr.flush()
