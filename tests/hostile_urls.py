# ruff: noqa: RUF001 - the look-alikes are what is tested
"""The payload set of reference/reliability.md 3.1: what must never be called, as URLs and as answers of a name server."""

from __future__ import annotations

import re

from tests.unit.model.test_addresses import DENIED, REFUSED_URLS

ADDRESSES = [each for each in DENIED if "%" not in each]


def in_url(address: str) -> str:
    """An address as the host of a URL."""
    return f"http://[{address}]/hook" if ":" in address else f"http://{address}/hook"


NUMERIC = [
    f"http://{host}/hook"
    for host in (
        "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001", "127.1", "127.0.1", "0", "0.0", "00.0.0.0",
        "127.000.000.001", "127.0.0.01", "0x7f.0x0.0x0.0x1", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376",
        "169.254.43518", "4294967295", "4294967296", "１２７.0.0.1", "①②⑦.⓪.⓪.①", "127。0。0。1", "127．0．0．1", "127｡0｡0｡1",
        "localhost\u00ad", "127.0.0.1\0.example.com", "127.0.0.1.", "0x7f000001.", "０x7f.1",
    )
]  # fmt: skip
LITERALS = [in_url(each) for each in ADDRESSES]
URLS = [*LITERALS, *NUMERIC, *REFUSED_URLS]
# Names that pass a door, for only their answers tell; the executor's resolver gives these.
NAMES = [
    "localhost", "LOCALHOST", "localhost.", "a.localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback",
    "printer.local", "vault.internal", "metadata", "metadata.google.internal", "instance-data", "127.0.0.1.nip.io",
    "7f000001.example.com", "rebind.example.com", "localtest.me",
]  # fmt: skip
ADDRESS_LIKE = re.compile(
    r"\d+\.\d+\.\d+\.\d+|\[?[0-9a-f]*:[0-9a-f]*:[0-9a-f:]*\]?|0x[0-9a-f]{6,}|\d{9,10}", re.IGNORECASE
)

assert len(URLS) + len(NAMES) >= 150, "the bar"
