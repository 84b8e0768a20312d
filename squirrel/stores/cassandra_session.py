"""A connection to Cassandra that asyncio can wait for: statements in flight, retries, deadlines, the schema.

The driver has its own thread and callbacks. A whole group of statements is driven from there, a bounded number at a time, and
the event loop is woken once, when the group is through.
"""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from threading import Lock
from typing import Any, Final

from cassandra import ConsistencyLevel, DependencyException, InvalidRequest
from cassandra.auth import PlainTextAuthProvider
from cassandra.policies import (
    ConstantReconnectionPolicy,
    DCAwareRoundRobinPolicy,
    FallthroughRetryPolicy,
    RoundRobinPolicy,
    TokenAwarePolicy,
)
from cassandra.protocol import SyntaxException

from squirrel.stores.cassandra_address import CassandraAddress
from squirrel.stores.cassandra_rows import Statement
from squirrel.stores.history import HistoryRejects, HistoryUnavailable

try:
    from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, Session
except DependencyException as error:  # no event loop (libev) for this Python
    raise ImportError(str(error)) from error

IN_FLIGHT_MAX: Final = 128  # statements; beyond it Cassandra answers later, not more
SCHEMA_VERSION: Final = 2
SCHEMAS: Final = {1: "history.cql", 2: "history_2.cql"}  # what leads from the version before to this one
RECONNECT_SECONDS: Final = 0.5
RETRY_SECONDS_FIRST: Final = 0.05
RETRY_SECONDS_MAX: Final = 1.0
TABLE_OPTIONS: Final = (
    "compaction = {'class': 'TimeWindowCompactionStrategy', 'compaction_window_unit': 'DAYS', 'compaction_window_size': 1}"
    " AND gc_grace_seconds = 10800"  # nothing is deleted, so only hints must have arrived
)


class CassandraSession:
    """Connects when first asked and again after every loss; all calls end within `timeout_seconds`."""

    def __init__(self, address: CassandraAddress, statements: dict[str, str], timeout_seconds: float) -> None:
        self._address = address
        self._texts = statements
        self._timeout_seconds = timeout_seconds
        self._cluster: Cluster | None = None
        self._session: Session | None = None
        self._prepared: dict[str, Any] = {}
        self._connecting: asyncio.Future[None] | None = None
        self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="history-cassandra")

    async def connect(self, timeout_seconds: float | None = None) -> None:
        """One attempt at a time, shared by all who wait; it goes on behind the deadline."""
        if self._session is not None:
            return
        if self._connecting is None or self._connecting.done():
            self._connecting = asyncio.get_running_loop().run_in_executor(self._threads, self._connect)
            self._connecting.add_done_callback(lambda done: done.cancelled() or done.exception())
        done, _ = await asyncio.wait({self._connecting}, timeout=timeout_seconds or self._timeout_seconds)
        if not done:
            raise HistoryUnavailable(f"{self._address.text}: no connection within {self._timeout_seconds:g} s")
        try:
            self._connecting.result()
        except Exception as error:
            raise self._judged(error) from error

    async def close(self) -> None:
        """Ends the driver's threads."""
        await asyncio.get_running_loop().run_in_executor(self._threads, self._disconnect)
        self._threads.shutdown(wait=False)

    async def query(self, name: str, params: tuple[Any, ...]) -> list[Any]:
        """The rows of one prepared query, its first page."""
        rows: list[Any] = (await self.run_all([(name, params)]))[0]
        return rows

    async def run_all(self, work: Sequence[Statement | list[Statement]]) -> list[Any]:
        """Runs statements, and lists of statements that share a partition as one batch; -> their rows, in order.

        Repeats what failed for a passing reason until the deadline. Raises HistoryUnavailable or HistoryRejects.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout_seconds
        await self.connect()
        results: list[Any] = [None] * len(work)
        try:
            left = [(index, self._bound(each)) for index, each in enumerate(work)]
        except (TypeError, ValueError, OverflowError) as problem:
            raise HistoryRejects(f"{self._address.text} cannot hold this: {problem}") from problem
        pause = RETRY_SECONDS_FIRST
        while left:
            seconds = deadline - loop.time()
            if self._session is None or seconds <= 0:
                raise HistoryUnavailable(f"{self._address.text}: no answer within {self._timeout_seconds:g} s")
            flight = _Flight(self._session, left, seconds)
            error = await flight.done(loop)
            for index, rows in flight.results:
                results[index] = rows
            left = flight.left()
            if error is not None:
                judged = self._judged(error)
                if isinstance(judged, HistoryRejects) or self._session is None or loop.time() + pause >= deadline:
                    raise judged from error
                await asyncio.sleep(pause)
                pause = min(pause * 2, RETRY_SECONDS_MAX)
        return results

    def _bound(self, work: Statement | list[Statement]) -> Any:
        from cassandra.query import BatchStatement, BatchType

        if isinstance(work, tuple):
            return self._prepared[work[0]].bind(work[1])
        batch = BatchStatement(batch_type=BatchType.UNLOGGED, consistency_level=ConsistencyLevel.LOCAL_QUORUM)
        for name, params in work:
            batch.add(self._prepared[name].bind(params))
        return batch

    def _judged(self, error: Exception) -> HistoryUnavailable | HistoryRejects:
        """Whether waiting could help. A schema that went away is made again by the next call."""
        if isinstance(error, HistoryUnavailable | HistoryRejects):
            return error
        text = f"{self._address.text}: {type(error).__name__}: {error}"[:2000]
        if isinstance(error, TypeError | ValueError | OverflowError | struct.error):  # the driver could not encode it
            return HistoryRejects(text)
        if isinstance(error, InvalidRequest | SyntaxException):
            gone = ("unconfigured table", "does not exist", "nconfigured columnfamily")
            if not any(words in str(error) for words in gone):
                return HistoryRejects(text)
            if self._session is not None:
                self._session = None
                self._threads.submit(self._disconnect)
        return HistoryUnavailable(text)

    def _connect(self) -> None:
        if self._cluster is not None:
            self._disconnect()
        address = self._address
        balancing = DCAwareRoundRobinPolicy(address.datacenter) if address.datacenter else RoundRobinPolicy()
        profile = ExecutionProfile(
            load_balancing_policy=TokenAwarePolicy(balancing),
            retry_policy=FallthroughRetryPolicy(),
            consistency_level=ConsistencyLevel.LOCAL_QUORUM,
            request_timeout=self._timeout_seconds,
        )
        self._cluster = Cluster(
            address.hosts,
            port=address.port,
            auth_provider=PlainTextAuthProvider(address.user, address.password) if address.user else None,
            ssl_context=ssl.create_default_context(cafile=address.ca) if address.tls else None,
            execution_profiles={EXEC_PROFILE_DEFAULT: profile},
            reconnection_policy=ConstantReconnectionPolicy(RECONNECT_SECONDS, max_attempts=None),
            protocol_version=4,  # every Cassandra from 2.2 to 5: nothing to negotiate, so a start is one round trip shorter
            connect_timeout=self._timeout_seconds,
            control_connection_timeout=self._timeout_seconds,
            idle_heartbeat_interval=5,
            idle_heartbeat_timeout=5,
        )
        try:
            session = self._cluster.connect()
            ensure_schema(session, address)
            self._prepared = {
                name: session.prepare(text.replace("{keyspace}", address.keyspace))
                for name, text in self._texts.items()
            }
        except BaseException:
            self._disconnect()
            raise
        self._session = session

    def _disconnect(self) -> None:
        cluster, self._cluster, self._session = self._cluster, None, None
        if cluster is not None:
            cluster.shutdown()


class _Flight:
    """A group of statements on their way, driven by the driver's callbacks; stops launching at the first error."""

    def __init__(self, session: Session, work: list[tuple[int, Any]], timeout_seconds: float) -> None:
        self._session = session
        self._timeout_seconds = timeout_seconds
        self._work = work
        self._next: Iterator[tuple[int, Any]] = iter(work)
        self._lock = Lock()
        self._open = 0
        self._error: Exception | None = None
        self.results: list[tuple[int, Any]] = []

    async def done(self, loop: asyncio.AbstractEventLoop) -> Exception | None:
        """Launches and waits for all that was launched; -> the first error."""
        self._loop = loop
        self._ended: asyncio.Future[None] = loop.create_future()
        for _ in range(min(IN_FLIGHT_MAX, len(self._work))):
            self._launch()
        await self._ended
        return self._error

    def left(self) -> list[tuple[int, Any]]:
        """What has no result."""
        finished = {index for index, _ in self.results}
        return [each for each in self._work if each[0] not in finished]

    def _launch(self) -> None:
        with self._lock:
            item = next(self._next, None) if self._error is None else None
            if item is None:
                if self._open == 0:
                    self._end()
                return
            self._open += 1
        index, statement = item
        try:
            future = self._session.execute_async(statement, timeout=self._timeout_seconds)
        except Exception as error:  # noqa: BLE001  the driver raises what it likes; it is judged by the caller
            self._failed(error)
            return
        future.add_callbacks(self._answered, self._failed, callback_args=(index,))

    def _answered(self, rows: Any, index: int) -> None:
        with self._lock:
            self.results.append((index, rows))
            self._open -= 1
        self._launch()

    def _failed(self, error: Exception) -> None:
        with self._lock:
            self._error = self._error or error
            self._open -= 1
        self._launch()

    def _end(self) -> None:
        def wake() -> None:
            if not self._ended.done():
                self._ended.set_result(None)

        try:
            self._loop.call_soon_threadsafe(wake)
        except RuntimeError:
            return  # the loop was closed: nobody waits any more


def ensure_schema(session: Session, address: CassandraAddress) -> None:
    """Creates or extends keyspace and tables unless the version row is ours; a role without that right only needs them made."""
    version = _version(session, address)
    if version is None:
        strategy = (
            f"{{'class': 'NetworkTopologyStrategy', '{address.datacenter}': {address.replication}}}"
            if address.datacenter
            else f"{{'class': 'SimpleStrategy', 'replication_factor': {address.replication}}}"
        )
        if address.keyspace not in session.cluster.metadata.keyspaces:
            session.execute(f"CREATE KEYSPACE IF NOT EXISTS {address.keyspace} WITH replication = {strategy}")
    if (version or 0) < SCHEMA_VERSION:
        for step in range((version or 0) + 1, SCHEMA_VERSION + 1):
            for statement in _statements(SCHEMAS[step]):
                session.execute(statement.replace("{keyspace}", address.keyspace))
        version = _version(session, address)
    if version != SCHEMA_VERSION:
        raise HistoryUnavailable(
            f"{address.text} has schema version {version}, this release reads {SCHEMA_VERSION}: use the release that "
            "wrote it, or another keyspace"
        )


def _version(session: Session, address: CassandraAddress) -> int | None:
    try:
        row = session.execute(f"SELECT version FROM {address.keyspace}.schema_version WHERE id = 1").one()  # noqa: S608
    except InvalidRequest:
        return None
    return None if row is None else int(row.version)


def _statements(name: str) -> list[str]:
    text = files("squirrel.stores").joinpath(f"schema/{name}").read_text(encoding="utf-8")
    lines = (line for line in text.splitlines() if not line.startswith("--"))
    found = (statement.strip() for statement in "\n".join(lines).split(";"))
    return [statement.replace("{options}", TABLE_OPTIONS) for statement in found if statement]
