"""A FastAPI application that takes signed calls and refuses all others.

SQUIRREL_SECRET=whsec_... uvicorn --app-dir examples receiver_fastapi:app --port 9000
"""
# ruff: noqa: T201, INP001

import os
from typing import Annotated

from fastapi import Depends, FastAPI

from squirrel.client.receiver import Later, Received, Receiver, verified

SECRETS = os.environ["SQUIRREL_SECRET"].split(",")
app = FastAPI()
VERIFIED = Depends(verified(SECRETS))
seen: set[str] = set()  # a table with a unique key, in a real program


@app.post("/hook")
async def hook(call: Annotated[Received, VERIFIED]) -> dict[str, str]:
    """One endpoint, one dependency: what comes in here is signed, whole and fresh."""
    if call.id in seen:  # a run may arrive twice, after a crash or a lost answer
        return {"status": "done before"}
    seen.add(call.id)
    print(f"{call.event}: {call.message}")
    return {"status": "done"}


receiver = Receiver(SECRETS)


@receiver.on("email.*")
async def send(call: Received) -> None:
    """Or one handler for each event; returning is success, raising is another attempt."""
    if not call.message:
        raise Later(after_seconds=60)
    print(f"sending to {call.message['to']}")


app.mount("/events", receiver.asgi)
