"""What the documents say must be true: links lead somewhere, verbs, paths and settings exist, examples parse."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.__main__ import BENCHMARKS
from squirrel.cli.app import build_app
from squirrel.gateway.api_table import API
from squirrel.model.addresses import parse_networks
from squirrel.runtime.settings import ALIASES, ELSEWHERE, OBSOLETE, PREFIX, Settings
from squirrel.wire.documents import TargetPolicy, parse_route, parse_schedule
from squirrel.wire.target_types.registry import NOTIFIERS_GROUP, TARGETS_GROUP
from squirrel.wire.topics import catalogue

ROOT = Path(__file__).parents[2]
SKIPPED = {".venv", "node_modules", ".pytest_cache", ".hypothesis"}
DOCS = sorted(
    str(path.relative_to(ROOT))
    for path in ROOT.rglob("*.md")
    if not SKIPPED & set(path.relative_to(ROOT).parts) and not path.name.startswith(".")
)
_LINK = re.compile(r"(?<!!)\[[^\]]+\]\((?P<to>[^)\s]+)\)")
_FENCE = re.compile(r"^```(?P<kind>\w*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"^ {4}(?P<code>\S.*)$", re.MULTILINE)
_SPAN = re.compile(r"`(?P<code>[^`\n]+)`")
_SAMPLE_INSTANT = "2027-02-01T10:00:00Z"
NOW_MS = 1_801_472_400_000  # an hour before it


def text_of(doc: str) -> str:
    return (ROOT / doc).read_text(encoding="utf-8")


def code_of(text: str) -> Iterator[str]:
    """Each line of code: fenced, indented, in backticks; continued lines made one, comments and brackets taken off."""
    fenced = [match["code"] for match in _FENCE.finditer(text)]
    rest = _FENCE.sub("", text)
    spans = [match["code"] for match in _SPAN.finditer(rest)]
    indented = [match["code"] for match in _INDENTED.finditer(rest)]
    for block in [*fenced, *indented, *spans]:
        yield from (line.strip() for line in block.replace("\\\n", " ").splitlines())


def anchors(text: str) -> set[str]:
    """The names that headings get."""
    headings = re.findall(r"^#+ +(.+)$", _FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("doc", DOCS)
def test_links_lead_somewhere(doc: str) -> None:
    for match in _LINK.finditer(text_of(doc)):
        place, _, anchor = match["to"].partition("#")
        if re.match(r"[a-z]+:", place):
            continue
        target = (ROOT / doc).parent / place if place else ROOT / doc
        assert target.exists(), f"{doc} links to {match['to']}, which does not exist"
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), f"{doc}: no heading for {match['to']}"


@pytest.mark.parametrize("doc", DOCS)
def test_make_verbs_exist(doc: str) -> None:
    verbs = set(re.findall(r"^([a-z-]+):.*## ", text_of("Makefile"), re.MULTILINE))
    assert {"dev", "test", "check", "bench", "help"} <= verbs
    named = {match[1] for line in code_of(text_of(doc)) if (match := re.match(r"make ([a-z-]+)", line))}
    assert named <= verbs, f"{doc} names verbs that the Makefile has not"
    metrics = {metric for metrics in BENCHMARKS.values() for metric in metrics}
    chosen = set(re.findall(r"make bench ONLY=(\w+)", text_of(doc)))
    assert chosen <= BENCHMARKS.keys() | metrics, f"{doc} names benchmarks that there are not"


@pytest.mark.parametrize("doc", DOCS)
def test_squirrel_verbs_and_their_flags_exist(doc: str) -> None:
    for line in code_of(text_of(doc)):
        command = re.split(r"\s+(?:[|>&#]|#)", line)[0].replace("|", " ")
        if not re.match(r"squirrel [a-z]", command):
            continue
        for words in _alternatives(line):
            build_app().parse_args(words, exit_on_error=False, print_error=False)


def _alternatives(line: str) -> Iterator[list[str]]:
    """`squirrel topics apply|check|show` is three commands; what follows a pipe with blanks, > or # is not ours."""
    words = shlex.split(re.split(r"\s[|>&]\s?|\s#", line)[0])[1:]
    choices = next((word for word in words if re.fullmatch(r"[a-z]+(\|[a-z]+)+", word)), None)
    for choice in choices.split("|") if choices else [""]:
        yield [choice if word == choices else word for word in words]


@pytest.mark.parametrize("doc", DOCS)
def test_settings_and_topics_exist(doc: str) -> None:
    ours = {PREFIX + field.upper() for field in Settings.model_fields} | ELSEWHERE | set(ALIASES) | set(OBSOLETE)
    topics = {plan.name for plan in catalogue()}
    text = text_of(doc)
    assert set(re.findall(rf"\b{PREFIX}[A-Z_]*[A-Z]\b", text)) <= ours
    named = set(re.findall(r"`(squirrel\.[a-z-]+)`", text)) - {"squirrel.run", "squirrel.attempt"}
    modules = {f"squirrel.{path.name}" for path in (ROOT / "squirrel").iterdir()}
    assert named <= topics | modules | {TARGETS_GROUP, NOTIFIERS_GROUP}


@pytest.mark.parametrize("doc", DOCS)
def test_paths_of_our_tree_exist(doc: str) -> None:
    tops = "squirrel|tests|topics|deploy|docs|requirements|benchmarks"
    for line in code_of(text_of(doc)):
        for path in re.findall(rf"(?<![\w/.-])(?:{tops})/[\w./-]*\w", line):
            assert (ROOT / path).exists() or (ROOT / path).with_suffix(".py").exists(), f"{doc} names {path}"


def sample(code: str) -> str:
    """What the shell would have made of it."""
    return re.sub(r"'\$\(date [^)]*\)'", _SAMPLE_INSTANT, code)


def test_the_readmes_calls_are_calls_of_the_api() -> None:
    table = text_of("squirrel/gateway/api_table.py")
    served = {f"{API}/{rest}" for rest in re.findall(r'f"\{API\}/([^"]*)"', table)} | set(
        re.findall(r'"(/\w*)"', table)
    )
    patterns = [re.compile(re.sub(r"\{+\w+\}+", "[^/]+", path)) for path in served]
    calls = re.findall(r"(?:localhost|127\.0\.0\.1):8080(/[^\s'\"`]*)", text_of("README.md"))
    assert len(calls) >= 6
    for call in calls:
        known = call in ("/docs", "/openapi.json") or any(pattern.fullmatch(call) for pattern in patterns)
        assert known, f"the README calls {call}; served: {sorted(served)}"


def test_the_readmes_bodies_are_taken() -> None:
    policy = TargetPolicy(allow_cidrs=parse_networks("127.0.0.0/8"))
    bodies = re.findall(r"(?:-d|echo) '(\{.*?\})'(?=$| *\|)", sample(text_of("README.md")), re.DOTALL | re.MULTILINE)
    assert len(bodies) == 5
    for body in bodies:
        document = json.loads(body)
        if "event" in document:
            made = parse_schedule(
                body.encode(),
                now_ms=NOW_MS,
                new_id=lambda: "id",
                routes=lambda event: event.startswith("email.send."),
                policy=policy,
                namespace="default",
            )
            assert not made.warnings
        else:
            parse_route("email.send.*", body.encode(), now_ms=NOW_MS, policy=policy)


def test_every_dependency_has_its_sentence() -> None:
    project = tomllib.loads(text_of("pyproject.toml"))["project"]
    extras = project["optional-dependencies"]
    needed = {
        re.split(r"[^A-Za-z0-9-]", each)[0]
        for each in [*project["dependencies"], *(one for name in extras if name != "dev" for one in extras[name])]
    }
    table = text_of("ARCHITECTURE.md").partition("\n## Dependencies\n")[2]
    named = set(re.findall(r"^\| `([a-z0-9-]+)` \| \S.{10,} \|$", table, re.MULTILINE))
    assert named == needed, "pyproject.toml and ARCHITECTURE.md, Dependencies"


def test_the_rules_can_fail() -> None:
    text = "See [a](nowhere.md#x) and `make nothing`.\n\n    squirrel nothing --at all\n\n## One, two\n"
    assert [match["to"] for match in _LINK.finditer(text)] == ["nowhere.md#x"]
    assert list(code_of(text)) == ["squirrel nothing --at all", "make nothing"]
    assert anchors(text) == {"one-two"}
    assert list(_alternatives("squirrel topics apply|check > x")) == [["topics", "apply"], ["topics", "check"]]
