"""The address guard: a name is resolved once per attempt, every address it has is checked, and only those are dialled.

A refused address refuses the whole name, or an attacker would list a good one first. Resolved addresses are kept for
`NAME_FRESH_S`, because a hot target takes thousands of calls a second; the check itself is made on each attempt, and a verdict
may be remembered for ever because policy and table are constant in a process. Nothing a user can read holds an address.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from functools import lru_cache
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from squirrel.model.addresses import CheckedUrl, Network, host_allowed, is_allowed_only_by_list, refusal
from squirrel.model.clock import Clock
from squirrel.model.namespace_rules import NamespaceRules
from squirrel.wire.attempt import ErrorType

NAME_FRESH_S: Final = 1.0  # short beside any TTL; a flip of the answer is checked like the first answer
NAMES_KEPT_MAX: Final = 4096
RESOLVE_S_MAX: Final = 10.0  # the C resolver gives up after 5 s per server
RESOLVER_THREADS_MAX: Final = 32  # a stuck name server holds threads, so they are ours alone and bounded
RESOLVING_MAX: Final = 1024  # names being resolved at once
ADDRESSES_MAX: Final = 64  # of one name; all are checked
VERDICTS_KEPT_MAX: Final = 8192

Resolve = Callable[[str], list[tuple[str, int]]]  # host -> (address text, scope id) each; blocking; raises OSError


class Failure(Struct, frozen=True):
    """Why there is no answer; `detail` is a sentence for the user and holds no address."""

    error_type: ErrorType
    detail: str
    status: int | None = None


class GuardPolicy(Struct, frozen=True):
    """What the operator allows. No allowed hosts: every host; `own_ports` guard our own services inside `allow_networks`."""

    allow_networks: tuple[Network, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    own_ports: frozenset[int] = frozenset()
    by_namespace: Mapping[str, NamespaceRules] = {}  # whose rules stand instead of the common ones


def system_resolve(host: str) -> list[tuple[str, int]]:
    """The system's resolver, A and AAAA. Blocks; raises OSError."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [(str(name[4][0]).partition("%")[0], int(name[4][3]) if len(name[4]) == 4 else 0) for name in found]


class Guard:
    """Decides which packed addresses a call may dial. One per process; `close()` ends its threads."""

    def __init__(self, policy: GuardPolicy, clock: Clock, resolve: Resolve = system_resolve) -> None:
        self._policy = policy
        self._clock = clock
        self._resolve = resolve
        self._threads = ThreadPoolExecutor(RESOLVER_THREADS_MAX, thread_name_prefix="resolver")
        self._fresh: dict[str, tuple[float, tuple[bytes, ...]]] = {}
        self._resolving: dict[str, asyncio.Task[tuple[bytes, ...] | Failure]] = {}
        self._verdict = lru_cache(VERDICTS_KEPT_MAX)(self._decide)
        self._namespaces: dict[str, Guard] = {}
        self._namespaces = {name: copy(self).narrow(rules) for name, rules in policy.by_namespace.items()}

    def of(self, namespace: str) -> Guard:
        """The guard of one namespace: names are resolved together, rules may be its own."""
        return self._namespaces.get(namespace, self)

    def narrow(self, rules: NamespaceRules) -> Guard:
        """Take these rules; of a copy, before it is used."""
        self._policy = replace(self._policy, allow_networks=rules.allow_cidrs, allowed_hosts=rules.allowed_hosts)
        self._verdict = lru_cache(VERDICTS_KEPT_MAX)(self._decide)
        self._namespaces = {}
        return self

    def close(self) -> None:
        """Drops the threads without waiting for a resolver that hangs."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def known(self, url: CheckedUrl) -> tuple[bytes, ...] | Failure | None:
        """Checked addresses when no resolver is needed (a literal, a name resolved just now), a refusal, or None."""
        if not host_allowed(url.host, self._policy.allowed_hosts):
            return Failure("refused_by_guard", "the host is not among the allowed target hosts (ALLOWED_TARGET_HOSTS)")
        if url.address is not None:
            return self._checked((url.address,), url.port)
        entry = self._fresh.get(url.host)
        if entry is None or entry[0] < self._clock.monotonic():
            return None
        return self._checked(entry[1], url.port)

    async def addresses(self, url: CheckedUrl) -> tuple[bytes, ...] | Failure:
        """As `known`, resolving when it must. The caller's deadline bounds it; calls for one name share one look-up."""
        known = self.known(url)
        if known is not None:
            return known
        task = self._resolving.get(url.host)
        if task is None:
            if len(self._resolving) >= RESOLVING_MAX:
                return Failure("dns", "too many names are being resolved; the resolver may be away")
            task = asyncio.create_task(self._look_up(url.host))
            self._resolving[url.host] = task
        found = await asyncio.shield(task)
        return found if isinstance(found, Failure) else self._checked(found, url.port)

    def final(self, peer: str, port: int) -> Failure | None:
        """The last check, on the address the kernel says it is connected to."""
        family = socket.AF_INET6 if ":" in peer else socket.AF_INET
        checked = self._checked((socket.inet_pton(family, peer.partition("%")[0]),), port)
        return checked if isinstance(checked, Failure) else None

    def _checked(self, addresses: tuple[bytes, ...], port: int) -> tuple[bytes, ...] | Failure:
        for address in addresses:
            reason = self._verdict(address, port in self._policy.own_ports)
            if reason is not None:
                return Failure(
                    "refused_by_guard",
                    f"the host has an address that targets may not have ({reason}); "
                    "an operator can allow its network with SQUIRREL_TARGETS_ALLOW_CIDRS",
                )
        return addresses

    def _decide(self, address: bytes, own_port: bool) -> str | None:
        reason = refusal(address, self._policy.allow_networks)
        if reason is None and own_port and is_allowed_only_by_list(address):
            return "a port of Squirrel itself"
        return reason

    async def _look_up(self, host: str) -> tuple[bytes, ...] | Failure:
        try:
            async with asyncio.timeout(RESOLVE_S_MAX):
                found = await asyncio.get_running_loop().run_in_executor(self._threads, self._resolve, host)
            if any(scope for _, scope in found):
                return Failure("refused_by_guard", "the host has an address that targets may not have (zone id)")
            packed = dict.fromkeys(
                socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text) for text, _ in found
            )
        except TimeoutError:
            return Failure("dns", "the name server did not answer in time")
        except (OSError, UnicodeError) as error:
            temporary = isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN
            return Failure("dns", "the name server is away" if temporary else "the host's name has no address")
        finally:
            self._resolving.pop(host, None)
        if not packed or len(packed) > ADDRESSES_MAX:
            return Failure("dns", f"the host's name has {len(packed)} addresses; 1 to {ADDRESSES_MAX} can be checked")
        if len(self._fresh) >= NAMES_KEPT_MAX:
            self._fresh.pop(next(iter(self._fresh)))
        self._fresh.pop(host, None)  # re-insert at the end: the oldest look-up leaves first
        self._fresh[host] = (self._clock.monotonic() + NAME_FRESH_S, tuple(packed))
        return tuple(packed)
