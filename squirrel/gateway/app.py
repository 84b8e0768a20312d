"""The application: parts made from what the runtime gives, calls from the table, the door in front."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import cache, partial
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response

from squirrel.gateway import asyncapi
from squirrel.gateway.access import Access
from squirrel.gateway.api_table import Handlers, operations_of
from squirrel.gateway.audit_calls import AuditCalls
from squirrel.gateway.audit_trail import AuditTrail
from squirrel.gateway.batch import Batch
from squirrel.gateway.call import Call
from squirrel.gateway.compat.openapi import rrule_yaml
from squirrel.gateway.compat.table import foreign_routes, seed_of, unauthorized
from squirrel.gateway.crowding import Crowding
from squirrel.gateway.definitions import Routes
from squirrel.gateway.delivery_operations import delivery_operations
from squirrel.gateway.deps import GatewayDeps, GatewaySettings
from squirrel.gateway.docs_page import docs_page
from squirrel.gateway.door import Door
from squirrel.gateway.expectation_calls import ExpectationCalls
from squirrel.gateway.idempotency import IdempotencyKeys
from squirrel.gateway.kafka_writer import KafkaWriter
from squirrel.gateway.lookups import Lookups
from squirrel.gateway.openapi import document_of
from squirrel.gateway.operation import Operation, routes_of
from squirrel.gateway.owner_link import OwnerLink
from squirrel.gateway.planning import Planning
from squirrel.gateway.problems import of_status
from squirrel.gateway.producing import CommandLog
from squirrel.gateway.repair import Repair
from squirrel.gateway.replays import Replays
from squirrel.gateway.runs import RunParts, Runs
from squirrel.gateway.schedules import Parts, Schedules
from squirrel.gateway.status import Meters, Status
from squirrel.gateway.target_calls import TargetCalls
from squirrel.gateway.templates import TemplateBook
from squirrel.gateway.writes import Writes
from squirrel.wire.calendar_book import CalendarBook
from squirrel.wire.public import raw_json
from squirrel.wire.route_book import RouteBook
from squirrel.wire.topics import Topics


def create_app(deps: GatewayDeps) -> FastAPI:
    """The gateway as an ASGI application. Its lifespan opens and closes the writer and the links to owners."""
    settings = deps.settings
    writer = KafkaWriter(deps.new_writer, deps.clock)
    commands = CommandLog(partial(writer.append, settings.commands_topic), settings.write_seconds)
    definitions = CommandLog(partial(writer.append, settings.definitions_topic), settings.write_seconds)
    letters = CommandLog(partial(writer.append, settings.dead_letters_topic), settings.write_seconds)
    kept = CommandLog(partial(writer.append, settings.operations_topic), settings.write_seconds)
    audit = _audit_trail(deps, writer)
    link = OwnerLink(deps.directory, deps.clock, settings.link_token, settings.outcome_seconds, settings.partitions)
    parts = _parts(deps, link, commands)
    meters = Meters(deps.registry, commands, link)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await link.start()
        await repair.start()
        try:
            yield
        finally:
            await repair.close()
            await planning.close()
            await asyncio.gather(*(each.close() for each in (commands, definitions, letters, kept)))
            if audit is not None:
                await audit.close()
            await link.close()
            await writer.close()

    planning = Planning(deps, parts, definitions)
    repair = Repair(deps, parts, planning.bulk, letters, kept)
    operations = [
        *operations_of(_handlers(deps, parts, definitions, repair.replays, Status(deps, link, writer, meters))),
        *planning.operations(),
        *delivery_operations(deps, parts, definitions),
        *repair.operations(),
        *TargetCalls(deps, definitions).operations(),
        *AuditCalls(deps.audit_source).operations(),
        *ExpectationCalls(settings.watchdog_url, settings.link_token).operations(),
    ]
    app = FastAPI(
        title="Squirrel",
        version=settings.version,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
        routes=[*routes_of([*operations, *_pages(operations, settings)]), *foreign_routes(deps, parts)],
        exception_handlers={HTTPException: _framework_problem},
    )
    app.state.end_streams = planning.stream.end_all  # a stop waits for open answers, and a stream ends only when told
    app.openapi = lambda: document_of(operations, settings.version)  # type: ignore[method-assign]
    app.add_middleware(
        Door,
        access=Access(settings.api_token, unauthorized),
        monotonic=deps.clock.monotonic,
        answered=meters.answered,
        requests_max=settings.requests_max,
        audit=audit,
    )
    if settings.allowed_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.allowed_origins),
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=["ETag", "Location", "Retry-After"],
        )
    return app


def _audit_trail(deps: GatewayDeps, writer: KafkaWriter) -> AuditTrail | None:
    """The chain of this process, under a name that no other process has."""
    settings = deps.settings
    if not settings.audit:
        return None
    append = partial(writer.append, settings.audit_topic)
    return AuditTrail(append, deps.clock, deps.new_id(), settings.partitions, settings.audit_key.encode())


def _parts(deps: GatewayDeps, link: OwnerLink, commands: CommandLog) -> Parts:
    lookups = Lookups(link, deps.settings.partitions)
    book, writes = RouteBook(deps.definitions), Writes(commands, link)
    calendars = CalendarBook(deps.definitions)
    keys, templates = IdempotencyKeys(), TemplateBook(deps.definitions, deps.settings.targets.vault)
    crowding = Crowding(deps.clock, link, deps.settings.crowded_minute_runs)
    return Parts(
        deps.clock, deps.new_id, deps.settings, link, lookups, writes, book, keys, calendars, templates, crowding
    )


def _handlers(deps: GatewayDeps, parts: Parts, definitions: CommandLog, replays: Replays, status: Status) -> Handlers:
    settings, link, lookups, writes = deps.settings, parts.link, parts.lookups, parts.writes
    schedules = Schedules(parts)
    return Handlers(
        schedules=schedules,
        batch=Batch(schedules, writes, parts.crowding, deps.clock),
        runs=Runs(RunParts(deps.clock, deps.new_id, deps.history, link, lookups, replays, settings.targets)),
        routes=Routes(deps.clock, definitions, parts.routes, deps.definitions, settings.targets),
        status=status,
    )


def _pages(operations: Sequence[Operation], settings: GatewaySettings) -> list[Operation]:
    """The documents themselves and the page that shows the first."""

    @cache
    def http() -> bytes:
        return raw_json(document_of(operations, settings.version))

    @cache
    def kafka() -> bytes:
        prefix = settings.audit_topic.removesuffix(Topics().audit)
        return raw_json(asyncapi.document_of(prefix, settings.version))

    async def openapi(_: Call) -> Response:
        return Response(http(), media_type="application/json")

    async def asyncapi_document(_: Call) -> Response:
        return Response(kafka(), media_type="application/json")

    async def docs(_: Call) -> Response:
        headers = {"Content-Security-Policy": "default-src 'self' 'unsafe-inline'; frame-ancestors 'none'"}
        return Response(docs_page(), headers=headers, media_type="text/html; charset=utf-8")

    def page(path: str, handler: Callable[[Call], Any]) -> Operation:
        return Operation(method="GET", path=path, handler=handler, summary=path, tag="docs", hidden=True)

    async def rrule_document(_: Call) -> Response:
        return Response(rrule_yaml(), media_type="application/yaml")

    return [
        page("/openapi.json", openapi),
        page("/asyncapi.json", asyncapi_document),
        page("/docs", docs),
        page("/docs/openapi.yml", rrule_document),
        page("/swagger-ui", docs),
        page("/swagger-ui/", docs),
    ]


async def _framework_problem(request: Request, error: Exception) -> Response:
    """What the router itself refuses, in our shape, or in the seed's whose path it would be."""
    assert isinstance(error, HTTPException)
    if error.status_code == 404 and (seed := seed_of(request.url.path)) is not None:
        return seed.no_route()
    detail = "there is nothing at this path; see /docs" if error.status_code == 404 else str(error.detail)
    return of_status(error.status_code, detail, error.headers).response()
