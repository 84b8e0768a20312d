"""`cassandra://…` taken apart and checked; knows nothing of the driver."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote

import msgspec
from msgspec import Struct

from squirrel.model.errors import SettingsError

_KEYSPACE = re.compile(r"[a-z][a-z0-9_]{0,47}", re.ASCII)
_HOST = re.compile(r"\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+", re.ASCII)
_DATACENTER = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
PORT_DEFAULT = 9042
_FORM = "write it as cassandra://HOST:PORT/KEYSPACE"


class CassandraAddress(Struct, frozen=True):
    """Where the cluster is and who asks. `repr` is never logged: it holds the password."""

    hosts: tuple[str, ...]
    port: int
    keyspace: str
    user: str | None = None
    password: str | None = None
    replication: int = 1
    datacenter: str | None = None
    tls: bool = False
    ca: str | None = None

    @property
    def text(self) -> str:
        """For logs and errors: no user, no password."""
        return f"cassandra {','.join(self.hosts)}:{self.port}/{self.keyspace}"


def parse_address(text: str) -> CassandraAddress:
    """What follows `cassandra://`. Raises SettingsError, without the password."""
    before, _, query = text.partition("?")
    credentials, at, place = before.rpartition("@")
    hosts_text, _, keyspace = place.partition("/")
    if _KEYSPACE.fullmatch(keyspace) is None:
        raise SettingsError(
            f"history: the keyspace must be a lower-case letter, then up to 47 of a-z 0-9 _; {_FORM}, such as "
            "cassandra://127.0.0.1:9042/squirrel"
        )
    hosts, port = _hosts(hosts_text)
    user, colon, password = credentials.partition(":")
    if at and not (user and colon):
        raise SettingsError("history: credentials are USER:PASSWORD@ before the hosts")
    plain = CassandraAddress(hosts, port, keyspace, unquote(user) if at else None, unquote(password) if at else None)
    return msgspec.structs.replace(plain, **_options(query))


def _hosts(text: str) -> tuple[tuple[str, ...], int]:
    hosts: list[str] = []
    ports: set[int] = set()
    for each in text.split(","):
        match = re.fullmatch(r"(\[[^\]]*\]|[^:]*)(?::(\d{1,5}))?", each, re.ASCII)
        if match is None or _HOST.fullmatch(match.group(1)) is None:
            raise SettingsError(f"history: not every host is a name or an address; {_FORM}, more hosts after commas")
        hosts.append(match.group(1).strip("[]"))
        if match.group(2) is not None:
            ports.add(int(match.group(2)))
    port = ports.pop() if ports else PORT_DEFAULT
    if ports or not 1 <= port <= 65535:
        raise SettingsError("history: all Cassandra hosts share one port from 1 to 65535")
    return tuple(hosts), port


def _options(query: str) -> dict[str, int | str | bool]:
    found: dict[str, int | str | bool] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name == "replication" and value.isascii() and value.isdigit() and 1 <= int(value) <= 9:
            found[name] = int(value)
        elif name == "datacenter" and _DATACENTER.fullmatch(value):
            found[name] = value
        elif name == "tls" and value in ("0", "1"):
            found[name] = value == "1"
        elif name == "ca" and value:
            found[name] = value
        else:
            raise SettingsError(
                f"history: option {name!r} is unknown or malformed; known: replication=1..9, datacenter=NAME, tls=0|1, ca=FILE"
            )
    return found
