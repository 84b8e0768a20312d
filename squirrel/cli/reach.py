"""What every verb that speaks to a server takes: where it is, who asks, and how the answer is shown."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final, Literal

from cyclopts import Group, Parameter

from squirrel.cli.printing import show

if TYPE_CHECKING:
    from squirrel.client import Client

_GROUP: Final = Group("Server", sort_key=99)
# Taken before the verb too: `squirrel --server URL list`.
GLOBAL_FLAGS: Final = frozenset({"--server", "--token", "--namespace", "--profile", "--output", "-o"})


@Parameter(name="*", group=_GROUP)
@dataclass(frozen=True)
class Reach:
    """Flags of all client verbs."""

    server: Annotated[str | None, Parameter(help="address of the REST API; else SQUIRREL_SERVER, else the profile")] = (
        None
    )
    token: Annotated[str | None, Parameter(help="bearer token; else SQUIRREL_TOKEN, else the profile")] = None
    namespace: Annotated[str | None, Parameter(help="tenant; else SQUIRREL_NAMESPACE, else the profile")] = None
    profile: Annotated[str | None, Parameter(help="a profile by name; else SQUIRREL_PROFILE, else the one in use")] = (
        None
    )
    output: Annotated[
        Literal["table", "json", "yaml"],
        Parameter(name=["--output", "-o"], help="table for people, json or yaml for programs"),
    ] = "table"

    def client(self) -> Client:
        """An open client; use it in `with`. Raises SettingsError."""
        from squirrel.cli.profiles import chosen
        from squirrel.client import Client

        flags = {"server": self.server, "token": self.token, "namespace": self.namespace, "profile": self.profile}
        profile = chosen(flags, os.environ)
        return Client(profile.server, token=profile.token or None, namespace=profile.namespace or None)

    def show(self, value: object, columns: Sequence[str] | None = None) -> None:
        """Prints an answer as asked."""
        show(value, self.output, columns)

    @property
    def is_for_people(self) -> bool:
        """Whether sentences may stand around the answer."""
        return self.output == "table"

    def progress(self, text: str) -> None:
        """What is being done, for people."""
        if self.is_for_people:
            print(text)


HERE: Final = Reach()


def flags_last(words: Sequence[str]) -> list[str]:
    """Flags of `Reach` that stand before the verb, moved behind it, where each verb takes them."""
    moved: list[str] = []
    rest = list(words)
    while rest and rest[0].partition("=")[0] in GLOBAL_FLAGS:
        taken = 1 if "=" in rest[0] else 2
        moved += rest[:taken]
        rest = rest[taken:]
    at = rest.index("--") if "--" in rest else len(rest)
    return rest[:at] + moved + rest[at:]
