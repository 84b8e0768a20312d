"""Plugins: a new one passes the suite as it is made; an index is read strictly; what pip gets is held to a hash."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from squirrel.cli import plugin
from squirrel.cli.plugin_index import IndexUnusable, pip_command, read_index, requirement_of

ENTRY = {
    "name": "pager", "version": "1.0.0", "title": "Pager", "package": "squirrel-pager", "description": "pages people",
    "url": "https://example.com/p-1.0.0-py3-none-any.whl", "sha256": "a" * 64,
}  # fmt: skip


def index(tmp_path: Path, *entries: dict[str, Any], version: int = 1) -> str:
    path = tmp_path / "index.json"
    path.write_text(json.dumps({"squirrel_plugins": version, "plugins": list(entries)}))
    return str(path)


def test_a_new_plugin_passes_the_suite_as_it_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plugin.new("pager_duty", into=tmp_path) == 0
    folder = tmp_path / "squirrel-pager-duty"
    assert "squirrel.targets" in (folder / "pyproject.toml").read_text()
    monkeypatch.chdir(folder)
    assert plugin.test("squirrel_pager_duty") == 0, capsys.readouterr().out
    assert "all checks hold" in capsys.readouterr().out
    assert plugin.new("pager_duty", into=tmp_path) == 1, "never over what is there"
    for wrong in ("Pager", "../x", "", "1x"):
        assert plugin.new(wrong, into=tmp_path) == 1
    sys.modules.pop("squirrel_pager_duty")


def test_a_bad_plugin_fails_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plugin.new("bad", into=tmp_path)
    module = tmp_path / "squirrel-bad" / "squirrel_bad" / "__init__.py"
    module.write_text(module.read_text().replace("forbid_unknown_fields=True, ", ""))
    monkeypatch.chdir(tmp_path / "squirrel-bad")
    assert plugin.test("squirrel_bad") == 1
    assert "forbid_unknown_fields" in capsys.readouterr().out
    assert plugin.test("json") == 1


def test_an_index_is_searched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = index(tmp_path, ENTRY, {**ENTRY, "name": "other", "title": "Other", "description": ""})
    assert plugin.search("PAGES", index=place) == 0
    told = capsys.readouterr().out
    assert "pager  1.0.0" in told
    assert "other" not in told


@pytest.mark.parametrize(
    "change",
    [
        {"sha256": "A" * 64}, {"sha256": ""}, {"url": "http://example.com/x.whl"}, {"url": "https://e/x --pre"},
        {"package": "a b"}, {"package": "-r"}, {"version": "1 --pre"}, {"name": "../x"}, {"title": "a\nb"}, {"extra": 1},
    ],
)  # fmt: skip
def test_an_entry_that_could_say_more_than_it_should_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(IndexUnusable):
        read_index(index(tmp_path, {**ENTRY, **change}))


def test_only_https_and_the_known_format(tmp_path: Path) -> None:
    for place in ("http://example.com/index.json", str(tmp_path / "none.json"), index(tmp_path, version=2)):
        with pytest.raises(IndexUnusable):
            read_index(place)


def test_what_pip_gets_is_held_to_the_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (found,) = read_index(index(tmp_path, ENTRY))
    assert requirement_of(found) == f"squirrel-pager @ {ENTRY['url']} --hash=sha256:{'a' * 64}\n"
    assert {"--require-hashes", "--no-deps"} <= set(pip_command(sys.executable))
    monkeypatch.setattr("builtins.input", lambda _: "n")
    assert plugin.install("pager", index=str(tmp_path / "index.json")) == 1
    told = capsys.readouterr().out
    assert "--require-hashes" in told
    assert "nothing was done" in told
    assert plugin.install("missing", index=str(tmp_path / "index.json")) == 1
