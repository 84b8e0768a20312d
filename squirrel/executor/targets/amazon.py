"""SQS, SNS, Lambda, EventBridge, Step Functions: one signed request each, and what their answers mean.

Source: the services' API references: SQS SendMessage and EventBridge PutEvents and Step Functions StartExecution in the AWS JSON
protocols, SNS Publish in the query protocol, Lambda Invoke in REST.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

import orjson

from squirrel.executor.targets.sigv4 import Credentials, Signing, signed_headers
from squirrel.model.instants import format_instant
from squirrel.wire.target_types import Attempt, CallFailed, Network, Reply
from squirrel.wire.target_types.amazon import (
    SERVICES,
    AwsConfig,
    EventBridgeConfig,
    LambdaConfig,
    SnsConfig,
    SqsConfig,
    StepFunctionsConfig,
    endpoint_of,
)

_MENDABLE: Final = re.compile(
    r"Throttl|TooManyRequests|RequestLimit|SlowDown|ServiceUnavailable|InternalError|InternalFailure"
)
_CODE: Final = re.compile(rb"<Code>([A-Za-z0-9._]{1,100})</Code>")
_NAME: Final = re.compile(r"[^A-Za-z0-9_-]")
FAILED_HEADER: Final = "x-amz-function-error"


async def sqs(config: SqsConfig, attempt: Attempt, network: Network) -> Reply:
    """SendMessage."""
    asked: dict[str, Any] = {
        "QueueUrl": config.queue_url,
        "MessageBody": attempt.message.decode("utf-8"),
        "MessageAttributes": {
            name: {"DataType": "String", "StringValue": value} for name, value in facts_of(attempt).items()
        },
    }
    if config.queue_url.endswith(".fifo"):
        asked |= {
            "MessageGroupId": config.message_group_id or _name(attempt.schedule_id, 128),
            "MessageDeduplicationId": _name(attempt.run_id, 128),
        }
    return await _json("sqs", config, ("AmazonSQS.SendMessage", "1.0", asked), network)


async def sns(config: SnsConfig, attempt: Attempt, network: Network) -> Reply:
    """Publish."""
    form = {
        "Action": "Publish",
        "Version": "2010-03-31",
        "TopicArn": config.topic_arn,
        "Message": attempt.message.decode("utf-8"),
    }
    if config.subject:
        form["Subject"] = config.subject
    if config.topic_arn.endswith(".fifo"):
        form["MessageGroupId"] = config.message_group_id or _name(attempt.schedule_id, 128)
        form["MessageDeduplicationId"] = _name(attempt.run_id, 128)
    for index, (name, value) in enumerate(facts_of(attempt).items(), 1):
        entry = f"MessageAttributes.entry.{index}"
        form |= {f"{entry}.Name": name, f"{entry}.Value.DataType": "String", f"{entry}.Value.StringValue": value}
    headers = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    return await _signed("sns", config, ("/", headers, urlencode(form).encode()), network)


async def invoke(config: LambdaConfig, attempt: Attempt, network: Network) -> Reply:
    """Invoke; a function that fails says so in a header beside a 200."""
    path = f"/2015-03-31/functions/{quote(config.function, safe='')}/invocations"
    if config.qualifier:
        path += f"?Qualifier={quote(config.qualifier, safe='')}"
    kind = "Event" if config.invocation == "event" else "RequestResponse"
    headers = {"content-type": "application/json", "x-amz-invocation-type": kind}
    reply = await _signed("lambda", config, (path, headers, attempt.message), network)
    if FAILED_HEADER in reply.headers:
        raise CallFailed("status", f"the function failed ({reply.headers[FAILED_HEADER][:50]})", reply=reply)
    return reply


async def eventbridge(config: EventBridgeConfig, attempt: Attempt, network: Network) -> Reply:
    """PutEvents with one entry, whose own failure stands beside a 200."""
    detail = attempt.message.decode("utf-8")
    entry = {
        "Source": config.source,
        "DetailType": (config.detail_type or attempt.event)[:128],
        "Detail": detail if detail[:1] == "{" else orjson.dumps({"message": orjson.loads(detail)}).decode(),
        "EventBusName": config.bus,
        "Time": attempt.due_ms // 1000,
    }
    reply = await _json("eventbridge", config, ("AWSEvents.PutEvents", "1.1", {"Entries": [entry]}), network)
    said = _object(reply)
    if said.get("FailedEntryCount"):
        entries = said.get("Entries")
        code = str(entries[0].get("ErrorCode", "")) if isinstance(entries, list) and entries else "no reason given"
        raise CallFailed(
            "status",
            f"EventBridge refused the event: {code[:100]}",
            retryable=bool(_MENDABLE.search(code)),
            reply=reply,
        )
    return reply


async def step_functions(config: StepFunctionsConfig, attempt: Attempt, network: Network) -> Reply:
    """StartExecution, named by the run: that it exists already is what a repeat wanted."""
    asked = {
        "stateMachineArn": config.state_machine_arn,
        "name": _name(attempt.run_id, 80),
        "input": attempt.message.decode("utf-8"),
    }
    try:
        return await _json("step_functions", config, ("AWSStepFunctions.StartExecution", "1.0", asked), network)
    except CallFailed as failed:
        if "ExecutionAlreadyExists" in failed.detail and attempt.number > 1:
            return failed.reply
        raise


def facts_of(attempt: Attempt) -> dict[str, str]:
    """What a webhook is told in headers, as message attributes; SQS and SNS take no empty ones."""
    facts = {
        "squirrel-run": attempt.run_id,
        "squirrel-schedule-id": attempt.schedule_id,
        "squirrel-event": attempt.event,
        "squirrel-attempt": str(attempt.number),
        "squirrel-scheduled-for": format_instant(attempt.due_ms),
    }
    return {name: value for name, value in facts.items() if value}


async def _json(kind: str, config: AwsConfig, asked: tuple[str, str, Mapping[str, Any]], network: Network) -> Reply:
    target, version, document = asked
    headers = {"content-type": f"application/x-amz-json-{version}", "x-amz-target": target}
    return await _signed(kind, config, ("/", headers, orjson.dumps(document)), network)


async def _signed(kind: str, config: AwsConfig, request: tuple[str, dict[str, str], bytes], network: Network) -> Reply:
    path, headers, body = request
    url = endpoint_of(kind, config) + path
    signed = signed_headers(
        "POST",
        url,
        headers,
        body,
        Credentials(config.access_key_id, config.secret_access_key, config.session_token),
        Signing(config.region, SERVICES[kind], network.now_ms),
    )
    reply = await network.request("POST", url, headers=signed, body=body)
    status = reply.status or 0
    if 200 <= status < 300:
        return reply
    code = _code(reply)
    mendable = status >= 500 or status == 429 or bool(_MENDABLE.search(code))
    told = f"AWS answered {status}" + (f" ({code})" if code else "")
    raise CallFailed("status", told, retryable=mendable, reply=reply)


def _code(reply: Reply) -> str:
    """The error's name: a header, a JSON field or an XML element."""
    named = reply.headers.get("x-amzn-errortype", "")
    if not named:
        said = _object(reply)
        named = str(said.get("__type") or said.get("code") or "")
    if not named and (match := _CODE.search(reply.body)):
        named = match.group(1).decode()
    return named.rpartition("#")[2].partition(":")[0][:100]


def _object(reply: Reply) -> dict[str, Any]:
    try:
        found = orjson.loads(reply.body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _name(text: str, chars_max: int) -> str:
    return _NAME.sub("_", text)[:chars_max]
