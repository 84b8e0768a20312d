"""Types of other packages: those for schedules, those for notifications only, and those that cannot be loaded."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from squirrel.cli.plugin_template import files_of
from squirrel.model.errors import SettingsError
from squirrel.runtime.services.parts import notify_targets
from squirrel.runtime.settings import load
from squirrel.wire.documents.target import TargetPolicy, parse_target_object
from squirrel.wire.documents.values import Problems
from squirrel.wire.target_types.registry import installed_notifiers, installed_types


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[Path]:
    """A place that packages of `package` are found in."""
    sys.path.insert(0, str(tmp_path))
    yield tmp_path
    sys.path.remove(str(tmp_path))
    forget()


def forget() -> None:
    importlib.invalidate_caches()
    installed_types.cache_clear()
    installed_notifiers.cache_clear()


def package(place: Path, name: str, group: str, source: str | None = None) -> None:
    """As pip leaves it: a module, and a dist-info with its entry points."""
    module = place / f"squirrel_{name}"
    module.mkdir()
    (module / "__init__.py").write_text(source or files_of(name)[f"squirrel_{name}/__init__.py"])
    info = place / f"squirrel_{name}-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: squirrel-{name}\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{name} = squirrel_{name}:TYPE\n")
    forget()


def taken(kind: str) -> bool:
    target = {"type": kind, "url": "https://api.example.com/messages"}
    problems: Problems = []
    made = parse_target_object("target", target, TargetPolicy(namespace="n"), problems)
    assert all("is no known target type" in each.reason for each in problems)
    return made is not None


def told(kind: str) -> int:
    targets = json.dumps([{"type": kind, "url": "https://api.example.com/messages"}])
    settings, _ = load(environment={"SQUIRREL_NOTIFY": targets}, env_file=Path("/nonexistent"))
    return len(notify_targets(settings))


def test_a_type_for_schedules_is_one_for_notifications_too(installed: Path) -> None:
    assert not taken("bell")
    package(installed, "bell", "squirrel.targets")
    assert taken("bell")
    assert told("bell") == 1


def test_a_notifier_is_taken_for_notifications_only(installed: Path) -> None:
    package(installed, "horn", "squirrel.notifiers")
    assert not taken("horn")
    assert told("horn") == 1
    with pytest.raises(SettingsError, match=r"notify\[0\]"):
        told("trumpet")


def test_a_package_that_cannot_be_loaded_stops_nobody(installed: Path) -> None:
    package(installed, "broken", "squirrel.targets", "raise RuntimeError('not today')")
    package(installed, "drum", "squirrel.targets")
    assert not taken("broken")
    assert taken("drum")


def test_nobody_takes_over_a_type_of_ours(installed: Path) -> None:
    ours = installed_types().get("slack")
    source = files_of("loud")["squirrel_loud/__init__.py"].replace('kind="loud"', 'kind="slack"')
    package(installed, "loud", "squirrel.targets", source)
    assert installed_types().get("slack") is ours
