"""Whom a run calls now: its target or one of its fallbacks, by the schedule's own settings or its route's. Pure."""

from __future__ import annotations

from squirrel.engine.work import Work
from squirrel.model import retry as retries
from squirrel.model.retry import RetryPolicy
from squirrel.model.schedule import OpenRun, Row
from squirrel.model.target import Fallback, Route, Target


def stage_of(row: Row, run: OpenRun, route: Route | None) -> tuple[Target | None, RetryPolicy, tuple[Fallback, ...]]:
    """(target, retry policy, fallbacks) that hold for the run now; the schedule's own settings win over the route's."""
    spec = row.spec
    if spec.at_most_once:
        return run.target or spec.target or (route.target if route is not None else None), retries.NEVER, ()
    fallbacks = spec.fallback or (route.fallback if route is not None else ())
    if run.stage:
        if run.stage > len(fallbacks):
            return None, retries.NEVER, fallbacks
        fallback = fallbacks[run.stage - 1]
        return fallback.target, fallback.retry or retries.NEVER, fallbacks
    target = run.target or spec.target or (route.target if route is not None else None)
    policy = spec.retry or (route.retry if route is not None else None) or retries.DEFAULT
    return target, policy, fallbacks


def route_for(work: Work, row: Row) -> Route | None:
    """The route is only looked up where the schedule leaves something to it."""
    spec = row.spec
    if spec.target is not None and spec.retry is not None:
        return None
    return work.route(row.namespace, row.event)


def target_of(work: Work, row: Row, run: OpenRun) -> Target | None:
    """What the run calls now."""
    return stage_of(row, run, route_for(work, row))[0]
