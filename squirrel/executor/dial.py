"""From checked addresses to an open connection: our own socket, a numeric address, and the last check before TLS."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from typing import Final

from squirrel.executor.connection import Connection
from squirrel.executor.guard import Failure, Guard
from squirrel.model.addresses import CheckedUrl

ADDRESSES_TRIED_MAX: Final = 3  # of one name; nothing was sent yet, so this is still one attempt
TLS_SHUTDOWN_S: Final = 1.0
TLS_GRACE_S: Final = 1.0  # our deadline speaks first, asyncio's own handshake timer is the net below it
_NAME_MISMATCH: Final = frozenset({62, 64})  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH


async def dial(
    url: CheckedUrl, addresses: tuple[bytes, ...], guard: Guard, tls: ssl.SSLContext | None, deadline: float
) -> Connection | Failure:
    """Connects to the first address that answers; all must come from `guard`. `deadline` is loop time."""
    loop = asyncio.get_running_loop()
    tried = addresses[:ADDRESSES_TRIED_MAX]
    failure = Failure("connect", "the host has no address")
    for index, address in enumerate(tried):
        share = (deadline - loop.time()) / (len(tried) - index)
        opened = await _dial_one(url, address, guard, tls, loop.time() + share)
        if isinstance(opened, Connection) or opened.error_type == "refused_by_guard":
            return opened
        failure = opened
    return failure


async def _dial_one(
    url: CheckedUrl, address: bytes, guard: Guard, tls: ssl.SSLContext | None, deadline: float
) -> Connection | Failure:
    loop = asyncio.get_running_loop()
    family = socket.AF_INET if len(address) == 4 else socket.AF_INET6
    sock = socket.socket(family, socket.SOCK_STREAM)
    phase, connection = "connect", None
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        async with asyncio.timeout_at(deadline):
            await loop.sock_connect(sock, (socket.inet_ntop(family, address), url.port))
            refused = _last_check(sock, url, guard)
            if refused is not None:
                return refused
            phase = "tls"
            opening = Connection(loop, sock, (url.scheme, url.host, url.port, address))
            if tls is None:
                await loop.create_connection(lambda: opening, sock=sock)
            else:
                await loop.create_connection(
                    lambda: opening,
                    sock=sock,
                    ssl=tls,
                    server_hostname=url.host,
                    ssl_handshake_timeout=max(0.0, deadline - loop.time()) + TLS_GRACE_S,
                    ssl_shutdown_timeout=TLS_SHUTDOWN_S,
                )
        connection = opening
        return connection
    except OSError as error:  # TimeoutError and ssl.SSLError are among them
        return _explain(error, phase)
    finally:
        if connection is None:
            sock.close()


def _last_check(sock: socket.socket, url: CheckedUrl, guard: Guard) -> Failure | None:
    peer, here = sock.getpeername(), sock.getsockname()
    if peer[:2] == here[:2]:  # a free local port was dialled from that very port
        return Failure("connect", "connection refused")
    return guard.final(peer[0], url.port)


def _explain(error: OSError, phase: str) -> Failure:
    """An error as a sentence without an address: the texts of OSError and ssl name the peer."""
    if isinstance(error, ssl.SSLCertVerificationError):
        mismatch = error.verify_code in _NAME_MISMATCH
        return Failure(
            "tls", "the certificate is for another host" if mismatch else f"certificate: {error.verify_message}"
        )
    if isinstance(error, ssl.SSLError):
        return Failure("tls", f"the handshake failed ({error.reason or 'no reason given'})".lower().replace("_", " "))
    if isinstance(error, TimeoutError):  # ours, or the kernel's ETIMEDOUT
        return Failure("timeout", f"the {'TLS handshake' if phase == 'tls' else 'connection'} took too long")
    if phase == "tls":
        return Failure("tls", "the target closed the connection during the handshake")
    text = os.strerror(error.errno) if error.errno and error.errno > 0 else "no connection"
    return Failure("connect", text.lower())
