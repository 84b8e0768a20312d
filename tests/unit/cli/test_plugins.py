"""Plugins: a new one passes the suite as it is made; an index is read strictly; what pip gets is held to a hash."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from squirrel.cli import plugin
from squirrel.cli.plugin_index import IndexUnusable, pip_command, read_index, requirement_of
from squirrel.cli.plugin_template import files_of

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
        {"url": "../x.whl"}, {"url": "/x.whl"}, {"url": "file:///x.whl"}, {"url": "x.whl --pre"}, {"url": "x.tar.gz"},
        {"url": "x.whl\n"}, {"version": "1\n"}, {"title": "a\n"},
        {"url": "http://127.0.0.1.example.com/x.whl"}, {"url": "http://127.0.0.1@example.com/x.whl"},
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


def wheel(folder: Path, name: str) -> str:
    """A wheel of the package that `squirrel plugin new` makes; its SHA-256."""
    info = f"squirrel_{name}-0.1.0.dist-info"
    held = {
        f"squirrel_{name}/__init__.py": files_of(name)[f"squirrel_{name}/__init__.py"],
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: squirrel-{name}\nVersion: 0.1.0\nRequires-Dist: squirrel\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[squirrel.targets]\n{name} = squirrel_{name}:TYPE\n",
        f"{info}/RECORD": "",
    }
    path = folder / f"squirrel_{name}-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as made:
        for each, text in held.items():
            made.writestr(each, text)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def run(site: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The command in a process whose pip installs into `site` and asks no registry."""
    pip = {
        "PIP_TARGET": str(site),
        "PIP_NO_INDEX": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_CONFIG_FILE": os.devnull,
    }
    env = {**os.environ, **pip, "PYTHONPATH": str(site)}
    return subprocess.run(
        [sys.executable, "-m", "squirrel", *words], check=False, env=env, text=True, capture_output=True, timeout=120
    )


@pytest.mark.parametrize("hosted", ["in a folder", "on a server"])
def test_a_plugin_is_found_installed_and_known(tmp_path: Path, hosted: str) -> None:
    hosting, site = tmp_path / "hosting", tmp_path / "site"
    hosting.mkdir()
    file = "squirrel_beeper-0.1.0-py3-none-any.whl"
    entry = {"name": "beeper", "version": "0.1.0", "title": "Beeper", "package": "squirrel-beeper", "url": file}
    index(hosting, {**ENTRY, **entry, "sha256": wheel(hosting, "beeper")})
    handler = partial(SimpleHTTPRequestHandler, directory=str(hosting))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_port}" if hosted == "on a server" else str(hosting)
        found = run(site, "plugin", "search", "beep", "--index", f"{base}/index.json")
        assert "beeper  0.1.0  Beeper" in found.stdout, found.stderr
        done = run(site, "plugin", "install", "beeper", "--index", f"{base}/index.json", "--yes")
        assert done.returncode == 0, done.stderr
        assert "start gateway, intake and executors again" in done.stdout
        server.shutdown()
    tested = run(site, "plugin", "test", "squirrel_beeper")
    assert "all checks hold" in tested.stdout, tested.stdout + tested.stderr
    asked = (
        "from squirrel.wire.target_types.registry import installed_types as found; print(found().get('beeper').title)"
    )
    env = {**os.environ, "PYTHONPATH": str(site)}
    known = subprocess.run(
        [sys.executable, "-c", asked], check=False, env=env, text=True, capture_output=True, timeout=60
    )
    assert known.stdout == "Beeper\n", known.stderr


def test_a_wheel_that_is_not_the_one_in_the_index_is_not_installed(tmp_path: Path) -> None:
    wheel(tmp_path, "beeper")
    entry = {"name": "beeper", "version": "0.1.0", "package": "squirrel-beeper", "sha256": "b" * 64}
    place = index(tmp_path, {**ENTRY, **entry, "url": "squirrel_beeper-0.1.0-py3-none-any.whl"})
    done = run(tmp_path / "site", "plugin", "install", "beeper", "--index", place, "--yes")
    assert done.returncode != 0
    assert "DO NOT MATCH" in done.stderr
    assert not (tmp_path / "site").exists()
