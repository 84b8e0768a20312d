"""AWS targets against moto's server, and against a raw one for what moto never answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import boto3
import httpx
import pytest
from moto.server import ThreadedMotoServer

from squirrel.testing import Target, answer
from tests.unit.executor.conftest import RUN
from tests.unit.executor.plugins import kit, plugin_attempt

KEYS = {"region": "eu-central-1", "access_key_id": "testing1", "secret_access_key": "testing-secret"}


@pytest.fixture
def moto(server: str) -> str:
    """Nothing is left of the test before: each runs on two loops."""
    httpx.post(f"{server}/moto-api/reset").raise_for_status()
    return server


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def aws(service: str, endpoint: str) -> Any:
    return boto3.client(
        service, region_name="eu-central-1", endpoint_url=endpoint, aws_access_key_id="x", aws_secret_access_key="y"
    )


async def test_sqs_and_its_fifo_queues(moto: str) -> None:
    queues = aws("sqs", moto)
    plain = await asyncio.to_thread(lambda: queues.create_queue(QueueName="plain")["QueueUrl"])
    fifo = await asyncio.to_thread(
        lambda: queues.create_queue(QueueName="q.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    )
    async with kit() as parts:
        for url in (plain, fifo, fifo):
            outcome = await parts.plugins.call(plugin_attempt("sqs", queue_url=url, endpoint=moto, **KEYS))
            assert outcome.state == "succeeded", outcome
            assert outcome.status == 200
    read = {"MessageAttributeNames": ["All"], "MaxNumberOfMessages": 10}
    (got,) = (await asyncio.to_thread(lambda: queues.receive_message(QueueUrl=plain, **read)))["Messages"]
    assert json.loads(got["Body"]) == {"subject": "Reminder"}
    assert got["MessageAttributes"]["squirrel-run"]["StringValue"] == RUN
    twice = (await asyncio.to_thread(lambda: queues.receive_message(QueueUrl=fifo, **read)))["Messages"]
    assert len(twice) == 1, "the run's id is the deduplication id"


async def test_sns_reaches_its_subscribers(moto: str) -> None:
    topics, queues = aws("sns", moto), aws("sqs", moto)

    def prepare() -> tuple[str, str]:
        topic = topics.create_topic(Name="due")["TopicArn"]
        queue = queues.create_queue(QueueName="from-sns")["QueueUrl"]
        arn = queues.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        topics.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        return topic, queue

    topic, queue = await asyncio.to_thread(prepare)
    async with kit() as parts:
        outcome = await parts.plugins.call(
            plugin_attempt("sns", topic_arn=topic, subject="Hi & +", endpoint=moto, **KEYS)
        )
    assert outcome.state == "succeeded", outcome
    (got,) = (await asyncio.to_thread(lambda: queues.receive_message(QueueUrl=queue)))["Messages"]
    assert json.loads(json.loads(got["Body"])["Message"]) == {"subject": "Reminder"}
    assert json.loads(got["Body"])["Subject"] == "Hi & +"


async def test_eventbridge_takes_the_event(moto: str) -> None:
    async with kit() as parts:
        outcome = await parts.plugins.call(plugin_attempt("eventbridge", endpoint=moto, **KEYS))
    assert outcome.state == "succeeded", outcome
    assert json.loads(outcome.body)["FailedEntryCount"] == 0


async def test_what_aws_refuses_is_final_and_what_it_throttles_is_not(moto: str) -> None:
    async with kit() as parts:
        missing = await parts.plugins.call(
            plugin_attempt("sqs", queue_url=f"{moto}/123456789012/none", endpoint=moto, **KEYS)
        )
        assert (missing.state, missing.retryable, missing.error_type) == ("failed", False, "status")
        assert "QueueDoesNotExist" in missing.error_detail
        slow = (("x-amzn-errortype", "ThrottlingException:"),)
        async with Target(answer(400, b"{}", slow)) as target:
            throttled = await parts.plugins.call(
                plugin_attempt("step_functions", endpoint=target.url[:-5], **KEYS, state_machine_arn=MACHINE)
            )
        assert (throttled.state, throttled.retryable) == ("failed", True)


MACHINE = "arn:aws:states:eu-central-1:123456789012:stateMachine:m"


async def test_lambda_is_invoked_and_a_function_that_fails_is_a_failure() -> None:
    async with kit() as parts:
        async with Target(answer(202, b"")) as target:
            base = target.url[:-5]
            queued = await parts.plugins.call(
                plugin_attempt("lambda", function="f:1", qualifier="live", endpoint=base, **KEYS)
            )
        assert queued.state == "succeeded"
        (request,) = target.requests
        assert request.line == "POST /2015-03-31/functions/f%3A1/invocations?Qualifier=live HTTP/1.1"
        assert request.header("x-amz-invocation-type") == "Event"
        assert "Credential=testing1/" in (request.header("authorization") or "")
        assert request.body == b'{"subject":"Reminder"}'
        async with Target(answer(200, b'{"errorMessage":"no"}', (("X-Amz-Function-Error", "Unhandled"),))) as target:
            failed = await parts.plugins.call(
                plugin_attempt("lambda", function="f", invocation="request_response", endpoint=target.url[:-5], **KEYS)
            )
        assert (failed.state, failed.error_detail) == ("failed", "the function failed (Unhandled)")
        assert failed.body == b'{"errorMessage":"no"}'


async def test_a_repeat_of_an_execution_that_exists_is_a_success() -> None:
    body = b'{"__type":"com.amazonaws.swf#ExecutionAlreadyExists"}'
    async with kit() as parts, Target(answer(400, body)) as target:
        given = {"endpoint": target.url[:-5], "state_machine_arn": MACHINE, **KEYS}
        first = await parts.plugins.call(plugin_attempt("step_functions", **given))
        again = await parts.plugins.call(plugin_attempt("step_functions", number=2, **given))
    assert (first.state, again.state) == ("failed", "succeeded")


async def test_an_event_that_the_bus_refuses_beside_a_200_is_a_failure() -> None:
    body = b'{"FailedEntryCount":1,"Entries":[{"ErrorCode":"InternalFailure"}]}'
    async with kit() as parts, Target(answer(200, body)) as target:
        outcome = await parts.plugins.call(plugin_attempt("eventbridge", endpoint=target.url[:-5], **KEYS))
    assert (outcome.state, outcome.retryable) == ("failed", True)
