"""The gateway service: uvicorn in front of the REST API."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version

import uvicorn

from squirrel.gateway.app import create_app
from squirrel.gateway.deps import GatewayDeps, GatewaySettings
from squirrel.gateway.protocol import server_config
from squirrel.model.errors import SettingsError
from squirrel.runtime.service import Context
from squirrel.runtime.services.parts import (
    definitions_of,
    group_of,
    operations_of,
    stop_all,
    target_policy,
    topics_of,
    writer_of,
)
from squirrel.stores.history import HistoryUnavailable
from squirrel.stores.open import open_history
from squirrel.streams.assignor import OwnerDirectory
from squirrel.streams.live_tail import LiveTail
from squirrel.streams.topic_pages import TopicPages

BACKLOG = 2048


class Server(uvicorn.Server):
    """uvicorn without its own signal handling: `run_service` has the signals."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing is captured."""
        yield


class GatewayService:
    """Wired by `build`; see `squirrel.gateway` for what it promises."""

    def __init__(self, context: Context) -> None:
        settings = context.settings
        topics = topics_of(settings)
        self.context = context
        self.definitions = definitions_of(context)
        self.operations = operations_of(context)
        self.audit = TopicPages(settings.kafka, topics.audit, client_id=settings.worker_name(context.name))
        self.directory = OwnerDirectory(settings.kafka, group_of(settings, "engine"))
        self.executors = OwnerDirectory(settings.kafka, group_of(settings, "executor"))
        self.history = open_history(settings.history_url())
        deps = GatewayDeps(
            clock=context.clock,
            new_id=lambda: secrets.token_hex(16),
            settings=GatewaySettings(
                partitions=settings.partitions,
                commands_topic=topics.commands,
                definitions_topic=topics.definitions,
                results_topic=topics.results,
                completions_topic=topics.completions,
                dead_letters_topic=topics.dead_letters,
                operations_topic=topics.operations,
                audit_topic=topics.audit,
                watchdog_url=settings.watchdog_url,
                audit=settings.audit,
                audit_key=settings.audit_key.get_secret_value(),
                link_token=settings.internal_token.get_secret_value(),
                api_token=settings.api_token.get_secret_value() or None,
                completion_secret=settings.completions(),
                targets=target_policy(settings),
                allowed_origins=settings.origins(),
                kafka_bootstrap=settings.kafka if settings.show_kafka else None,
                version=version("squirrel"),
                requests_max=settings.rest_concurrency,
                max_retries=settings.max_retries,
                retry_seconds=settings.retry_initial_seconds,
                pending_window_minutes=settings.pending_window_minutes,
                n8n_base_url=settings.n8n_base_url,
                crowded_minute_runs=settings.crowded_minute_runs,
            ),
            new_writer=lambda: writer_of(context),
            directory=self.directory,
            definitions=self.definitions,
            history=self.history,
            operations=self.operations,
            audit_source=self.audit,
            executors=self.executors,
            new_live_source=lambda: LiveTail(
                settings.kafka, (topics.results, topics.completions), client_id=settings.worker_name(context.name)
            ),
            registry=context.metrics.registry,
        )
        self.app = create_app(deps)
        self.server: uvicorn.Server | None = None
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen once the definitions are known; answers 503 for what is not there yet."""
        settings = self.context.settings
        for followed in (self.definitions, self.operations):
            await followed.start()
            await followed.ready()
        try:
            await self.history.start()
        except HistoryUnavailable as error:
            self.context.log.warning("the history store is away; runs cannot be read", reason=str(error))
        listening = self._listen(settings.host, settings.port)
        self.server = Server(server_config(self.app, settings.host, settings.port))
        self._serving = asyncio.get_running_loop().create_task(self.server.serve([listening]), name="uvicorn")
        self._serving.add_done_callback(self._ended)
        self.context.log.info("serving", url=f"http://{settings.host}:{listening.getsockname()[1]}")

    async def stop(self) -> None:
        """Answer what is in hand, then close."""
        if self.server is not None and self._serving is not None:
            self.app.state.end_streams(b": the gateway is stopping; connect again\n\n")
            self.server.should_exit = True
            await asyncio.wait({self._serving})
        await stop_all(
            self.definitions.stop,
            self.operations.stop,
            self.audit.stop,
            self.history.close,
            self.directory.close,
            self.executors.close,
        )

    def ready(self) -> str | None:
        """The REST port's own /readyz looks through the whole chain; this one says whether it is served."""
        return None if self.server is not None and self.server.started else "not serving yet"

    def values(self) -> Mapping[str, float]:
        """The gateway's metrics are in the registry itself."""
        return {}

    def _listen(self, host: str, port: int) -> socket.socket:
        try:
            return socket.create_server((host, port), backlog=BACKLOG, reuse_port=False)
        except OSError as error:
            raise SettingsError(f"the gateway cannot listen on {host}:{port}: {error.strerror}") from None

    def _ended(self, serving: asyncio.Task[None]) -> None:
        if not self.context.stopping.is_set():
            error = None if serving.cancelled() else serving.exception()
            self.context.crash(error or "the web server ended by itself")


def build(context: Context) -> GatewayService:
    """The service of `squirrel gateway`."""
    return GatewayService(context)
