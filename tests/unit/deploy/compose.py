"""What the deployment files say, read the way Compose and Docker read them; shared by the tests beside it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).parents[3]
INTERNAL_PORT = 9090
_VARIABLE = re.compile(r"\$\{(?P<name>[A-Z_]+)(?::(?P<kind>[-?])(?P<rest>[^}]*))?\}")
_INSTRUCTION = re.compile(r"(?P<verb>[A-Z]+) +(?P<rest>.*)", re.DOTALL)


def compose() -> dict[str, Any]:
    """The whole file, anchors and merges resolved."""
    read: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    return read


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose()["services"]
    return found


def ours() -> dict[str, dict[str, Any]]:
    """The services that run our image."""
    return {name: service for name, service in services().items() if "build" in service}


def interpolated(value: str, given: dict[str, str]) -> str:
    """`${NAME:-default}` and `${NAME:?message}` as Compose has them. Raises KeyError for a required one that is missing."""

    def one(match: re.Match[str]) -> str:
        name = match["name"]
        if given.get(name):
            return given[name]
        if match["kind"] == "-":
            return match["rest"]
        raise KeyError(name)

    return _VARIABLE.sub(one, value)


def environment(service: dict[str, Any]) -> dict[str, str]:
    """What the container gets when .env holds the one secret that is required."""
    given = {"SQUIRREL_INTERNAL_TOKEN": "shared"}
    return {name: interpolated(str(value), given) for name, value in service.get("environment", {}).items()}


def container_ports(service: dict[str, Any]) -> set[int]:
    return {int(port.rpartition(":")[2]) for port in service.get("ports", [])}


class Instruction(NamedTuple):
    """One instruction of a Dockerfile; `stage` is the name or number of the stage it belongs to."""

    stage: str
    verb: str
    rest: str

    def words(self) -> list[str]:
        return [word for word in self.rest.split() if not word.startswith("--")]

    def listed(self) -> list[str]:
        """The exec form."""
        read: list[str] = json.loads(self.rest)
        return read


def dockerfile() -> list[Instruction]:
    text = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    text = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    found: list[Instruction] = []
    stage, count = "", 0
    for line in filter(None, map(str.strip, text.splitlines())):
        match = _INSTRUCTION.fullmatch(line)
        assert match, f"not an instruction: {line}"
        if match["verb"] == "FROM":
            named = re.search(r" AS (\w+)$", match["rest"])
            stage, count = (named[1] if named else str(count)), count + 1
        found.append(Instruction(stage, match["verb"], match["rest"]))
    return found
