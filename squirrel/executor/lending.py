"""A connection for one exchange: a pooled one to a checked address, or a new one; the same for webhooks and for plugins."""

from __future__ import annotations

import asyncio
import ssl

from squirrel.executor.connection import Connection
from squirrel.executor.dial import dial
from squirrel.executor.guard import Failure, Guard
from squirrel.executor.pool import Pool
from squirrel.model.addresses import CheckedUrl


async def lend(
    url: CheckedUrl, guard: Guard, pool: Pool, tls: ssl.SSLContext | None, deadline: float
) -> Connection | Failure:
    """Give it back to the pool after a whole answer. `tls` is for https only; `deadline` is loop time."""
    loop = asyncio.get_running_loop()
    addresses = guard.known(url)
    if addresses is None:
        try:
            async with asyncio.timeout_at(deadline):
                addresses = await guard.addresses(url)
        except TimeoutError:
            return Failure("timeout", "the host's name was not resolved within the timeout")
    if isinstance(addresses, Failure):
        return addresses
    for address in addresses:
        connection = pool.take((url.scheme, url.host, url.port, address), loop.time())
        if connection is not None:
            return connection
    return await dial(url, addresses, guard, tls if url.scheme == "https" else None, deadline)
