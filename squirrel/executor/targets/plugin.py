"""Targets of every type beyond http and kafka: configuration opened, `send` of the type called, its ending made an outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

import msgspec

from squirrel.executor.network import CallNetwork, Ways
from squirrel.executor.secrets import Secrets, scrubbed
from squirrel.executor.targets.verdict import retry_after_ms
from squirrel.model.clock import Clock
from squirrel.model.limits import RESPONSE_BYTES_KEPT_MAX, RESPONSE_HEADERS_KEPT_MAX
from squirrel.model.target import PluginTarget
from squirrel.wire.attempt import Attempt, Outcome
from squirrel.wire.documents.plugin_target import config_of
from squirrel.wire.target_types import CallFailed, Reply
from squirrel.wire.target_types.kind import TargetType
from squirrel.wire.target_types.registry import TargetTypes

DETAIL_CHARS_MAX: Final = 1000


class PluginCaller:
    """Calls `PluginTarget`s. `ways` is its own and closed with it."""

    def __init__(
        self,
        types: TargetTypes,
        ways: Ways,
        secrets: Secrets,
        clock: Clock,
        network_of: Callable[[Ways, str, int, float], CallNetwork] = CallNetwork,
    ) -> None:
        self._types = types
        self._ways = ways
        self._secrets = secrets
        self._clock = clock
        self._network_of = network_of

    async def close(self) -> None:
        """Drops what is kept. Safe twice."""
        self._ways.close()

    async def call(self, attempt: Attempt) -> Outcome:
        """One `send`, one outcome, by the target's timeout from now."""
        target = attempt.target
        assert isinstance(target, PluginTarget), "the callers send each target type to its own caller"
        started_ms = self._clock.now_ms()
        found = self._types.get(target.kind)
        if found is None or found.missing:
            what = "its plugin" if found is None else found.missing
            detail = f"this executor has no target type {target.kind!r}; install {what} or change the target"
            return self._failed(CallFailed("bad_target", detail, retryable=False), started_ms)
        seen: set[str] = set()
        network = self._network_of(
            self._ways, attempt.namespace, started_ms, asyncio.get_running_loop().time() + target.timeout_ms / 1000
        )
        try:
            async with asyncio.timeout(target.timeout_ms / 1000):
                config = self._config(found, target, attempt.namespace, seen)
                reply = await found.sender()(config, attempt, network)
            if not isinstance(reply, Reply):
                raise TypeError(f"send of {target.kind} gave no Reply")
            outcome = self._replied(reply, started_ms)
        except TimeoutError:
            outcome = self._failed(CallFailed("timeout", "the target took too long"), started_ms)
        except CallFailed as failed:
            outcome = self._failed(failed, started_ms)
        except (OSError, EOFError):
            outcome = self._failed(CallFailed("disconnected", "the connection broke"), started_ms)
        except Exception as error:  # noqa: BLE001 - somebody else's code; its text may hold what it was given
            outcome = self._failed(
                CallFailed("internal", f"the target type {target.kind} failed ({type(error).__name__})"), started_ms
            )
        finally:
            network.close()
        return scrubbed(outcome, seen)

    def _config(self, found: TargetType, target: PluginTarget, namespace: str, seen: set[str]) -> Any:
        opened = self._secrets.opened(config_of(target), namespace, seen)
        try:
            return msgspec.convert(opened, found.config)
        except msgspec.ValidationError as error:
            raise CallFailed(
                "bad_target", f"the configuration does not fit its type: {error}", retryable=False
            ) from None

    def _replied(self, reply: Reply, started_ms: int) -> Outcome:
        return Outcome("succeeded", started_ms, self._clock.now_ms(), reply.status, **_kept(reply))

    def _failed(self, failed: CallFailed, started_ms: int) -> Outcome:
        now_ms, reply = self._clock.now_ms(), failed.reply
        wait_ms = failed.retry_after_ms
        if wait_ms is None and reply.status is not None:
            wait_ms = retry_after_ms(reply.status, reply.headers.get("retry-after"), now_ms)
        return Outcome(
            "failed",
            started_ms,
            now_ms,
            reply.status,
            **_kept(reply),
            error_type=failed.error_type,
            error_detail=failed.detail[:DETAIL_CHARS_MAX],
            retry_after_ms=wait_ms,
            retryable=failed.retryable,
        )


def _kept(reply: Reply) -> dict[str, Any]:
    return {
        "headers": dict(list(reply.headers.items())[:RESPONSE_HEADERS_KEPT_MAX]),
        "body": reply.body[:RESPONSE_BYTES_KEPT_MAX],
        "truncated": reply.truncated or len(reply.body) > RESPONSE_BYTES_KEPT_MAX,
    }
