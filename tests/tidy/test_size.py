"""Style as tests: what ruff cannot say. A limit here costs nothing while it is held and much once it is not."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FUNCTION_LINES_MAX = 70  # docstring not counted
FILE_LINES_MAX = 400
TEST_FILE_LINES_MAX = 500
PARAMETERS_MAX = 7  # self and cls not counted
STAGES = ("gateway", "intake", "engine", "executor", "recorder")
SECTIONS = ("Reads:", "Keeps:", "Writes:", "Promises:", "Never:")
CLOCK_READERS = frozenset({"squirrel/runtime/clock.py"})
CLOCK_CALLS = frozenset(
    f"time.{name}"
    for kind in ("time", "monotonic", "perf_counter", "clock_gettime")
    for name in (kind, f"{kind}_ns")  # what is not a name of the module does no harm
) | frozenset({"datetime.now", "datetime.utcnow", "datetime.today", "date.today"})
SLEEPERS = frozenset({"tests/eventually.py"})
BANNED_NAMES = frozenset({"utils", "util", "helpers", "helper", "common", "manager", "misc"})
Function = ast.FunctionDef | ast.AsyncFunctionDef


def _files(*tops: str) -> list[str]:
    return sorted(
        str(p.relative_to(ROOT)) for top in tops for p in (ROOT / top).rglob("*.py") if "__pycache__" not in p.parts
    )


SOURCES = _files("squirrel", "benchmarks")
TESTS = _files("tests")


@cache
def _tree(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), filename=path)


def functions(tree: ast.AST) -> Iterator[Function]:
    for node in ast.walk(tree):
        if isinstance(node, Function):
            yield node


def body_lines(function: Function) -> int:
    """Lines from `def` to the end, the docstring left out."""
    total = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        total -= (first.end_lineno or first.lineno) - first.lineno + 1
    return total


def parameter_count(function: Function) -> int:
    arguments = function.args
    names = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    return len([name for name in names if name not in ("self", "cls")])


def calls(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, last two names) of every call: `time.time`, `datetime.now`, `.sleep`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            parts = ast.unparse(node.func).rsplit(".", 2)[-2:]
            yield node.lineno, ".".join(parts)


def clock_imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """`from time import monotonic` would hide the call from `calls`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            yield from ((node.lineno, f"time.{a.name}") for a in node.names if f"time.{a.name}" in CLOCK_CALLS)


@pytest.mark.parametrize("path", SOURCES + TESTS)
def test_file_and_its_functions_are_small(path: str) -> None:
    limit = TEST_FILE_LINES_MAX if path.startswith("tests/") else FILE_LINES_MAX
    count = len((ROOT / path).read_text(encoding="utf-8").splitlines())
    assert count <= limit, f"{path} has {count} lines, the limit is {limit}: split it by idea"
    for function in functions(_tree(path)):
        lines = body_lines(function)
        assert lines <= FUNCTION_LINES_MAX, f"{path}:{function.lineno} {function.name} has {lines} lines"
        parameters = parameter_count(function)
        assert parameters <= PARAMETERS_MAX, f"{path}:{function.lineno} {function.name} takes {parameters} parameters"


@pytest.mark.parametrize("path", [p for p in SOURCES if p.startswith("squirrel/")])
def test_only_the_clock_reads_a_clock(path: str) -> None:
    if path in CLOCK_READERS:
        return
    found = [(line, name) for line, name in calls(_tree(path)) if name in CLOCK_CALLS]
    found += clock_imports(_tree(path))
    assert not found, f"{path} reads a clock: {found}; take a Clock or the time as an argument"


@pytest.mark.parametrize("path", TESTS)
def test_tests_wait_for_a_signal(path: str) -> None:
    if path in SLEEPERS:
        return
    found = [line for line, name in calls(_tree(path)) if name.rsplit(".", 1)[-1] == "sleep"]
    assert not found, f"{path} sleeps at lines {found}: wait for a signal, or use tests.eventually"


@pytest.mark.parametrize("path", SOURCES)
def test_names_say_the_thing(path: str) -> None:
    parts = {Path(part).stem.strip("_") for part in Path(path).parts}
    assert not parts & BANNED_NAMES, f"{path}: name the file for what it does"
    assert ast.get_docstring(_tree(path)) or not _tree(path).body, f"{path} has no docstring that says what it is for"


@pytest.mark.parametrize("room", STAGES)
def test_stage_says_what_it_does(room: str) -> None:
    docstring = ast.get_docstring(_tree(f"squirrel/{room}/__init__.py")) or ""
    missing = [section for section in SECTIONS if section not in docstring]
    assert not missing, f"squirrel/{room}/__init__.py does not say {missing}"


def test_the_rules_can_fail() -> None:
    code = """
def f(self, a, b):
    '''Doc.
    More.'''
    time.time()
    time.sleep(1)
from time import monotonic_ns
"""
    tree = ast.parse(code)
    function = next(functions(tree))
    assert body_lines(function) == 3
    assert parameter_count(function) == 2
    assert [name for _, name in calls(tree)] == ["time.time", "time.sleep"]
    assert [name for _, name in clock_imports(tree)] == ["time.monotonic_ns"]
