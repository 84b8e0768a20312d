"""Google's token endpoint and Pub/Sub in one stand-in, which verifies what a service account signed and counts."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import orjson
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from squirrel.testing import Line, Received, answer

JSON = (("content-type", "application/json"),)


@lru_cache(maxsize=1)
def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


class Google:
    """`answers`: the statuses of what is no token request, in order; then 200."""

    def __init__(self, answers: Sequence[int] = ()) -> None:
        self._answers = list(answers)
        self.tokens = 0
        self.claims: list[dict[str, Any]] = []

    def account(self, base: str) -> str:
        """A key file whose tokens are fetched from `base`."""
        pem = _key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        said = {"client_email": "s@p.example", "private_key": pem, "token_uri": base + "/token", "private_key_id": "k1"}
        return orjson.dumps(said).decode()

    async def __call__(self, line: Line, received: Received) -> bool:
        if "/token" not in received.line:
            status = self._answers.pop(0) if self._answers else 200
            return await answer(status, b'{"messageIds":["1"]}', JSON)(line, received)
        self.tokens += 1
        assertion = received.body.partition(b"assertion=")[2]
        signed, _, signature = assertion.rpartition(b".")
        _key().public_key().verify(_base64(signature), signed, padding.PKCS1v15(), hashes.SHA256())
        self.claims.append(orjson.loads(_base64(signed.partition(b".")[2])))
        kind = "id_token" if "target_audience" in self.claims[-1] else "access_token"
        return await answer(200, orjson.dumps({kind: f"token-{self.tokens}", "expires_in": 3600}), JSON)(line, received)


def _base64(text: bytes) -> bytes:
    return b64decode(text + b"=" * (-len(text) % 4), altchars=b"-_")
