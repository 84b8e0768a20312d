"""Slack: an incoming webhook, or chat.postMessage with a bot's token. Source: api.slack.com, "Sending messages using incoming
webhooks" and "chat.postMessage"."""

from __future__ import annotations

from typing import Any, Final

import orjson

from squirrel.wire.target_types import Attempt, CallFailed, Network, Reply, expect_success, text_of
from squirrel.wire.target_types.messengers import SlackConfig

TEXT_CHARS_MAX: Final = 40_000  # Slack cuts there
_PASSED_ON: Final = (
    "blocks",
    "attachments",
    "thread_ts",
    "username",
    "icon_emoji",
    "icon_url",
    "mrkdwn",
    "unfurl_links",
)
_LATER: Final = frozenset({"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable"})


async def send(config: SlackConfig, attempt: Attempt, network: Network) -> Reply:
    """One post."""
    payload = payload_of(attempt)
    headers = {"content-type": "application/json; charset=utf-8"}
    if config.url:
        return expect_success(await network.request("POST", config.url, headers=headers, body=orjson.dumps(payload)))
    headers["authorization"] = f"Bearer {config.token}"
    payload["channel"] = config.channel
    url = f"{config.api_url.rstrip('/')}/chat.postMessage"
    reply = expect_success(await network.request("POST", url, headers=headers, body=orjson.dumps(payload)))
    try:
        said = orjson.loads(reply.body)
    except ValueError:
        raise CallFailed("protocol", "Slack's answer is no JSON", reply=reply) from None
    if not isinstance(said, dict) or said.get("ok") is not True:
        reason = str(said.get("error", "no reason given"))[:100] if isinstance(said, dict) else "no reason given"
        raise CallFailed("status", f"Slack refused the message: {reason}", retryable=reason in _LATER, reply=reply)
    return reply


def payload_of(attempt: Attempt) -> dict[str, Any]:
    """The message as Slack takes it."""
    text, message = text_of(attempt)
    payload: dict[str, Any] = {name: message[name] for name in _PASSED_ON if name in message}
    if text and not (payload.get("blocks") and "text" not in message):
        payload["text"] = text[:TEXT_CHARS_MAX]
    return payload or {"text": attempt.event}
