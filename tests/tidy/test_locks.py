"""The locked requirements: every one by hash, from nowhere in particular, the same in every file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "requirements"
EXACT = {"faust-streaming", "aiokafka", "rocksdict"}  # they touch Kafka or the state on disk


def pins(name: str) -> dict[str, list[str]]:
    """Version (and marker) lines by package: one package may have several, for several Pythons."""
    found: dict[str, list[str]] = {}
    for line in (FOLDER / name).read_text(encoding="ascii").splitlines():
        if match := re.match(r"([a-z0-9._-]+)(?:\[[a-z0-9,]+\])?==(.+?) *\\?$", line):
            found.setdefault(match.group(1), []).append(match.group(2))
    return found


@pytest.mark.parametrize("name", ["dev.txt", "services.txt"])
def test_lock_is_hashed_and_names_no_host(name: str) -> None:
    text = (FOLDER / name).read_text(encoding="ascii")
    assert "://" not in text
    assert not re.search(r"^--(index|extra-index|find-links|trusted)", text, re.MULTILINE)
    blocks = re.split(r"\n(?=[a-z])", text)
    assert all("--hash=sha256:" in block for block in blocks), "every requirement is held by its hash"
    assert pins(name).keys() >= EXACT


def test_services_run_what_was_tested() -> None:
    tested = pins("dev.txt")
    assert all(tested.get(package) == versions for package, versions in pins("services.txt").items())


def test_exact_pins_are_the_locked_ones() -> None:
    pyproject = (FOLDER.parent / "pyproject.toml").read_text(encoding="utf-8")
    for package in EXACT:
        (version,) = pins("dev.txt")[package]
        assert re.search(rf'"{package}(\[\w+\])?=={re.escape(version)}"', pyproject), f"{package}: make lock"
