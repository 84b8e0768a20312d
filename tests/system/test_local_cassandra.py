"""The embedded Cassandra: starts, takes CQL, keeps it over a kill, ends with its parent."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cassandra.cluster import Cluster, Session
from cassandra.policies import ConstantReconnectionPolicy

from squirrel.runtime.local.cassandra import EmbeddedCassandra
from tests.eventually import eventually
from tests.system.test_local_kafka import alive


@contextmanager
def session(address: str) -> Iterator[Session]:
    host, _, port = address.partition(":")
    cluster = Cluster([host], port=int(port), reconnection_policy=ConstantReconnectionPolicy(0.5, max_attempts=None))
    try:
        yield cluster.connect()
    finally:
        cluster.shutdown()


def test_takes_cql(cassandra: str) -> None:
    with session(cassandra) as cql:
        assert cql.execute("SELECT release_version FROM system.local").one()[0] == "5.0.9"


async def test_acknowledged_rows_survive_a_kill(tmp_path: Path) -> None:
    server = EmbeddedCassandra(tmp_path, environment=os.environ)
    await server.start()
    with session(server.address) as cql:
        cql.execute("CREATE KEYSPACE k WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}")
        cql.execute("CREATE TABLE k.t (id int PRIMARY KEY, v text)")
        cql.execute("INSERT INTO k.t (id, v) VALUES (1, 'kept')")
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    await server.stop()
    async with EmbeddedCassandra(tmp_path, environment=os.environ) as again:
        with session(again.address) as cql:
            assert cql.execute("SELECT v FROM k.t").one()[0] == "kept"


async def test_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    code = f"""
import asyncio, os
from pathlib import Path
from squirrel.runtime.local.cassandra import EmbeddedCassandra
async def main():
    server = EmbeddedCassandra(Path({str(tmp_path)!r}), environment=os.environ)
    await server.start()
    print(server.pid, flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    server = int(await asyncio.to_thread(parent.stdout.readline))
    assert alive(server)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    await eventually(lambda: not alive(server), 5)
