"""A network of our own, in which every address there is answers and is counted, with a name server that lies.

`python -m tests.system.executor.private_network` runs inside `unshare --net --mount`: all of IPv4 and IPv6 is local there, so
a call that gets past the guard is heard wherever it goes. Names are asked of the system's resolver, which asks the name server
here. What was called and heard is told as JSON on stdout, once with the guard and once with everything allowed: that hits.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from struct import pack
from typing import Any

from squirrel.executor.guard import NAME_FRESH_S, Guard, GuardPolicy
from squirrel.executor.targets.http import HttpCaller
from squirrel.model.addresses import parse_networks
from tests.hostile_urls import ADDRESS_LIKE, ADDRESSES, URLS
from tests.unit.executor.conftest import SetClock, attempt_at

PUBLIC = "93.184.215.14"
PUBLIC_V6 = "2606:2800:21f:cb07::1"
METADATA = "169.254.169.254"
PRIVATE = "10.9.9.9"
REDIRECTS = (301, 302, 303, 307, 308)
BEHIND = (f"http://{METADATA}/latest/meta-data/", f"http://{PRIVATE}/", "http://[fd00:ec2::254]/", f"//{METADATA}/")
EXAMPLES = ("192.0.2.1", "[2001:db8::1]")  # of how to write one
A, CNAME, AAAA = 1, 5, 28
TIMEOUT_MS = 2_000


def labels(name: str) -> bytes:
    return b"".join(bytes((len(each),)) + each.encode() for each in name.split(".")) + b"\0"


class Names(asyncio.DatagramProtocol):
    """A name server: `zone` gives the addresses of a name, one list for each time it is asked, the last one for ever."""

    def __init__(self) -> None:
        self.zone: dict[str, list[list[str]]] = {
            "good.test": [[PUBLIC]],
            "private.test": [[PRIVATE]],
            "one-bad.test": [[PUBLIC, METADATA]],
            "bad-v6.test": [[PUBLIC, "fd00:ec2::254"]],
            "mapped.test": [["::ffff:10.9.9.9"]],
            "nat64.test": [["64:ff9b::a09:909"]],
            "rebind.test": [[PUBLIC], [METADATA]],
        }
        self.zone |= {f"only-{n}.test": [[each]] for n, each in enumerate(ADDRESSES)}
        self.zone |= {f"among-{n}.test": [[PUBLIC, each, PUBLIC_V6]] for n, each in enumerate(ADDRESSES)}
        self.aliases = {"alias.test": "private.test"}
        self.asked: Counter[tuple[str, int]] = Counter()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        end = data.index(b"\0", 12) + 5
        question = data[12:end]
        name, kind = self._name(question), int.from_bytes(question[-4:-2])
        self.asked[name, kind] += 1
        owner, records = labels(name), []
        if name in self.aliases:
            target = labels(self.aliases[name])
            records.append(owner + pack(">HHIH", CNAME, 1, 0, len(target)) + target)
            owner, name = target, self.aliases[name]
        answers = self.zone.get(name, [[]])
        for each in answers[min(self.asked[name, kind], len(answers)) - 1]:
            family, of_family = (socket.AF_INET6, AAAA) if ":" in each else (socket.AF_INET, A)
            if kind == of_family:
                packed = socket.inet_pton(family, each)
                records.append(owner + pack(">HHIH", kind, 1, 0, len(packed)) + packed)
        head = data[:2] + pack(">HHHHH", 0x8180 if name in self.zone else 0x8183, 1, len(records), 0, 0)
        self._transport.sendto(head + question + b"".join(records), addr)

    def _name(self, question: bytes) -> str:
        parts, at = [], 0
        while length := question[at]:
            parts.append(question[at + 1 : at + 1 + length].decode("latin-1").lower())
            at += length + 1
        return ".".join(parts)


class World:
    """Listens on every address, and counts who was heard where."""

    def __init__(self) -> None:
        self.heard: Counter[str] = Counter()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heard[writer.get_extra_info("sockname")[0]] += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await reader.readexactly(_length(head))
                writer.write(_answer(head.split(b" ", 2)[1].decode()))
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # they hung up, or it is over
        writer.close()


def _length(head: bytes) -> int:
    lines = head.lower().split(b"\r\n")
    return next((int(each.split(b":")[1]) for each in lines if each.startswith(b"content-length:")), 0)


def _answer(path: str) -> bytes:
    """`/302/1` redirects to the second place that nobody may be sent to."""
    parts = path.strip("/").split("/")
    if parts[0].isdigit():
        return (
            f"HTTP/1.1 {parts[0]} Elsewhere\r\nlocation: {BEHIND[int(parts[1])]}\r\ncontent-length: 0\r\n\r\n".encode()
        )
    return b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Calls:
    """Calls through the executor's own guard and client; keeps how each ended."""

    def __init__(self, guard: Guard, clock: SetClock) -> None:
        self.clock = clock
        self.caller = HttpCaller(guard, clock)
        self.ends: list[dict[str, Any]] = []

    async def call(self, what: str, url: str) -> None:
        outcome = await self.caller.call(attempt_at(url, timeout_ms=TIMEOUT_MS))
        found = ADDRESS_LIKE.findall(outcome.error_detail)
        shown = [each for each in found if each not in url and each not in EXAMPLES]  # what they sent is theirs
        self.ends.append(
            {"what": what, "url": url, "state": outcome.state, "status": outcome.status, "error": outcome.error_type}
            | {"shows_address": bool(shown)}
        )


async def campaign(world: World, names: Names, policy: GuardPolicy) -> dict[str, Any]:
    """The whole payload set, through one guard."""
    world.heard.clear()
    names.asked.clear()
    clock = SetClock()
    guard = Guard(policy, clock)
    calls = Calls(guard, clock)
    await calls.call("good", "http://good.test/")
    for name in ("private", "one-bad", "bad-v6", "mapped", "nat64", "alias"):
        await calls.call("name", f"http://{name}.test/")
    for place in ("only", "among"):
        for number in range(len(ADDRESSES)):
            await calls.call(place, f"http://{place}-{number}.test/")
    for url in URLS:
        await calls.call("literal", url)
    for status in REDIRECTS:
        for number in range(len(BEHIND)):
            await calls.call("redirect", f"http://good.test/{status}/{number}")
    await calls.call("before", "http://rebind.test/")
    looked_up = names.asked["rebind.test", A]
    clock.seconds += NAME_FRESH_S + 0.001
    await calls.call("after", "http://rebind.test/")
    await calls.caller.close()
    guard.close()
    return {"ends": calls.ends, "heard": dict(world.heard), "looked_up": looked_up}


def lay_network() -> None:
    """Everything is local, and the resolver asks us."""
    for words in ("link set lo up", "route add local 0.0.0.0/0 dev lo", "-6 route add local ::/0 dev lo"):
        subprocess.run(["ip", *words.split()], check=True)
    with tempfile.NamedTemporaryFile("w", delete=False) as file:
        file.write("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    subprocess.run(["mount", "--bind", file.name, "/etc/resolv.conf"], check=True)
    Path(file.name).unlink()


async def main() -> None:
    lay_network()
    loop, world = asyncio.get_running_loop(), World()
    _, names = await loop.create_datagram_endpoint(Names, local_addr=("127.0.0.1", 53))
    for port in (80, 443):
        for host in ("0.0.0.0", "::"):
            await asyncio.start_server(world, host, port, family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    guarded = await campaign(world, names, GuardPolicy())
    opened = await campaign(world, names, GuardPolicy(allow_networks=parse_networks("0.0.0.0/0,::/0")))
    json.dump({"guarded": guarded, "opened": opened}, sys.stdout)


if __name__ == "__main__":
    asyncio.run(main())
