"""From a URL to a history store; drivers are imported only when theirs is asked for."""

from __future__ import annotations

from pathlib import Path

from squirrel.model.errors import SettingsError
from squirrel.stores.history import History
from squirrel.stores.sqlite import SqliteHistory

DEADLINE_SECONDS = 5.0


def open_history(url: str, timeout_seconds: float = DEADLINE_SECONDS) -> History:
    """`sqlite:PATH` or `cassandra://[USER:PASSWORD@]HOST[:PORT][,HOST…]/KEYSPACE[?option=value]`; opens nothing yet.

    Options of Cassandra: `replication` (1), `datacenter` (then NetworkTopologyStrategy), `tls` (0 or 1), `ca` (PEM file).
    Raises SettingsError, without the password.
    """
    scheme, colon, rest = url.partition(":")
    if scheme == "sqlite" and colon:
        path = rest.removeprefix("//")
        if not path or "\0" in path:
            raise SettingsError("history: sqlite: needs a path, such as sqlite:/var/lib/squirrel/history.db")
        return SqliteHistory(Path(path), timeout_seconds)
    if scheme == "cassandra" and rest.startswith("//"):
        from squirrel.stores.cassandra_address import parse_address

        address = parse_address(rest[2:])
        try:
            from squirrel.stores.cassandra import CassandraHistory
        except ImportError as error:
            raise SettingsError(
                f"history: cassandra:// needs the driver ({error}); install squirrel[cassandra]"
            ) from error
        return CassandraHistory(address, timeout_seconds)
    raise SettingsError(
        "history: must be sqlite:PATH or cassandra://HOST:PORT/KEYSPACE, such as sqlite:/var/lib/squirrel/history.db"
    )
