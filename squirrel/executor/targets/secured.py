"""Webhooks with something of their own: secret headers, signing keys, credentials, certificates. Opened here, for one call.

The plain webhook's path does not come through here. A target with certificates has a caller, and so a pool, of its own: a
connection that one target authenticated is never lent to another.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from base64 import b64encode
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import quote_plus, urlencode

import orjson
from msgspec.structs import replace

from squirrel.executor.network import CallNetwork, Ways
from squirrel.executor.secrets import Secrets, scrubbed
from squirrel.executor.targets.google import service_token, token_key
from squirrel.executor.targets.http import HttpCaller
from squirrel.model.call_security import ApiKey, Auth, Basic, Bearer, ClientCredentials, HttpSecurity, OidcToken, Tls
from squirrel.model.clock import Clock
from squirrel.model.errors import Refused
from squirrel.model.signing import KEYS_MAX, parse_secret
from squirrel.model.target import HttpTarget, Target
from squirrel.wire.attempt import Attempt, Outcome
from squirrel.wire.secret_texts import is_hidden
from squirrel.wire.target_types import CallFailed

TLS_KEPT_MAX: Final = 256  # sets of certificates, each with its pool
TOKEN_SECONDS_DEFAULT: Final = 300.0  # RFC 6749 5.1: without expires_in nobody knows


def is_secured(target: Target) -> bool:
    """Whether a webhook has anything that must be opened."""
    if not isinstance(target, HttpTarget):
        return False
    return target.security is not None or any(is_hidden(value) for _, value in target.headers)


class SecuredHttp:
    """Calls what `is_secured`. `plain` makes the calls without certificates and is not closed here; `ways` is not either."""

    def __init__(
        self,
        plain: HttpCaller,
        with_tls: Callable[[ssl.SSLContext], HttpCaller],
        secrets: Secrets,
        ways: Ways,
        clock: Clock,
    ) -> None:
        self._plain = plain
        self._with_tls = with_tls
        self._secrets = secrets
        self._ways = ways
        self._clock = clock
        self._callers: OrderedDict[tuple[str, str, str], HttpCaller] = OrderedDict()

    async def close(self) -> None:
        """Drops the callers with certificates. Safe twice."""
        for caller in self._callers.values():
            await caller.close()
        self._callers.clear()

    async def call(self, attempt: Attempt) -> Outcome:
        """As `HttpCaller.call`; what is opened is in no outcome."""
        started_ms = self._clock.now_ms()
        target = attempt.target
        assert isinstance(target, HttpTarget), "the callers send each target type to its own caller"
        security = target.security or HttpSecurity()
        seen: set[str] = set()
        loop = asyncio.get_running_loop()
        began = loop.time()
        network = CallNetwork(self._ways, attempt.namespace, started_ms, began + target.timeout_ms / 1000)
        try:
            async with asyncio.timeout_at(began + target.timeout_ms / 1000):
                opened = await self._opened(target, security, attempt.namespace, (network, seen))
                keys = self._keys(security, attempt.namespace, seen) or attempt.signing_keys
                caller = self._plain if security.tls is None else await self._caller(security.tls, attempt.namespace)
        except TimeoutError:
            return self._failed(CallFailed("timeout", "the token for the call took too long"), started_ms)
        except CallFailed as failed:
            return scrubbed(self._failed(failed, started_ms), seen)
        spent_ms = int((loop.time() - began) * 1000)
        if spent_ms:
            opened = replace(opened, timeout_ms=max(1, target.timeout_ms - spent_ms))
        outcome = await caller.call(replace(attempt, target=opened, signing_keys=keys))
        if outcome.status == 401 and isinstance(security.auth, ClientCredentials | OidcToken):
            self._ways.tokens.forget(self._token_key(security.auth, attempt.namespace, target.url))
        return scrubbed(replace(outcome, started_ms=started_ms), seen)

    async def _opened(
        self, target: HttpTarget, security: HttpSecurity, namespace: str, at: tuple[CallNetwork, set[str]]
    ) -> HttpTarget:
        seen = at[1]
        headers = [(name, str(self._secrets.opened(value, namespace, seen))) for name, value in target.headers]
        if security.auth is not None:
            added = await self._credentials(security.auth, target.url, namespace, at)
            seen.add(added[1].partition(" ")[2] or added[1])
            headers = [each for each in headers if each[0].lower() != added[0].lower()] + [added]
        return replace(target, headers=tuple(headers), security=None)

    async def _credentials(
        self, auth: Auth, url: str, namespace: str, at: tuple[CallNetwork, set[str]]
    ) -> tuple[str, str]:
        network, seen = at

        def opened(stored: str) -> str:
            return str(self._secrets.opened(stored, namespace, seen))

        if isinstance(auth, Bearer):
            return "authorization", f"Bearer {opened(auth.token)}"
        if isinstance(auth, Basic):
            pair = f"{auth.username}:{opened(auth.password)}"
            return "authorization", f"Basic {b64encode(pair.encode()).decode()}"
        if isinstance(auth, ApiKey):
            return auth.name, opened(auth.value)
        if isinstance(auth, ClientCredentials):
            return "authorization", f"Bearer {await self._oauth_token(auth, namespace, network, opened)}"
        token = await service_token(opened(auth.service_account), network, audience=auth.audience or url)
        return "authorization", f"Bearer {token}"

    def _token_key(self, auth: ClientCredentials | OidcToken, namespace: str, url: str = "") -> str:
        if isinstance(auth, OidcToken):
            return token_key(self._secrets.text(auth.service_account, namespace), audience=auth.audience or url)
        secret = self._secrets.text(auth.client_secret, namespace)
        parts = ["oauth2", namespace, auth.token_url, auth.client_id, secret, auth.scope, auth.audience]
        return "\0".join(parts)

    async def _oauth_token(
        self, auth: ClientCredentials, namespace: str, network: CallNetwork, opened: Callable[[str], str]
    ) -> str:
        async def fetch() -> tuple[str, float]:
            form = {"grant_type": "client_credentials"}
            form |= {name: value for name, value in (("scope", auth.scope), ("audience", auth.audience)) if value}
            pair = f"{quote_plus(auth.client_id)}:{quote_plus(opened(auth.client_secret))}"  # RFC 6749 2.3.1
            headers = {
                "content-type": "application/x-www-form-urlencoded",
                "authorization": f"Basic {b64encode(pair.encode()).decode()}",
                "accept": "application/json",
            }
            reply = await network.request("POST", auth.token_url, headers=headers, body=urlencode(form).encode())
            if reply.status != 200:
                final = 400 <= (reply.status or 0) < 500 and reply.status != 429
                raise CallFailed("status", f"the token endpoint answered {reply.status}", retryable=not final)
            try:
                said = orjson.loads(reply.body)
                return str(said["access_token"]), float(said.get("expires_in", TOKEN_SECONDS_DEFAULT))
            except (ValueError, KeyError, TypeError):
                raise CallFailed("protocol", "the token endpoint's answer holds no access_token") from None

        return await network.token(self._token_key(auth, namespace), fetch)

    def _keys(self, security: HttpSecurity, namespace: str, seen: set[str]) -> tuple[bytes, ...]:
        keys: list[bytes] = []
        for stored in security.signing:
            for text in self._secrets.texts(stored, namespace):
                seen.add(text)
                try:
                    keys.append(parse_secret(text))
                except Refused as refused:
                    detail = f"a signing secret cannot be used: {refused.problems[0].reason}"
                    raise CallFailed("secret", detail) from None
        return tuple(keys[:KEYS_MAX])

    async def _caller(self, tls: Tls, namespace: str) -> HttpCaller:
        key = self._secrets.text(tls.key, namespace) if tls.key else ""
        name = (tls.ca, tls.certificate, key)
        caller = self._callers.get(name)
        if caller is None:
            caller = self._callers[name] = self._with_tls(context_of(*name))
            if len(self._callers) > TLS_KEPT_MAX:
                await self._callers.popitem(last=False)[1].close()
        self._callers.move_to_end(name)
        return caller

    def _failed(self, failed: CallFailed, started_ms: int) -> Outcome:
        return Outcome(
            "failed",
            started_ms,
            self._clock.now_ms(),
            error_type=failed.error_type,
            error_detail=failed.detail,
            retryable=failed.retryable,
        )


def context_of(ca: str, certificate: str, key: str) -> ssl.SSLContext:
    """TLS with these authorities (the system's when empty) and this certificate. Raises CallFailed for texts that do not fit."""
    try:
        context = ssl.create_default_context(cadata=ca or None)
        if certificate:
            with _file_of(certificate + "\n" + key) as path:
                context.load_cert_chain(path)
    except (ssl.SSLError, ValueError, OSError):
        raise CallFailed(
            "bad_target", "tls holds certificates or a key that do not fit together", retryable=False
        ) from None
    return context


@contextlib.contextmanager
def _file_of(text: str) -> Iterator[str]:
    """The text as a file that is only in memory: OpenSSL reads keys from files."""
    descriptor = os.memfd_create("squirrel-tls", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
