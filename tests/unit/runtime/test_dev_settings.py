"""`squirrel dev` reads its settings like every service: defaults, its profile, .env, environment, flags."""

from __future__ import annotations

from pathlib import Path

import pytest

from squirrel.model.errors import SettingsError
from squirrel.runtime.dev import EMBEDDED, DevOptions, _only_instance, children, settings_of


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A developer's own .env must not decide how this ends."""
    monkeypatch.chdir(tmp_path)


def test_without_anything_it_is_one_machine_that_may_call_itself(tmp_path: Path) -> None:
    settings, notes = settings_of(DevOptions())
    assert (settings.kafka, settings.port, settings.partitions) == (EMBEDDED, 8080, 8)
    assert settings.data_dir == tmp_path / ".squirrel"
    assert settings.cidrs() == ("127.0.0.0/8", "::1/128")
    assert settings.internal_token.get_secret_value()
    assert notes == []


def test_the_environment_wins_over_the_profile_and_flags_over_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SQUIRREL_PORT", "9001")
    monkeypatch.setenv("SQUIRREL_KAFKA", "broker:9092")
    monkeypatch.setenv("SQUIRREL_DATA_DIR", "/elsewhere")
    monkeypatch.setenv("SQUIRREL_TARGETS_ALLOW_CIDRS", "")
    settings, _ = settings_of(DevOptions())
    assert (settings.port, settings.kafka, str(settings.data_dir)) == (9001, "broker:9092", "/elsewhere")
    assert settings.cidrs() == (), "set empty it forbids loopback here too"
    settings, _ = settings_of(DevOptions(port=9002, kafka="other:9092", data_dir=Path("/flag"), history="sqlite:/h.db"))
    assert (settings.port, settings.kafka, settings.data_dir) == (9002, "other:9092", Path("/flag"))
    assert settings.history_url() == "sqlite:/h.db"


def test_an_ephemeral_one_keeps_its_data_in_the_temporary_directory(tmp_path: Path) -> None:
    settings, _ = settings_of(DevOptions(data_dir=Path("/flag"), ephemeral=True), tmp_path)
    assert settings.data_dir == tmp_path


def test_children_get_what_was_decided_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SQUIRREL_PARTITIONS", "4")
    monkeypatch.setenv("PORT", "1234")
    settings, notes = settings_of(DevOptions(port=9003))
    assert notes == ["PORT is read as SQUIRREL_PORT"]
    found = children(settings)
    assert {child.name for child in found} == {"gateway", "intake", "engine", "executor", "recorder"}
    for child in found:
        assert (child.environment["SQUIRREL_PORT"], child.environment["SQUIRREL_PARTITIONS"]) == ("9003", "4")
    assert len({child.environment["SQUIRREL_INTERNAL_PORT"] for child in found}) == len(found)


def test_a_data_directory_belongs_to_one_instance(tmp_path: Path) -> None:
    data, refused = tmp_path / "data", pytest.raises(SettingsError, match="another squirrel dev uses")
    with _only_instance(data), refused, _only_instance(data):
        pass
    with _only_instance(tmp_path / "data"):
        pass
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="cannot be used"), _only_instance(tmp_path / "file" / "data"):
        pass


def test_the_watchdog_runs_when_asked_for_and_the_gateway_knows_where() -> None:
    plain, _ = settings_of(DevOptions())
    assert "watchdog" not in {child.name for child in children(plain)}
    asked, _ = settings_of(DevOptions(watchdog=True))
    found = {child.name: child.environment for child in children(asked)}
    assert found["gateway"]["SQUIRREL_WATCHDOG_URL"] == asked.watchdog_url
    assert asked.watchdog_url.endswith(":" + found["watchdog"]["SQUIRREL_INTERNAL_PORT"])
