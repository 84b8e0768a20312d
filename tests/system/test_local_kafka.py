"""The embedded Kafka: starts, keeps what it took, restarts, ends with its parent, refuses foreign bytes."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from squirrel.runtime.local.jars import JarRefused, JarsUnavailable, cache_dir, ensure_jars, read_lock
from squirrel.runtime.local.jvm import ServerDied, free_port, is_free
from squirrel.runtime.local.kafka import EmbeddedKafka, Listener
from tests.eventually import eventually


async def create_topic(bootstrap: str, name: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, num_partitions=1, replication_factor=1)])
    finally:
        await admin.close()


async def produce(bootstrap: str, topic: str, *values: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
        for value in values:
            await producer.send_and_wait(topic, value)


async def consume(bootstrap: str, topic: str, count: int) -> list[bytes]:
    async with AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest") as consumer:
        async with asyncio.timeout(20):
            return [bytes((await consumer.getone()).value or b"") for _ in range(count)]


async def test_takes_and_gives_records(kafka: str, topic_prefix: str) -> None:
    topic = f"{topic_prefix}orders"
    await create_topic(kafka, topic)
    await produce(kafka, topic, b"one", b"two")
    assert await consume(kafka, topic, 2) == [b"one", b"two"]


async def test_restart_goes_on_with_the_data_and_the_port(tmp_path: Path) -> None:
    server = EmbeddedKafka(tmp_path, environment=os.environ)
    await server.start()
    first = server.bootstrap
    await create_topic(first, "kept")
    await produce(first, "kept", b"acknowledged")
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    assert "status -9" in await server.wait()
    async with EmbeddedKafka(tmp_path, environment=os.environ) as again:
        assert again.bootstrap == first
        assert await consume(again.bootstrap, "kept", 1) == [b"acknowledged"]
        await again.start()  # started already: nothing happens
    await again.stop()  # safe twice
    assert is_free(int(first.rpartition(":")[2]))


async def test_second_instance_with_more_doors_runs_beside_the_first(kafka: str, tmp_path: Path) -> None:
    door = free_port()
    server = EmbeddedKafka(
        tmp_path,
        environment=os.environ,
        listeners={"PROXY": Listener(door)},
        properties={"log.retention.hours": "7"},
    )
    async with server:
        assert server.bootstrap != kafka
        await create_topic(f"127.0.0.1:{door}", "through-the-door")
        await produce(f"127.0.0.1:{door}", "through-the-door", b"x")
        assert await consume(server.bootstrap, "through-the-door", 1) == [b"x"]
        assert "log.retention.hours=7\n" in (tmp_path / "server.properties").read_text()


async def test_taken_port_is_said(kafka: str, tmp_path: Path) -> None:
    port = int(kafka.rpartition(":")[2])
    with pytest.raises(ServerDied, match=f"port {port} .* is taken"):
        await EmbeddedKafka(tmp_path, port, environment=os.environ).start()


async def test_early_death_is_told_with_the_log(tmp_path: Path) -> None:
    server = EmbeddedKafka(tmp_path, environment=os.environ, properties={"num.io.threads": "none"})
    with pytest.raises(ServerDied, match=r"num\.io\.threads"):
        await server.start()
    assert server.pid is None


async def test_broker_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    code = f"""
import asyncio, os, sys
from pathlib import Path
from squirrel.runtime.local.kafka import EmbeddedKafka
async def main():
    server = EmbeddedKafka(Path({str(tmp_path)!r}), environment=os.environ)
    await server.start()
    print(server.pid, flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    broker = int(await asyncio.to_thread(parent.stdout.readline))
    os.kill(broker, 0)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    await eventually(lambda: not alive(broker), 5)


def alive(pid: int) -> bool:
    """Running, and not a zombie that nobody has collected yet."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_changed_byte_in_a_jar_is_refused(tmp_path: Path) -> None:
    ensure_jars("kafka", cache_dir(os.environ))
    shutil.copytree(cache_dir(os.environ) / "jars" / "kafka", tmp_path / "jars" / "kafka")
    jar = tmp_path / "jars" / "kafka" / read_lock("kafka")[3].file_name
    content = bytearray(jar.read_bytes())
    content[len(content) // 2] ^= 1
    jar.write_bytes(content)
    with pytest.raises(JarRefused, match=f"{jar.name} is not the locked"):
        ensure_jars("kafka", tmp_path)


def test_jar_that_cannot_be_had_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    with pytest.raises(JarsUnavailable, match="could not be downloaded"):
        ensure_jars("kafka", tmp_path)
    assert not list((tmp_path / "jars" / "kafka").iterdir()), "a cache never holds half a download"
