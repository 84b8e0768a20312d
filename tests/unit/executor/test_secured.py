"""What a webhook may have of its own: secret headers, signing keys in rotation, credentials, tokens, certificates."""

from __future__ import annotations

import asyncio
import re
import ssl
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import msgspec
import orjson
import pytest
from standardwebhooks import Webhook

from squirrel.executor.callers import Callers
from squirrel.executor.targets.secured import is_secured
from squirrel.model.call_security import ApiKey, Basic, Bearer, ClientCredentials, HttpSecurity, OidcToken, Tls
from squirrel.model.target import HttpTarget
from squirrel.testing import Line, Received, Target, answer
from squirrel.wire.secret_book import SealedValue, StoredSecret, encode_secret, secret_key, secret_place
from squirrel.wire.secret_texts import NAMED, hide
from tests.unit.executor.conftest import CERTIFICATES, RUN, attempt_at
from tests.unit.executor.google import Google
from tests.unit.executor.plugins import VAULT, Kit, kit

CANARY = "canary-4711-secret"
OLD = "whsec_" + b64encode(b"o" * 32).decode()
NEW = "whsec_" + b64encode(b"n" * 32).decode()


def sealed(text: str, namespace: str = "default") -> str:
    return hide(text, VAULT, namespace)


def put_secret(parts: Kit, name: str, *values: tuple[str, int | None]) -> None:
    place = secret_place("default", name)
    stored = StoredSecret(name, [SealedValue(VAULT.seal(text, place), until) for text, until in values])
    parts.book.values[secret_key("default", name).encode()] = encode_secret(stored)


async def test_a_sealed_and_a_named_header_arrive_in_plain_and_come_back_in_nothing() -> None:
    async def echo(line: Line, received: Received) -> bool:
        told = orjson.dumps(dict(received.headers))
        return await answer(500, told, (("X-Echo", received.header("authorization") or ""),))(line, received)

    async with kit() as parts, Target(echo) as target:
        put_secret(parts, "key", (CANARY + "-named", None))
        headers = (("Authorization", sealed(f"Bearer {CANARY}")), ("X-Key", NAMED + "key"), ("X-Plain", "plain"))
        outcome = await parts.secured.call(attempt_at(target.url, headers=headers))
    (request,) = target.requests
    assert request.header("authorization") == f"Bearer {CANARY}"
    assert request.header("x-key") == CANARY + "-named"
    assert request.header("x-plain") == "plain"
    told = msgspec.json.encode(outcome)
    assert outcome.status == 500
    assert CANARY.encode() not in told, "a target that answers with what it got must not publish it"
    assert CANARY.encode() not in outcome.body
    assert b"***" in outcome.body


@pytest.mark.parametrize(
    ("header", "type_", "says"),
    [
        (NAMED + "missing", "secret", "there is no secret missing"),
        (sealed("x", "acme"), "secret", "sealed for another place"),
        ("\0e00000000.AAAA", "secret", "SQUIRREL_ENCRYPTION_KEYS"),
    ],
)
async def test_what_cannot_be_opened_is_not_called(header: str, type_: str, says: str) -> None:
    async with kit() as parts, Target(answer()) as target:
        outcome = await parts.secured.call(attempt_at(target.url, headers=(("Authorization", header),)))
    assert (outcome.error_type, outcome.retryable, target.requests) == (type_, True, [])
    assert says in outcome.error_detail


async def test_own_keys_sign_and_while_one_is_rotated_both_do() -> None:
    async with kit() as parts, Target(answer()) as target:
        put_secret(parts, "hook", (NEW, None), (OLD, parts.clock.wall_ms + 1000))
        security = HttpSecurity(signing=(NAMED + "hook",))
        attempt = msgspec.structs.replace(attempt_at(target.url, security=security), signing_keys=(b"i" * 24,))
        await parts.secured.call(attempt)
        parts.clock.wall_ms += 1000
        await parts.secured.call(attempt)
        await parts.secured.call(attempt_at(target.url, security=HttpSecurity(signing=(sealed(OLD),))))
    both, after, own = target.requests
    assert [len((each.header("webhook-signature") or "").split()) for each in (both, after, own)] == [2, 1, 1]
    for request, secret in ((both, NEW), (both, OLD), (after, NEW), (own, OLD)):
        signature = request.header("webhook-signature") or ""
        timestamp = int(request.header("webhook-timestamp") or 0)
        mine = Webhook(secret).sign(RUN, _moment(timestamp), request.body.decode())
        assert mine in signature.split()
    assert Webhook(OLD).sign(RUN, _moment(parts.clock.wall_ms // 1000), after.body.decode()) != after.header(
        "webhook-signature"
    )


@pytest.mark.parametrize(
    "message", ['{"b":1,"a":"\u00e4\u4f8b \U0001f43f","n":1.0}', "", '"\\u0000"', "[" + "0," * 50_000 + "0]"]
)
async def test_a_retry_has_the_same_id_and_body_and_a_time_and_signature_of_its_own(message: str) -> None:
    async with kit() as parts, Target(answer(503)) as target:
        for number in (1, 2):
            security = HttpSecurity(signing=(sealed(NEW),))
            attempt = attempt_at(target.url, security=security, timeout_ms=20_000)
            await parts.secured.call(msgspec.structs.replace(attempt, number=number, message=message.encode()))
            parts.clock.wall_ms += 60_000
    first, second = target.requests
    assert first.body == second.body == message.encode(), "signed as it stands, byte for byte"
    assert first.header("webhook-id") == second.header("webhook-id") == RUN
    assert int(second.header("webhook-timestamp") or 0) - int(first.header("webhook-timestamp") or 0) == 60
    assert first.header("webhook-signature") != second.header("webhook-signature")
    for request in (first, second):
        at = _moment(int(request.header("webhook-timestamp") or 0))
        assert request.header("webhook-signature") == Webhook(NEW).sign(RUN, at, message)


def _moment(seconds: int) -> Any:
    import datetime as dt

    return dt.datetime.fromtimestamp(seconds, dt.UTC)


@pytest.mark.parametrize(
    ("auth", "name", "value"),
    [
        (Bearer(sealed("t0ken")), "authorization", "Bearer t0ken"),
        (Basic("user", sealed("p4ss")), "authorization", "Basic " + b64encode(b"user:p4ss").decode()),
        (ApiKey("X-Api-Key", sealed("k3y")), "x-api-key", "k3y"),
    ],
)
async def test_credentials(auth: Any, name: str, value: str) -> None:
    async with kit() as parts, Target(answer()) as target:
        headers = (("Authorization", "overridden"), ("X-Api-Key", "overridden"))
        outcome = await parts.secured.call(attempt_at(target.url, headers=headers, security=HttpSecurity(auth=auth)))
    assert outcome.state == "succeeded", outcome
    assert target.requests[0].header(name) == value
    assert len(target.requests[0].headers) == len({each.lower() for each, _ in target.requests[0].headers})


class TokenEndpoint:
    """OAuth 2.0 client credentials, counting; `status` other than 200 refuses."""

    def __init__(self) -> None:
        self.given = 0
        self.status = 200
        self.forms: list[bytes] = []

    async def __call__(self, line: Line, received: Received) -> bool:
        self.given += 1
        self.forms.append(received.body)
        told = {"access_token": f"token-{self.given}", "token_type": "bearer", "expires_in": 600}
        return await answer(self.status, orjson.dumps(told))(line, received)


async def test_one_oauth_token_serves_all_calls_until_it_is_about_to_expire() -> None:
    endpoint = TokenEndpoint()
    async with kit() as parts, Target(endpoint) as tokens, Target(answer()) as target:
        auth = ClientCredentials(tokens.url, "client", sealed("s3cret+ /"), scope="hooks")
        attempt = attempt_at(target.url, security=HttpSecurity(auth=auth))
        outcomes = await asyncio.gather(*(parts.secured.call(attempt) for _ in range(50)))
        assert {each.state for each in outcomes} == {"succeeded"}, outcomes[0]
        assert endpoint.given == 1
        assert endpoint.forms == [b"grant_type=client_credentials&scope=hooks"]
        assert tokens.requests[0].header("authorization") == "Basic " + b64encode(b"client:s3cret%2B+%2F").decode()
        parts.clock.seconds += 571
        await parts.secured.call(attempt)
    assert endpoint.given == 2
    assert {each.header("authorization") for each in target.requests} == {"Bearer token-1", "Bearer token-2"}


async def test_a_token_that_the_target_refuses_is_fetched_anew_by_the_next_call() -> None:
    endpoint = TokenEndpoint()
    async with kit() as parts, Target(endpoint) as tokens, Target(answer(401)) as target:
        attempt = attempt_at(target.url, security=HttpSecurity(auth=ClientCredentials(tokens.url, "c", sealed("s"))))
        for _ in range(2):
            assert (await parts.secured.call(attempt)).status == 401
    assert endpoint.given == 2


@pytest.mark.parametrize(("status", "retryable"), [(400, False), (401, False), (429, True), (503, True), (302, True)])
async def test_a_token_endpoint_that_refuses_is_a_failure_without_a_call(status: int, retryable: bool) -> None:
    endpoint = TokenEndpoint()
    endpoint.status = status
    async with kit() as parts, Target(endpoint) as tokens, Target(answer()) as target:
        attempt = attempt_at(target.url, security=HttpSecurity(auth=ClientCredentials(tokens.url, "c", sealed("s"))))
        outcome = await parts.secured.call(attempt)
    assert (outcome.state, outcome.retryable, target.requests) == ("failed", retryable, [])


async def test_a_token_endpoint_is_guarded_too() -> None:
    async with kit(loopback=False) as parts:
        auth = ClientCredentials("http://169.254.169.254/token", "c", sealed("s"))
        outcome = await parts.secured.call(attempt_at("http://1.1.1.1/", security=HttpSecurity(auth=auth)))
    assert (outcome.error_type, outcome.retryable) == ("refused_by_guard", False)
    assert "169" not in outcome.error_detail


async def test_an_oidc_token_of_a_service_account_serves_all_calls_until_it_is_about_to_expire() -> None:
    google = Google()
    async with kit() as parts, Target(google) as tokens, Target(answer()) as target:
        base, called = tokens.url[:-5], target.url
        auth = OidcToken(sealed(google.account(base)))
        attempt = attempt_at(target.url, security=HttpSecurity(auth=auth))
        outcomes = await asyncio.gather(*(parts.secured.call(attempt) for _ in range(20)))
        assert {each.state for each in outcomes} == {"succeeded"}, outcomes[0]
        assert google.tokens == 1
        other = HttpSecurity(auth=OidcToken(auth.service_account, "https://audience.example"))
        await parts.secured.call(attempt_at(target.url, security=other))
        parts.clock.seconds += 3571
        await parts.secured.call(attempt)
    first, second, _ = google.claims
    now_s = parts.clock.wall_ms // 1000
    assert first == {
        "iss": "s@p.example",
        "sub": "s@p.example",
        "aud": base + "/token",
        "iat": now_s,
        "exp": now_s + 3600,
        "target_audience": called,
    }
    assert second["target_audience"] == "https://audience.example"
    sent = [each.header("authorization") for each in target.requests]
    assert sent == ["Bearer token-1"] * 20 + ["Bearer token-2", "Bearer token-3"]
    told = b"".join(msgspec.json.encode(each) for each in outcomes)
    assert b"token-1" not in told
    assert b"PRIVATE KEY" not in told


async def test_an_oidc_token_that_the_target_refuses_is_fetched_anew_by_the_next_call() -> None:
    google = Google()
    async with kit() as parts, Target(google) as tokens, Target(answer(401)) as target:
        auth = OidcToken(sealed(google.account(tokens.url[:-5])))
        for _ in range(2):
            assert (await parts.secured.call(attempt_at(target.url, security=HttpSecurity(auth=auth)))).status == 401
    assert google.tokens == 2


async def test_an_account_that_is_no_key_file_is_said_to_be_none() -> None:
    async with kit() as parts:
        outcome = await parts.secured.call(
            attempt_at("http://127.0.0.1:1/", security=HttpSecurity(auth=OidcToken(sealed("{}"))))
        )
    assert (outcome.error_type, outcome.retryable) == ("bad_target", False)


async def test_mutual_tls_with_a_private_authority(server_tls: Callable[[str], ssl.SSLContext]) -> None:
    context = server_tls("loopback")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(CERTIFICATES / "authority.pem")
    ca = (CERTIFICATES / "authority.pem").read_text()
    pair = (CERTIFICATES / "loopback.pem").read_text()
    parts_of = re.findall(r"-----BEGIN ([A-Z ]+)-----.+?-----END \1-----\n?", pair, re.DOTALL)
    blocks = re.findall(r"-----BEGIN .+?-----END [A-Z ]+-----\n?", pair, re.DOTALL)
    named = dict(zip(parts_of, blocks, strict=True))
    key, certificate = next(text for name, text in named.items() if "KEY" in name), named["CERTIFICATE"]
    async with kit() as parts, Target(answer(), context) as target:
        for tls, error_type in (
            (Tls(ca, certificate, sealed(key)), None),
            (Tls(ca), "disconnected or tls"),
            (Tls("", certificate, sealed(key)), "tls"),
            (Tls(ca, certificate, sealed("no key")), "bad_target"),
        ):
            outcome = await parts.secured.call(attempt_at(target.url, security=HttpSecurity(tls=tls)))
            assert (outcome.error_type or "") in (error_type or ""), outcome
            assert (outcome.state == "succeeded") == (error_type is None)
        plain = await parts.plain.call(attempt_at(target.url))
        assert plain.state == "failed", "a connection with a certificate is never lent to another target"


async def test_only_what_holds_secrets_takes_the_longer_way() -> None:
    assert not is_secured(HttpTarget("http://a/", headers=(("X-A", "a"),)))
    assert is_secured(HttpTarget("http://a/", headers=(("X-A", sealed("a")),)))
    assert is_secured(HttpTarget("http://a/", security=HttpSecurity(tls=Tls(ca="x"))))
    async with kit() as parts, Target(answer()) as target:
        callers = Callers(parts.plain, parts.secured, parts.plain, parts.plugins)
        await callers.call(attempt_at(target.url, headers=(("Authorization", sealed("Bearer a")),)))
        await callers.call(attempt_at(target.url, headers=(("X-A", "a"),)))
    assert [each.header("authorization") for each in target.requests] == ["Bearer a", None]
