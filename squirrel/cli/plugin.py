"""`squirrel plugin test|new|search|install`: target types of other packages, found in an index that anyone can host."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

Index = Annotated[str, Parameter(help="an index: a file, or an https address of one")]


def register(app: App) -> None:
    """Add the group."""
    group = App(name="plugin", help="Target types of other packages: make, test, find and install them.")
    group.command(test)
    group.command(new)
    group.command(search)
    group.command(install)
    app.command(group)


def test(module: str, /) -> int:
    """Run the conformance suite on every target type that MODULE holds; exit 1 when one check does not hold."""
    import asyncio

    from squirrel.executor.conformance import examine
    from squirrel.runtime.clock import SystemClock

    found = _types_of(module)
    if not found:
        return _fail(f"{module} holds no squirrel.wire.target_types.TargetType")
    wrong = 0
    for each in found:
        print(f"{each.kind}: {each.title}")
        for finding in asyncio.run(examine(each, SystemClock())):
            wrong += bool(finding.wrong)
            print(
                f"  {'FAILS' if finding.wrong else 'ok   '} {finding.check}"
                + (f": {finding.wrong}" if finding.wrong else "")
            )
    print("all checks hold" if not wrong else f"{wrong} checks do not hold")
    return 1 if wrong else 0


def new(name: str, /, *, into: Annotated[Path, Parameter(help="the directory to make it in")] = Path()) -> int:
    """Make a package with a target type that passes the suite, ready to be changed."""
    import re

    from squirrel.cli.plugin_template import files_of

    if re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name) is None:
        return _fail("NAME must be lower-case letters, digits and underscores, beginning with a letter")
    folder = into / f"squirrel-{name.replace('_', '-')}"
    if folder.exists():
        return _fail(f"{folder} is there already; choose another name, or --into another directory")
    for path, text in files_of(name).items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        print(file)
    print(f"next: pip install -e {folder} && squirrel plugin test squirrel_{name}")
    return 0


def search(text: str = "", /, *, index: Index) -> int:
    """List the plugins of an index whose name or description holds TEXT."""
    from squirrel.cli.plugin_index import IndexUnusable, read_index

    try:
        entries = read_index(index)
    except IndexUnusable as error:
        return _fail(str(error))
    wanted = text.lower()
    for each in entries:
        if wanted in f"{each.name} {each.title} {each.description}".lower():
            print(f"{each.name}  {each.version}  {each.title}: {each.description}")
    return 0


def install(
    name: str,
    /,
    *,
    index: Index,
    yes: Annotated[bool, Parameter(help="do not ask")] = False,
) -> int:
    """Install a plugin with pip, its file held to the hash in the index. What will be run is shown first."""
    import subprocess

    from squirrel.cli.plugin_index import IndexUnusable, pip_command, read_index, requirement_of

    try:
        found = next((each for each in read_index(index) if each.name == name), None)
        if found is None:
            return _fail(f"{index} has no plugin {name}; squirrel plugin search --index {index} lists them")
        requirement = requirement_of(found)
    except IndexUnusable as error:
        return _fail(str(error))
    command = pip_command(sys.executable)
    print(f"{found.title}, {found.version}: {found.description}")
    print(f"will run: {' '.join(command)}\nwith:     {requirement}")
    if not yes and input("install? [y/N] ").strip().lower() not in ("y", "yes"):
        print("nothing was done")
        return 1
    done = subprocess.run(command, input=requirement, text=True, check=False)
    if done.returncode == 0:
        print("installed; start gateway, intake and executors again, each with the same plugins")
    return done.returncode


def _types_of(module: str) -> list[Any]:
    import importlib

    from squirrel.wire.target_types import TargetType

    sys.path.insert(0, str(Path.cwd()))
    try:
        held = vars(importlib.import_module(module)).values()
    finally:
        sys.path.pop(0)
    found = [each for value in held for each in (value if isinstance(value, (list, tuple)) else (value,))]
    return list({each.kind: each for each in found if isinstance(each, TargetType)}.values())


def _fail(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 1
