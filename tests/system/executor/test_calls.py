"""One executor on a real broker: what is called, when, and what is reported."""

from __future__ import annotations

import json
from collections import Counter

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from standardwebhooks import Webhook

from squirrel.model.target import HttpTarget, KafkaTarget, PluginTarget
from squirrel.testing import Line, Received, Target, answer, no_answer
from squirrel.wire.owner_mark import OwnerMark, encode_owner_mark
from squirrel.wire.public import decode_refused
from tests.eventually import eventually
from tests.system.executor.conftest import World


async def test_an_execution_is_called_and_its_result_reported(world: World) -> None:
    async with Target(answer(201, b"caf\xe9\x00", (("x-kind", "test"),))) as target, world.executor() as service:
        execution = world.execution(5, target.url, due_ms=world.now_ms() + 300, attempt=2, stage=1, retention_ms=9)
        await world.emit(execution)
        (result,) = await world.until(1)
        request = target.requests[0]
        assert request.line == "POST /hook HTTP/1.1"
        assert request.body == execution.message
        assert request.header("squirrel-attempt") == "2"
        assert request.header("idempotency-key") == request.header("webhook-id") == execution.run
        sent = {name.lower(): value for name, value in request.headers}
        Webhook("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").verify(request.body, sent)
        assert (result.state, result.status, result.attempt, result.stage) == ("succeeded", 201, 2, 1)
        assert (result.run, result.schedule_id, result.namespace) == (execution.run, "s5", "default")
        assert result.body == "caf\ufffd\x00"
        assert result.headers["x-kind"] == "test"
        assert result.target == {"type": "http", "url": target.url, "method": "POST"}
        assert result.due_ms == execution.due_ms <= result.started_ms <= result.finished_ms
        assert result.picked_up < result.due <= result.started <= result.finished
        assert (result.error, result.final, result.retention_ms) == (None, False, 9)
        headers = world.headers[0]
        assert headers["ce_type"] == b"squirrel.attempt.finished"
        assert headers["ce_id"] == f"{execution.run}/2".encode()
        assert (headers["ce_subject"], headers["ce_source"]) == (b"s5", b"/squirrel/default")
        topic = world.topics.executions
        await eventually(lambda: committed_is(service, topic, 1, 1))


async def committed_is(service: object, topic: str, partition: int, offset: int) -> bool:
    return bool((await service.app.committed(topic, partition)).offset == offset)  # type: ignore[attr-defined]


async def test_never_early_by_the_receivers_clock(world: World) -> None:
    arrived: list[tuple[int, int]] = []

    async def note(line: Line, received: Received) -> bool:
        arrived.append((world.now_ms(), json.loads(received.body)["number"]))
        return await answer()(line, received)

    async with Target(note) as target, world.executor():
        begin = world.now_ms() + 200
        dues = [begin + (number * 37) % 500 for number in range(400)]
        await world.emit(*(world.execution(n, target.url, due_ms=due) for n, due in enumerate(dues)))
        await world.until(400)
    lateness = sorted(when - dues[number] for when, number in arrived)
    assert len(lateness) == 400
    assert lateness[0] >= 0, lateness[:5]
    assert lateness[200] < 50, "half of them within 50 ms even on a busy machine"


async def test_a_repeat_is_called_once_and_a_stale_epoch_not_at_all(world: World) -> None:
    async with Target(answer()) as target, world.executor() as service:
        first = world.execution(0, target.url, epoch=5)
        again = world.execution(0, target.url, epoch=6)
        stale = world.execution(4, target.url, epoch=5)
        mended = world.execution(4, target.url, epoch=6)
        retry = world.execution(0, target.url, epoch=6, attempt=2)
        await world.emit(first, again, stale, mended, retry, partition=0)
        results = await world.until(3)
        await eventually(lambda: committed_is(service, world.topics.executions, 0, 5))
        assert sorted((result.run, result.attempt) for result in results) == [
            (first.run, 1),
            (first.run, 2),
            (mended.run, 1),
        ]
        assert len(target.requests) == 3
        values = service.values()
        assert (values["repeats_dropped"], values["stale_epochs_dropped"], values["calls"]) == (1, 1, 3)


async def test_a_slow_host_does_not_delay_a_fast_one(world: World) -> None:
    async with (
        Target(no_answer) as slow,
        Target(answer()) as fast,
        world.executor(window=8, window_per_host=8) as service,
    ):
        stuck = [world.execution(n, HttpTarget(slow.url, timeout_ms=60_000)) for n in range(40)]
        await world.emit(*stuck)
        await eventually(lambda: service.values()["in_flight"] >= 4)
        quick = [world.execution(n, fast.url) for n in range(100, 120)]
        await world.emit(*quick)
        results = await world.until(20, 5)
        assert {result.run for result in results} == {execution.run for execution in quick}
        assert service.values()["in_flight"] < 8


async def test_fire_and_forget_is_reported_as_sent(world: World) -> None:
    async with Target(answer(500)) as target, world.executor():
        await world.emit(world.execution(1, target.url, track=False))
        (result,) = await world.until(1)
        assert (result.state, result.status) == ("sent", 500)


async def test_final_gone_and_retryable_failures_are_told_apart(world: World) -> None:
    async with (
        Target(answer(404)) as final,
        Target(answer(410)) as gone,
        Target(answer(503, headers=(("retry-after", "7"),))) as away,
        world.executor(),
    ):
        await world.emit(*(world.execution(n, each.url) for n, each in enumerate((final, gone, away))))
        results = sorted(await world.until(3), key=lambda result: result.schedule_id)
        assert [(r.state, r.final, r.gone, r.retry_after_ms) for r in results] == [
            ("failed", True, False, None),
            ("failed", True, True, None),
            ("failed", False, False, 7000),
        ]
        assert all(result.error is not None and result.error.type == "status" for result in results)


async def test_an_address_that_may_not_be_called_is_a_final_failure(world: World) -> None:
    async with Target(answer()) as target, world.executor(targets_allow_cidrs="") as service:
        await world.emit(world.execution(1, target.url))
        (result,) = await world.until(1)
        assert result.error is not None
        assert (result.state, result.final, result.error.type) == ("failed", True, "refused_by_guard")
        assert target.requests == []
        assert service.values()["calls_failed"] == 1


async def test_the_brokers_port_is_closed_where_loopback_is_open(world: World) -> None:
    async with world.executor():
        await world.emit(world.execution(1, f"http://{world.settings.kafka}/"))
        (result,) = await world.until(1)
        assert result.error is not None
        assert (result.error.type, result.final) == ("refused_by_guard", True)


async def test_kafka_targets(world: World) -> None:
    topic = f"{world.settings.topic_prefix}orders"
    admin = AIOKafkaAdminClient(bootstrap_servers=world.settings.kafka)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 2, 1)])
    await admin.close()
    async with world.executor():
        good = world.execution(1, KafkaTarget(topic, "paper-7", (("x-own", "caf\u00e9"),), 10_000), attempt=3)
        internal = world.execution(2, KafkaTarget(world.topics.commands))
        unknown = world.execution(3, KafkaTarget(f"{topic}.none", timeout_ms=1_500))
        plugin = world.execution(4, PluginTarget("carrier-pigeon", b"{}"))
        await world.emit(good, internal, unknown, plugin)
        by_run = {result.run: result for result in await world.until(4)}
        sent = by_run[good.run]
        assert (sent.state, sent.status, sent.target) == ("succeeded", None, {"type": "kafka", "topic": topic})
        refused = by_run[internal.run].error
        assert refused is not None
        assert (refused.type, by_run[internal.run].final) == ("refused_by_guard", True)
        missing = by_run[unknown.run].error
        assert missing is not None
        assert (missing.type in ("timeout", "produce"), by_run[unknown.run].final) == (True, False)
        strange = by_run[plugin.run].error
        assert strange is not None
        assert "carrier-pigeon" in strange.detail
        assert by_run[plugin.run].final
    async with AIOKafkaConsumer(
        topic, bootstrap_servers=world.settings.kafka, auto_offset_reset="earliest"
    ) as consumer:
        record = await consumer.getone()
        assert (record.key, record.value) == (b"paper-7", good.message)
        headers = Counter(name for name, _ in record.headers)
        assert set(headers.values()) == {1}
        values = dict(record.headers)
        assert values["webhook-id"] == values["idempotency-key"] == good.run.encode()
        assert values["x-own"] == "caf\u00e9".encode()
        assert (values["squirrel-attempt"], values["squirrel-schedule-id"]) == (b"3", b"s1")
        assert values["squirrel-event"] == b"email.send"


async def test_poison_is_set_aside_and_the_lane_goes_on(world: World) -> None:
    async with Target(answer()) as target, world.executor() as service:
        mark = (b"", encode_owner_mark(OwnerMark(4, world.now_ms())), ())
        await world.writer.append(world.topics.executions, 1, [(b"k", b"\x93nonsense", ()), mark, (b"k", None, ())])
        await world.emit(world.execution(5, target.url, epoch=3))
        await world.emit(world.execution(1, target.url, epoch=4))
        assert [result.schedule_id for result in await world.until(1)] == ["s1"], (
            "a former owner's comes behind the mark"
        )
        await eventually(lambda: committed_is(service, world.topics.executions, 1, 5))
        assert service.executor.values()["poison"] == 2, "an owner's mark is none"
    topic = world.topics.refused
    async with AIOKafkaConsumer(
        topic, bootstrap_servers=world.settings.kafka, auto_offset_reset="earliest"
    ) as consumer:
        refused = decode_refused((await consumer.getone()).value or b"")
        assert refused.reason == "poison"
        assert refused.received == {"topic": world.topics.executions, "partition": 1, "offset": 0}
        assert refused.value_base64 == "k25vbnNlbnNl"
