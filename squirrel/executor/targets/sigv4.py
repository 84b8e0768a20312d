"""AWS Signature Version 4 for one request. Pure: the instant is an argument.

Source: AWS, "Create a signed AWS API request"; held against the published test vectors and botocore's signer in the tests.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple
from urllib.parse import quote, unquote_plus, urlsplit

ALGORITHM: Final = "AWS4-HMAC-SHA256"
_SAFE: Final = "-_.~"


class Credentials(NamedTuple):
    """Whose request it is. `token` is empty for long-lived keys."""

    access_key_id: str
    secret_access_key: str
    token: str = ""


class Signing(NamedTuple):
    """Where and when."""

    region: str
    service: str
    now_ms: int


def signed_headers(
    method: str, url: str, headers: Mapping[str, str], body: bytes, credentials: Credentials, signing: Signing
) -> dict[str, str]:
    """`headers` (lower-case names) with x-amz-date, x-amz-security-token and authorization; host is signed, and not in it."""
    moment = datetime.fromtimestamp(signing.now_ms // 1000, UTC)
    stamp, day = moment.strftime("%Y%m%dT%H%M%SZ"), moment.strftime("%Y%m%d")
    parts = urlsplit(url)
    signed = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
    signed["x-amz-date"] = stamp
    if credentials.token:
        signed["x-amz-security-token"] = credentials.token
    named = {**signed, "host": parts.netloc.lower()}
    names = ";".join(sorted(named))
    canonical = "\n".join(
        (
            method,
            # Every service but S3 encodes the path once more than it is sent.
            quote(parts.path or "/", safe="/" + _SAFE),
            _query(parts.query),
            *(f"{name}:{named[name]}" for name in sorted(named)),
            "",
            names,
            hashlib.sha256(body).hexdigest(),
        )
    )
    scope = f"{day}/{signing.region}/{signing.service}/aws4_request"
    to_sign = "\n".join((ALGORITHM, stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    key = f"AWS4{credentials.secret_access_key}".encode()
    for part in (day, signing.region, signing.service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.new(key, to_sign.encode(), "sha256").hexdigest()
    told = f"Credential={credentials.access_key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {**signed, "authorization": f"{ALGORITHM} {told}"}


def _query(query: str) -> str:
    if not query:
        return ""
    pairs = (each.partition("=")[::2] for each in query.split("&"))
    encoded = sorted(
        (quote(unquote_plus(name), safe=_SAFE), quote(unquote_plus(value), safe=_SAFE)) for name, value in pairs
    )
    return "&".join(f"{name}={value}" for name, value in encoded)
