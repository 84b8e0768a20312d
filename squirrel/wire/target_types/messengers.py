"""Slack, and through Apprise the messengers that have no type of their own."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from squirrel.wire.target_types.kind import Secret, TargetType


class SlackConfig(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A message into a Slack channel, by an incoming webhook or by a bot's token and a channel."""

    url: Annotated[Secret, Meta(description="an incoming webhook, https://hooks.slack.com/services/...")] = ""
    token: Annotated[Secret, Meta(description="a bot's token (xoxb-...) with chat:write; needs channel")] = ""
    channel: Annotated[str, Meta(description="a channel's id or name, with a token", max_length=255)] = ""
    api_url: Annotated[str, Meta(description="where Slack's API is", max_length=1024)] = "https://slack.com/api"

    def __post_init__(self) -> None:
        if bool(self.url) == bool(self.token):
            raise ValueError("send either url, an incoming webhook, or token and channel")
        if self.token and not self.channel:
            raise ValueError("a token needs a channel")


def _slack_dials(config: Any) -> list[tuple[str, str]]:
    return [("url", config.url)] if config.url else [("api_url", config.api_url)]


SLACK = TargetType(
    kind="slack",
    title="Slack",
    description="Posts the message: a string or an object's `text` as text, an object with `blocks` or `attachments` as it is.",
    config=SlackConfig,
    send="squirrel.executor.targets.slack:send",
    example={"url": {"secret": "slack_ops"}},
    dials=_slack_dials,
    place=lambda config: "slack" if config.url else config.api_url,
)


class AppriseConfig(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A notification through Apprise: one address per service, such as discord://, msteams://, tgram://."""

    url: Annotated[Secret, Meta(description="an Apprise address, such as discord://id/token or tgram://bot/chat")]
    title: Annotated[str, Meta(description="the notification's title; default: the event", max_length=255)] = ""


APPRISE = TargetType(
    kind="apprise",
    title="Apprise: Discord, Teams, Telegram and others",
    description="Notifies through Apprise. Only services that speak HTTP are taken; every connection goes through the guard.",
    config=AppriseConfig,
    send="squirrel.executor.targets.apprise_door:send",
    example={"url": {"secret": "discord_ops"}},
    place=lambda config: "apprise",
    needs="apprise squirrel[apprise]",
)
