"""Profiles: several servers by name, in one TOML file of the user, readable by them alone; and which server a verb speaks to.

A flag wins over SQUIRREL_SERVER, SQUIRREL_TOKEN and SQUIRREL_NAMESPACE, those win over the profile (`--profile`, else
SQUIRREL_PROFILE, else the one in use). The Workflow Scheduler's SCHEDULER_API_URL is read where SQUIRREL_SERVER is not set.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Final

from cyclopts import App, Parameter

from squirrel.cli.printing import Output, show
from squirrel.model.errors import SettingsError

SERVER_DEFAULT: Final = "http://127.0.0.1:8080"
_KEYS: Final = frozenset({"server", "token", "namespace"})


@dataclass(frozen=True, slots=True)
class Profile:
    """One server as one user sees it."""

    server: str = SERVER_DEFAULT
    token: str = ""
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class Profiles:
    """The file: `use` names the one that counts when nobody says."""

    use: str
    named: Mapping[str, Profile]


def profiles_file(environment: Mapping[str, str]) -> Path:
    """`$XDG_CONFIG_HOME/squirrel/profiles.toml`, by default under `~/.config`."""
    base = environment.get("XDG_CONFIG_HOME") or str(Path(environment.get("HOME") or "~").expanduser() / ".config")
    return Path(base) / "squirrel" / "profiles.toml"


def read_profiles(file: Path) -> Profiles:
    """What the file says; nothing when there is none. Raises SettingsError naming the file and the fix."""
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Profiles("", {})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{file} cannot be read: {error}; mend it, or remove it and begin again") from error
    use = document.pop("use", "")
    named: dict[str, Profile] = {}
    for name, table in document.items():
        if not isinstance(table, dict) or table.keys() - _KEYS or not all(isinstance(v, str) for v in table.values()):
            raise SettingsError(f"{file}: [{name}] may hold the texts server, token and namespace, and nothing else")
        named[name] = Profile(**table)
    return Profiles(str(use), named)


def write_profiles(file: Path, profiles: Profiles) -> None:
    """Replaces the file at once; nobody else may read it, for tokens are in it."""
    lines = [f"use = {json.dumps(profiles.use)}"]
    for name, profile in profiles.named.items():
        lines += ["", f"[{json.dumps(name)}]"]
        lines += [f"{key} = {json.dumps(value)}" for key, value in asdict(profile).items() if value]
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(".new")
    fresh.touch(mode=0o600)
    fresh.chmod(0o600)
    fresh.write_text("\n".join(lines) + "\n", encoding="utf-8")
    fresh.replace(file)


def chosen(flags: Mapping[str, str | None], environment: Mapping[str, str]) -> Profile:
    """What holds for this call. `flags`: profile, server, token, namespace. Raises SettingsError for an unknown profile."""
    found = read_profiles(profiles_file(environment))
    name = flags.get("profile") or environment.get("SQUIRREL_PROFILE") or found.use
    if name and name not in found.named:
        known = ", ".join(found.named) or "none"
        raise SettingsError(f"there is no profile {name}; known: {known}; add it with squirrel profiles add {name}")
    base = found.named.get(name, Profile())

    def value(key: str, otherwise: str) -> str:
        return flags.get(key) or environment.get(f"SQUIRREL_{key.upper()}") or otherwise

    server = environment.get("SCHEDULER_API_URL") or base.server
    return Profile(
        value("server", server), value("token", base.token), value("namespace", base.namespace)
    )  # fmt: skip


def register(app: App) -> None:
    """Add the group; without a verb it lists."""
    group = App(name="profiles", help="Servers by name, so that --server and --token need not be repeated.")
    group.default(listed)
    group.command(add)
    group.command(use)
    group.command(remove)
    app.command(group)


def listed(*, output: Output = "table") -> int:
    """List the profiles; tokens are not shown."""
    found = read_profiles(profiles_file(os.environ))
    rows = [
        {
            "name": name, "server": each.server, "namespace": each.namespace or "default",
            "token": "set" if each.token else "", "in_use": name == found.use,
        }
        for name, each in found.named.items()
    ]  # fmt: skip
    show(rows, output)
    return 0


def add(
    name: str,
    *,
    server: Annotated[str, Parameter(help="address of the REST API")] = SERVER_DEFAULT,
    token: Annotated[str, Parameter(help="bearer token")] = "",
    namespace: Annotated[str, Parameter(help="tenant")] = "",
) -> int:
    """Add or change a profile. The first one added is the one in use."""
    if name == "use" or not name:
        raise SettingsError("a profile needs a name, and use is taken; choose another")
    file = profiles_file(os.environ)
    found = read_profiles(file)
    named = {**found.named, name: Profile(server, token, namespace)}
    write_profiles(file, Profiles(found.use or name, named))
    print(f"✓ Profile {name} stored")
    return 0


def use(name: str) -> int:
    """Make a profile the one in use."""
    file = profiles_file(os.environ)
    found = read_profiles(file)
    if name not in found.named:
        raise SettingsError(f"there is no profile {name}; known: {', '.join(found.named) or 'none'}")
    write_profiles(file, Profiles(name, found.named))
    print(f"✓ Using profile {name}")
    return 0


def remove(name: str) -> int:
    """Remove a profile from the file."""
    file = profiles_file(os.environ)
    found = read_profiles(file)
    named = {each: profile for each, profile in found.named.items() if each != name}
    if len(named) == len(found.named):
        raise SettingsError(f"there is no profile {name}; known: {', '.join(found.named) or 'none'}")
    write_profiles(file, Profiles("" if found.use == name else found.use, named))
    print(f"✓ Profile {name} removed")
    return 0
