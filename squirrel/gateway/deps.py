"""What the gateway is given: everything it needs of the world, wired by `runtime`, and nothing it looks up by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry

from squirrel.gateway.audit_calls import AuditSource
from squirrel.gateway.kafka_writer import Writer
from squirrel.gateway.limits import OUTCOME_SECONDS_MAX, REQUESTS_IN_FLIGHT_MAX, WRITE_SECONDS_MAX
from squirrel.gateway.owner_link import Directory
from squirrel.gateway.stream import LiveSource
from squirrel.model.clock import Clock
from squirrel.stores.history import History
from squirrel.wire.documents import TargetPolicy
from squirrel.wire.route_book import Definitions


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """What an operator decides. Topic names carry the installation's prefix; tokens are never shown."""

    partitions: int  # of the commands topic, fixed at installation
    commands_topic: str = "squirrel.commands"
    definitions_topic: str = "squirrel.definitions"
    results_topic: str = "squirrel.results"
    completions_topic: str = "squirrel.completions"
    dead_letters_topic: str = "squirrel.dead-letters"
    operations_topic: str = "squirrel.operations"
    watchdog_url: str = ""  # of its internal door; empty: there is none
    audit_topic: str = "squirrel.audit"
    audit: bool = True  # a record for each changing call
    audit_key: str = field(default="", repr=False)  # of the records' hashes; empty: a plain hash
    link_token: str = field(default="", repr=False)  # what the owners' internal HTTP asks for
    api_token: str | None = field(default=None, repr=False)  # None: everyone may call
    completion_secret: str = field(default="", repr=False)  # of the tokens of asynchronous targets
    targets: TargetPolicy = field(default_factory=TargetPolicy)
    allowed_origins: tuple[str, ...] = ()  # of browsers
    kafka_bootstrap: str | None = None  # shown by /api/v1/stats; `squirrel dev` sets it
    version: str = "0"
    max_retries: int = 3  # RETRIES of the seeds: of schedules made through their APIs
    retry_seconds: float = 1.0  # RETRY_TIME of the seeds
    pending_window_minutes: int = 10  # PREQUEUER_EVENT_TIMEFRAME_MINUTES: how far ahead the RRule seed lists events
    n8n_base_url: str = "http://localhost:5678"  # where the Workflow seed's n8n_workflow targets are
    crowded_minute_runs: int = 1_000  # a create whose minute holds more is warned; 0: never
    write_seconds: float = WRITE_SECONDS_MAX
    outcome_seconds: float = OUTCOME_SECONDS_MAX
    requests_max: int = REQUESTS_IN_FLIGHT_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayDeps:
    """The parts a gateway works with; it starts and stops what `new_writer` makes, and nothing else of them."""

    clock: Clock
    new_id: Callable[[], str]  # fresh, unguessable, a valid schedule id; also names commands
    settings: GatewaySettings
    new_writer: Callable[[], Writer]
    directory: Directory
    definitions: Definitions
    history: History
    executors: Directory | None = None  # who the executors are; None: their breakers are not asked for
    new_live_source: Callable[[], LiveSource] | None = None  # of results and completions; None: no live stream
    operations: Definitions | None = None  # the operations topic, followed; None: only single repairs
    audit_source: AuditSource | None = None  # the audit topic, read backwards; None: not shown here
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
