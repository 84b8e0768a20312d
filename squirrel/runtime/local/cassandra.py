"""An embedded single-node Cassandra for the test suite; what it acknowledged is in its commit log and survives kill -9."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from squirrel.runtime.local.jars import cache_dir, ensure_jars
from squirrel.runtime.local.java import find_java
from squirrel.runtime.local.jvm import JvmServer, free_port

VERSION: Final = "5.0.9"
JAVA_MAJORS: Final = (11, 17)  # no other runs Cassandra 5.0
START_SECONDS_MAX: Final = 90
STOP_SECONDS_MAX: Final = 4
PROBE_SECONDS_MAX: Final = 5
MAIN: Final = "org.apache.cassandra.service.CassandraDaemon"
JVM_FLAGS: Final = (
    "-Xms64m",
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",  # half the boot; a test suite never gets warm enough for the optimising compiler
    "-XX:-UsePerfData",
    "-XX:+ExitOnOutOfMemoryError",
    # The first three packages are needed to start, the rest come from Cassandra's own options for Java 17.
    *(
        f"--add-opens={package}=ALL-UNNAMED"
        for package in (
            *(
                "java.base/" + name
                for name in ("sun.nio.ch", "jdk.internal.ref", "java.io", "java.lang", "java.lang.module")
            ),
            *(
                "java.base/" + name
                for name in ("java.lang.reflect", "java.util", "jdk.internal.loader", "jdk.internal.math")
            ),
            *("java.base/jdk.internal." + name for name in ("module", "reflect", "util.jar")),
            "jdk.management/com.sun.management.internal",
        )
    ),
    *(
        f"--add-exports={package}=ALL-UNNAMED"
        for package in (
            "java.base/jdk.internal.misc",
            "java.management.rmi/com.sun.jmx.remote.internal.rmi",
            "java.rmi/sun.rmi.registry",
            "java.rmi/sun.rmi.server",
            "jdk.unsupported/sun.misc",
        )
    ),
)
PROPERTIES: Final[Mapping[str, str]] = {
    "cassandra-foreground": "yes",
    "cassandra.skip_wait_for_gossip_to_settle": "0",
    "cassandra.ring_delay_ms": "0",
    "cassandra.shutdown_announce_in_ms": "0",
    "cassandra.skip_paxos_state_rebuild": "true",
    "cassandra.test.messagingService.nonGracefulShutdown": "true",  # no peers to wait for
    "cassandra.memtable.row_overhead_size": "180",  # measured at every boot otherwise: about 2 s
    "cassandra.test.ignore_sigar": "true",
    "io.netty.tryReflectionSetAccessible": "true",
}
CONFIGURATION: Final = """
cluster_name: squirrel-local
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
endpoint_snitch: SimpleSnitch
listen_address: 127.0.0.1
rpc_address: 127.0.0.1
storage_port: {storage_port}
native_transport_port: {port}
commitlog_sync: batch
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters:
      - seeds: "127.0.0.1:{storage_port}"
"""
LOGGING: Final = """<configuration><appender name="file" class="ch.qos.logback.core.FileAppender"><file>{log}</file><encoder>
<pattern>%-5level %date{{ISO8601}} %logger{{0}} - %msg%n</pattern></encoder></appender>
<root level="WARN"><appender-ref ref="file"/></root></configuration>
"""
_OPTIONS_FRAME: Final = bytes([4, 0, 0, 0, 5, 0, 0, 0, 0])  # native protocol 4
_SUPPORTED: Final = 6


class EmbeddedCassandra:
    """`async with EmbeddedCassandra(data_dir, environment=os.environ) as cassandra: ... cassandra.address`."""

    def __init__(self, data_dir: Path, port: int | None = None, *, environment: Mapping[str, str]) -> None:
        self._folder = data_dir.absolute()
        self._wanted_port = port
        self._environment = environment
        self._port = port or 0
        self._server: JvmServer | None = None

    @property
    def address(self) -> str:
        """`127.0.0.1:port` of CQL, known once started."""
        return f"127.0.0.1:{self._port}"

    @property
    def pid(self) -> int | None:
        """The server's process, None when it does not run."""
        return self._server.pid if self._server else None

    async def start(self) -> None:
        """Returns when CQL answers. Raises JarRefused, JarsUnavailable, JavaUnavailable, ServerDied."""
        if self.pid is not None:
            return
        jars = await asyncio.to_thread(ensure_jars, "cassandra", cache_dir(self._environment))
        java = await asyncio.to_thread(find_java, lambda major: major in JAVA_MAJORS, self._environment)
        self._port = self._wanted_port or free_port()
        command = self._write_configuration(java, jars)
        probe = partial(answers_options, self._port)
        self._server = JvmServer("Cassandra", command, self._folder, probe, [self._folder / "system.log"])
        await self._server.start(START_SECONDS_MAX)

    async def stop(self) -> None:
        """Safe twice."""
        if self._server:
            await self._server.stop(STOP_SECONDS_MAX)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _write_configuration(self, java: Path, jars: tuple[Path, ...]) -> list[str]:
        folder = self._folder
        folder.mkdir(parents=True, exist_ok=True)
        configuration, logging = folder / "cassandra.yaml", folder / "logback.xml"
        configuration.write_text(CONFIGURATION.format(port=self._port, storage_port=free_port()), encoding="utf-8")
        logging.write_text(LOGGING.format(log=folder / "system.log"), encoding="utf-8")
        properties = {
            **PROPERTIES,
            "cassandra.config": configuration.as_uri(),
            "cassandra.storagedir": str(folder),
            "cassandra.logdir": str(folder),
            "logback.configurationFile": str(logging),
        }
        told = [f"-D{key}={value}" for key, value in properties.items()]
        return [str(java), *JVM_FLAGS, *told, "-cp", os.pathsep.join(map(str, jars)), MAIN]


async def answers_options(port: int) -> bool:
    """Whether an OPTIONS frame is answered with SUPPORTED."""
    try:
        async with asyncio.timeout(PROBE_SECONDS_MAX):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(_OPTIONS_FRAME)
                header = await reader.readexactly(9)
            finally:
                writer.close()
    except (OSError, EOFError, TimeoutError):
        return False
    return header[4] == _SUPPORTED
