"""The graph of a workflow's steps: cycles, steps that can never run, and who comes before whom. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product
from typing import Final

from squirrel.model.workflow import Step

ALTERNATIVES_MAX: Final = 64  # ways in which a step may come to run; beyond it nothing is claimed
Facts = dict[str, str]  # step -> the outcome that it must have


def cycle_in(steps: Mapping[str, Step]) -> list[str] | None:
    """A path that leads back to its beginning, or None: `["a", "b", "a"]`."""
    done: set[str] = set()
    for begin in steps:
        path: list[str] = []
        waiting: list[tuple[str, bool]] = [(begin, False)]
        while waiting:
            name, leaving = waiting.pop()
            if leaving:
                done.add(path.pop())
            elif name in path:
                return [*path[path.index(name) :], name]
            elif name not in done:
                path.append(name)
                waiting.append((name, True))
                waiting.extend((each.step, False) for each in steps[name].after if each.step in steps)
    return None


def ancestors_of(name: str, steps: Mapping[str, Step]) -> set[str]:
    """All steps that end before this one begins."""
    found: set[str] = set()
    waiting = [each.step for each in steps[name].after]
    while waiting:
        parent = waiting.pop()
        if parent not in found and parent in steps:
            found.add(parent)
            waiting.extend(each.step for each in steps[parent].after)
    return found


def descendants_of(names: Iterable[str], steps: Mapping[str, Step]) -> set[str]:
    """All steps that wait, directly or not, for one of these."""
    given = set(names)
    return {name for name in steps if ancestors_of(name, steps) & given}


def never_runs(steps: Mapping[str, Step]) -> dict[str, str]:
    """Steps of an acyclic graph that no outcome leads to, each with the contradiction."""
    ways: dict[str, list[Facts]] = {}
    found: dict[str, str] = {}
    for name in ordered(steps):
        step = steps[name]
        by_edge = [_through(each.step, each.on, ways) for each in step.after]
        if not by_edge:
            made: list[Facts] = [{}]
        elif step.join == "any":
            made = [facts for edge in by_edge for facts in edge]
        else:
            made = _together(by_edge)
        if not made:
            found[name] = _contradiction(step, by_edge)
            made = [{}]  # said once; what hangs on it is not its own fault
        ways[name] = made if len(made) <= ALTERNATIVES_MAX else [{}]
    return found


def _contradiction(step: Step, by_edge: list[list[Facts]]) -> str:
    """The outcome that two of its parents disagree about, with the paths to it."""
    needed: dict[str, tuple[str, str]] = {}
    for each, alternatives in zip(step.after, by_edge, strict=True):
        for other, outcome in (alternatives[0] if alternatives else {}).items():
            before = needed.setdefault(other, (outcome, each.step))
            if before[0] != outcome:
                return (
                    f"{step.id} <- {before[1]} needs a {before[0]} of {other}, "
                    f"{step.id} <- {each.step} needs a {outcome} of it"
                )
    return " and ".join(f"{step.id} <- {each.step} ({each.on})" for each in step.after)


def ordered(steps: Mapping[str, Step]) -> list[str]:
    """Parents before children; of an acyclic graph."""
    found: list[str] = []
    waiting = list(steps)
    while waiting:
        left = [name for name in waiting if any(each.step in waiting for each in steps[name].after)]
        found.extend(name for name in waiting if name not in left)
        if len(left) == len(waiting):
            return found
        waiting = left
    return found


def _through(parent: str, on: str, ways: Mapping[str, list[Facts]]) -> list[Facts]:
    """What must hold for a step behind this edge to run. A completion is any end, that of a skipped step too."""
    if on == "completion":
        return [{}]
    joined = (_joined(facts, {parent: on}) for facts in ways.get(parent, [{}]))
    return [facts for facts in joined if facts is not None]


def _together(by_edge: list[list[Facts]]) -> list[Facts]:
    count = 1
    for edge in by_edge:
        count *= max(1, len(edge))
    if count > ALTERNATIVES_MAX:
        return [{}]
    made = []
    for chosen in product(*by_edge):
        facts: Facts | None = {}
        for each in chosen:
            facts = None if facts is None else _joined(facts, each)
        if facts is not None:
            made.append(facts)
    return made


def _joined(one: Facts, other: Facts) -> Facts | None:
    if any(one.get(step, outcome) != outcome for step, outcome in other.items()):
        return None
    return one | other
