"""AWS: SQS, SNS, Lambda, EventBridge, Step Functions. Signed with SigV4 by the executor; the endpoint may be another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from squirrel.wire.target_types.kind import Secret, TargetType

_REGION = r"^[a-z]{2}(-[a-z]+)+-[0-9]{1,2}$"
_ARN = r"^arn:[a-z0-9-]+:{}:[a-z0-9-]*:[0-9]*:.+$"


class AwsConfig(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What every AWS target has."""

    region: Annotated[str, Meta(pattern=_REGION, description="such as eu-central-1")]
    access_key_id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_]{4,128}$")]
    secret_access_key: Secret
    session_token: Secret = ""
    endpoint: Annotated[str, Meta(description="instead of the service's own in the region", max_length=1024)] = ""


class SqsConfig(AwsConfig, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A message on an SQS queue. On a FIFO queue the run's id is the deduplication id, so a repeat adds nothing."""

    queue_url: Annotated[str, Meta(min_length=1, max_length=1024)]
    message_group_id: Annotated[str, Meta(description="FIFO queues; default: the schedule's id", max_length=128)] = ""


class SnsConfig(AwsConfig, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A publication on an SNS topic."""

    topic_arn: Annotated[str, Meta(pattern=_ARN.format("sns"), max_length=512)]
    subject: Annotated[str, Meta(max_length=100, pattern=r"^[ -~]*$")] = ""
    message_group_id: Annotated[str, Meta(description="FIFO topics; default: the schedule's id", max_length=128)] = ""


class LambdaConfig(AwsConfig, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """An invocation of a Lambda function with the message as its event."""

    function: Annotated[str, Meta(description="a name or an ARN", pattern=r"^[A-Za-z0-9_:.$/-]{1,256}$")]
    qualifier: Annotated[str, Meta(description="a version or an alias", pattern=r"^[A-Za-z0-9_$-]{0,128}$")] = ""
    invocation: Annotated[
        Literal["event", "request_response"],
        Meta(description="event: queued by Lambda; request_response: waits for the function and takes its answer"),
    ] = "event"


class EventBridgeConfig(AwsConfig, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """An event on an EventBridge bus; the message is its detail."""

    bus: Annotated[str, Meta(description="a name or an ARN", max_length=256)] = "default"
    source: Annotated[str, Meta(min_length=1, max_length=256)] = "squirrel"
    detail_type: Annotated[str, Meta(description="default: the event", max_length=128)] = ""


class StepFunctionsConfig(AwsConfig, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """An execution of a state machine, named by the run's id: a repeat starts nothing new."""

    state_machine_arn: Annotated[str, Meta(pattern=_ARN.format("states"), max_length=512)]


SERVICES: Final = {"sqs": "sqs", "sns": "sns", "lambda": "lambda", "eventbridge": "events", "step_functions": "states"}


def endpoint_of(kind: str, config: AwsConfig) -> str:
    """Where the service is: what the configuration says, the queue's own host, or the region's public endpoint."""
    if config.endpoint:
        return config.endpoint.rstrip("/")
    if isinstance(config, SqsConfig):
        scheme, _, rest = config.queue_url.partition("://")
        return f"{scheme}://{rest.partition('/')[0]}"
    suffix = "amazonaws.com.cn" if config.region.startswith("cn-") else "amazonaws.com"
    return f"https://{SERVICES[kind]}.{config.region}.{suffix}"


_KEYS: Final = {
    "region": "eu-central-1",
    "access_key_id": "AKIAIOSFODNN7EXAMPLE",
    "secret_access_key": {"secret": "aws_secret"},
}


def _type(kind: str, title: str, description: str, config: type[Struct], example: dict[str, Any]) -> TargetType:
    def dials(made: Any) -> list[tuple[str, str]]:
        if kind == "sqs" and not made.endpoint:
            return [("queue_url", made.queue_url)]
        return [("endpoint", endpoint_of(kind, made))]

    place: Callable[[Any], str] = lambda made: endpoint_of(kind, made)  # noqa: E731
    return TargetType(
        kind=kind,
        title=title,
        description=description,
        config=config,
        send=f"squirrel.executor.targets.amazon:{kind if kind != 'lambda' else 'invoke'}",
        example={**_KEYS, **example},
        dials=dials,
        place=place,
    )


AMAZON_TYPES: Final = (
    _type(
        "sqs", "Amazon SQS", "Sends the message to a queue.", SqsConfig,
        {"queue_url": "https://sqs.eu-central-1.amazonaws.com/123456789012/reminders"},
    ),
    _type(
        "sns", "Amazon SNS", "Publishes the message on a topic.", SnsConfig,
        {"topic_arn": "arn:aws:sns:eu-central-1:123456789012:reminders"},
    ),
    _type("lambda", "AWS Lambda", "Invokes a function.", LambdaConfig, {"function": "send-reminder"}),
    _type("eventbridge", "Amazon EventBridge", "Puts an event on a bus.", EventBridgeConfig, {"bus": "default"}),
    _type(
        "step_functions", "AWS Step Functions", "Starts a state machine.", StepFunctionsConfig,
        {"state_machine_arn": "arn:aws:states:eu-central-1:123456789012:stateMachine:reminders"},
    ),
)  # fmt: skip
