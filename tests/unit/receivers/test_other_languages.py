"""What receivers in other languages make of our signatures: every call goes out through the executor's own path, and is
verified by programs that were written from the Standard Webhooks specification with nothing but a standard library.

`tests/unit/executor/test_secured.py` holds the same calls against the specification's own Python library.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from squirrel.model.call_security import HttpSecurity
from squirrel.testing import Received, Target, answer
from squirrel.wire.secret_texts import hide
from tests.unit.executor.conftest import attempt_at
from tests.unit.executor.plugins import VAULT, kit

HERE = Path(__file__).parent
OLD = "whsec_" + b64encode(b"o" * 24).decode()
NEW = "whsec_" + b64encode(b"n" * 64).decode()
FOREIGN = "whsec_" + b64encode(b"f" * 32).decode()
BODIES = [
    b'{"b":1,"a":"\xc3\xa4\xe4\xbe\x8b \xf0\x9f\x90\xbf","n":1.0}',
    b"",
    b'"\\u0000"',
    b"[" + b"0," * 50_000 + b"0]",
]
RUNTIMES = {"node": ("node", str(HERE / "verify.js")), "go": ("go", "run", str(HERE / "verify.go"))}


async def delivered() -> list[Received]:
    """Each body once, signed by both keys as while one is rotated."""
    async with kit() as parts, Target(answer()) as target:
        security = HttpSecurity(signing=tuple(hide(each, VAULT, "default") for each in (NEW, OLD)))
        for body in BODIES:
            outcome = await parts.secured.call(replace(attempt_at(target.url, security=security), message=body))
            assert outcome.state == "succeeded"
    assert len(target.requests) == len(BODIES)
    return target.requests


def seen(
    request: Received, *secrets: str, late_seconds: int = 0, body: bytes | None = None, **headers: str
) -> dict[str, Any]:
    """A call as a receiver has it, with what the test changes of it."""
    told = {name.lower(): value for name, value in request.headers}
    return {
        "secrets": list(secrets),
        "headers": told | {name.replace("_", "-"): value for name, value in headers.items()},
        "body": b64encode(request.body if body is None else body).decode(),
        "now": int(told["webhook-timestamp"]) + late_seconds,
    }


async def verdicts(command: tuple[str, ...], calls: list[dict[str, Any]], home: Path) -> list[str]:
    alone = {"HOME": str(home), **os.environ, "GO111MODULE": "off", "GOTOOLCHAIN": "local"}  # nothing is fetched
    process = await asyncio.create_subprocess_exec(
        *command,
        env=alone,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complained = await process.communicate(json.dumps(calls).encode())
    assert process.returncode == 0, complained.decode()
    found: list[str] = json.loads(said)
    return found


@pytest.mark.parametrize("runtime", RUNTIMES)
async def test_a_receiver_in_another_language_verifies_what_we_send_and_nothing_else(
    runtime: str, tmp_path: Path
) -> None:
    if shutil.which(runtime) is None:
        pytest.skip(f"no {runtime} on this machine: its receiver cannot be run here")
    sent = await delivered()
    first, second = sent[:2]
    good = [seen(request, secret) for request in sent for secret in (NEW, OLD)]
    good += [seen(first, FOREIGN, NEW), seen(first, NEW, late_seconds=300), seen(first, NEW, late_seconds=-300)]
    bad = [
        (seen(first, FOREIGN), "signature"),
        (seen(first, NEW, body=first.body + b" "), "signature"),
        (seen(first, NEW, body=second.body), "signature"),
        (seen(first, NEW, webhook_id="run_other"), "signature"),
        (seen(first, NEW, webhook_timestamp=str(int(seen(first)["headers"]["webhook-timestamp"]) + 1)), "signature"),
        (seen(first, NEW, webhook_signature=seen(second)["headers"]["webhook-signature"]), "signature"),
        (seen(first, NEW, late_seconds=301), "age"),
    ]
    found = await verdicts(RUNTIMES[runtime], good + [call for call, _ in bad], tmp_path)
    assert found == ["ok"] * len(good) + [why for _, why in bad]
