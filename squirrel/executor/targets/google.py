"""Google: Pub/Sub's publish, and the tokens of a service account (access and OIDC) by the JWT bearer grant.

Source: Google Cloud, "Using OAuth 2.0 for Server to Server Applications" (RFC 7523), "projects.topics.publish".
"""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode
from typing import Any, Final
from urllib.parse import quote, urlencode

import orjson

from squirrel.executor.targets.amazon import facts_of
from squirrel.wire.target_types import Attempt, CallFailed, Network, Reply, expect_success
from squirrel.wire.target_types.google import PubsubConfig

SCOPE: Final = "https://www.googleapis.com/auth/pubsub"
TOKEN_URI: Final = "https://oauth2.googleapis.com/token"
GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
TOKEN_SECONDS: Final = 3600


async def publish(config: PubsubConfig, attempt: Attempt, network: Network) -> Reply:
    """One message; the reply holds its id."""
    message: dict[str, Any] = {"data": b64encode(attempt.message).decode(), "attributes": facts_of(attempt)}
    if config.ordering_key:
        message["orderingKey"] = config.ordering_key
    headers = {"content-type": "application/json"}
    if config.service_account:
        headers["authorization"] = f"Bearer {await service_token(config.service_account, network, scope=SCOPE)}"
    topic = f"projects/{quote(config.project, safe=':')}/topics/{quote(config.topic, safe='')}"
    body = orjson.dumps({"messages": [message]})
    url = f"{config.endpoint.rstrip('/')}/v1/{topic}:publish"
    reply = await network.request("POST", url, headers=headers, body=body)
    if reply.status == 401 and config.service_account:
        network.forget_token(token_key(config.service_account, scope=SCOPE))
        raise CallFailed("status", "Pub/Sub refused the token (401); the next call fetches another", reply=reply)
    return expect_success(reply)


async def service_token(key_file: str, network: Network, *, scope: str = "", audience: str = "") -> str:
    """An access token for `scope`, or an OIDC token for `audience`; kept until it is about to expire. Raises CallFailed."""

    async def fetch() -> tuple[str, float]:
        account = _account(key_file)
        token_uri = str(account.get("token_uri") or TOKEN_URI)
        claims: dict[str, Any] = {
            "iss": account["client_email"],
            "sub": account["client_email"],
            "aud": token_uri,
            "iat": network.now_ms // 1000,
            "exp": network.now_ms // 1000 + TOKEN_SECONDS,
        }
        claims |= {"target_audience": audience} if audience else {"scope": scope}
        form = urlencode({"grant_type": GRANT, "assertion": _jwt(account, claims)}).encode()
        headers = {"content-type": "application/x-www-form-urlencoded"}
        reply = await network.request("POST", token_uri, headers=headers, body=form)
        if reply.status != 200:
            raise CallFailed("status", f"Google gave no token ({reply.status})", retryable=(reply.status or 0) >= 500)
        try:
            said = orjson.loads(reply.body)
            return str(said["id_token" if audience else "access_token"]), float(said.get("expires_in", TOKEN_SECONDS))
        except (ValueError, KeyError, TypeError):
            raise CallFailed("protocol", "Google's answer holds no token") from None

    return await network.token(token_key(key_file, scope=scope, audience=audience), fetch)


def token_key(key_file: str, *, scope: str = "", audience: str = "") -> str:
    """What a token is kept under."""
    return f"google\0{scope}\0{audience}\0{key_file}"


def _account(key_file: str) -> dict[str, Any]:
    try:
        account = orjson.loads(key_file)
        if (
            isinstance(account, dict)
            and isinstance(account["client_email"], str)
            and isinstance(account["private_key"], str)
        ):
            return account
    except (ValueError, KeyError):
        pass
    raise CallFailed(
        "bad_target", "service_account is no key file (JSON with client_email and private_key)", retryable=False
    )


def _jwt(account: dict[str, Any], claims: dict[str, Any]) -> str:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    header = {"alg": "RS256", "typ": "JWT"}
    if account.get("private_key_id"):
        header["kid"] = str(account["private_key_id"])
    signed = b".".join(_base64(orjson.dumps(each)) for each in (header, claims))
    try:
        key = load_pem_private_key(account["private_key"].encode(), None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, RSAPrivateKey):
        raise CallFailed("bad_target", "private_key of service_account is no RSA key in PEM", retryable=False)
    return (signed + b"." + _base64(key.sign(signed, PKCS1v15(), hashes.SHA256()))).decode()


def _base64(raw: bytes) -> bytes:
    return urlsafe_b64encode(raw).rstrip(b"=")
