"""FastAPI: `call: Annotated[Received, Depends(verified(secrets))]`."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING

from squirrel.client.receiver.verifying import NotVerified, Received, verify

if TYPE_CHECKING:
    from starlette.requests import Request


def verified(
    secrets: str | Iterable[str],
    *,
    now: Callable[[], float] = time.time,  # noqa: TID251 - as in Receiver: handed in by whoever tests
) -> Callable[[Request], Awaitable[Received]]:
    """A dependency that gives the verified call, or answers 401 with the reason. Framework imports happen here, on use."""
    from starlette.exceptions import HTTPException
    from starlette.requests import Request

    kept = (secrets,) if isinstance(secrets, str) else tuple(secrets)

    async def dependency(request: Request) -> Received:
        try:
            return verify(request.headers, await request.body(), kept, now())
        except NotVerified as error:
            raise HTTPException(401, str(error)) from error

    dependency.__annotations__["request"] = Request  # FastAPI reads it, and this module's globals do not hold the name
    return dependency
