"""Google Pub/Sub."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from squirrel.wire.target_types.kind import Secret, TargetType


class PubsubConfig(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A message on a Pub/Sub topic, as a service account."""

    project: Annotated[str, Meta(pattern=r"^[a-z0-9:._-]{1,128}$")]
    topic: Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9._~+%-]{2,254}$")]
    service_account: Annotated[
        Secret, Meta(description="the service account's key file, as JSON text; empty for an emulator")
    ] = ""
    ordering_key: Annotated[str, Meta(max_length=1024)] = ""
    endpoint: Annotated[str, Meta(max_length=1024)] = "https://pubsub.googleapis.com"


PUBSUB = TargetType(
    kind="pubsub",
    title="Google Pub/Sub",
    description="Publishes the message with the attributes run, schedule, event, attempt and scheduled_for.",
    config=PubsubConfig,
    send="squirrel.executor.targets.google:publish",
    example={"project": "acme-prod", "topic": "reminders", "service_account": {"secret": "gcp_key"}},
    dials=lambda config: [("endpoint", config.endpoint)],
    place=lambda config: config.endpoint,
)
