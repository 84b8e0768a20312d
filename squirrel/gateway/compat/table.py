"""Where each foreign call is served, and what the door says on those paths to who has no token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response
from starlette.routing import Route

from squirrel.gateway.compat import jobs, redis, rrule, workflow
from squirrel.gateway.compat.exchange import ForeignEndpoint, Handler, Seed, json_answer
from squirrel.gateway.compat.inner import Inner
from squirrel.gateway.compat.process_usage import ProcessUsage
from squirrel.gateway.compat.rrule_events import RRuleEvents
from squirrel.gateway.compat.shared import SharedSchedules
from squirrel.gateway.compat.workflow_body import Place
from squirrel.gateway.compat.workflow_rules import WorkflowRules
from squirrel.gateway.compat.workflow_runs import WorkflowRuns
from squirrel.gateway.deps import GatewayDeps
from squirrel.gateway.problems import Answered
from squirrel.gateway.schedules import Parts
from squirrel.model.retry import RetryPolicy

Table = Mapping[str, Mapping[str, Handler]]  # path -> method -> handler

_REDIS_WORDS: Final = frozenset({"schedule", "schedules", "stats", "purge"})
_JOBS_WORDS: Final = frozenset({"jobs", "dlq"})


class Unauthorized(Answered):
    """401 in the shape of the seed whose path was called."""

    def __init__(self, seed: Seed) -> None:
        super().__init__("unauthorized", "send the header Authorization: <token>")
        self._seed = seed

    def response(self) -> Response:
        return json_answer(self._seed.error(401, "Unauthorized"), 401)


def seed_of(path: str) -> Seed | None:
    """Which foreign API a path belongs to, or None for ours."""
    first = path[1:].partition("/")[0]
    if first in _REDIS_WORDS:
        return redis.SEED
    if first in _JOBS_WORDS:
        return jobs.SEED
    if path.startswith("/api/") and not path.startswith("/api/v1/"):
        return workflow.SEED
    return None


def unauthorized(path: str) -> Answered | None:
    """What a call of a foreign API without a valid token is told; None leaves it to the native problem document."""
    seed = seed_of(path)
    return None if seed is None else Unauthorized(seed)


def foreign_routes(deps: GatewayDeps, parts: Parts) -> list[Route]:
    """One route per foreign path."""
    inner = Inner(parts, deps.history)
    return [
        Route(path, ForeignEndpoint(seed, handlers), methods=None)
        for seed, table in _tables(deps, inner)
        for path, handlers in table.items()
    ]


def retry_of(deps: GatewayDeps) -> RetryPolicy:
    """RETRIES and RETRY_TIME, the same wait each time."""
    wait_ms = max(1, round(deps.settings.retry_seconds * 1000))
    return RetryPolicy(
        max_retries=deps.settings.max_retries, strategy="fixed", initial_ms=wait_ms, max_ms=wait_ms, jitter=0
    )


def _tables(deps: GatewayDeps, inner: Inner) -> list[tuple[Seed, Table]]:
    return [
        (redis.SEED, _redis(deps, inner)),
        (jobs.SEED, _jobs(deps, inner)),
        (workflow.SEED, _schedules(deps, inner)),
        (workflow.SEED, _workflow_questions(inner)),
    ]


def _schedules(deps: GatewayDeps, inner: Inner) -> Table:
    settings = deps.settings
    workflows = workflow.WorkflowApi(inner, Place(settings.targets, settings.n8n_base_url))
    both = SharedSchedules(inner, rrule.RRuleApi(inner, retry_of(deps)), workflows)
    events = RRuleEvents(inner, settings.pending_window_minutes * 60_000)
    runs = WorkflowRuns(inner)
    one = "/api/schedules/{id}"
    return {
        "/api/schedules": {"GET": workflows.every, "POST": both.create},
        one: {"GET": both.get, "PUT": both.put, "DELETE": both.delete},
        f"{one}/enable": {"POST": workflows.enable},
        f"{one}/disable": {"POST": workflows.disable},
        f"{one}/trigger": {"POST": workflows.trigger},
        f"{one}/next-runs": {"GET": workflows.next_runs},
        f"{one}/executions": {"GET": runs.of_schedule},
        f"{one}/metrics": {"GET": runs.metrics},
        f"{one}/events/pending": {"GET": events.pending},
        f"{one}/events/history": {"GET": events.history},
        "/api/executions": {"GET": runs.every},
        "/api/executions/{id}": {"GET": runs.get},
        "/api/executions/{id}/retry": {"POST": runs.retry},
        "/api/dashboard/stats": {"GET": runs.dashboard},
    }


def _workflow_questions(inner: Inner) -> Table:
    rules = WorkflowRules(inner)
    return {
        "/api/cron/validate": {"GET": rules.validate},
        "/api/cron/presets": {"GET": rules.presets},
        "/api/timezones": {"GET": rules.timezones},
        "/api/system/db-status": {"GET": rules.db_status},
        "/api/system/redis-status": {"GET": rules.redis_status},
    }


def _jobs(deps: GatewayDeps, inner: Inner) -> Table:
    api = jobs.JobsApi(inner, deps.settings.max_retries)
    return {
        "/jobs": {"GET": api.every, "POST": api.create},
        "/jobs/{id}": {"GET": api.get, "PUT": api.put, "DELETE": api.delete},
        "/jobs/{id}/run": {"POST": api.run},
        "/jobs/{id}/status": {"PATCH": api.patch_status},
        "/dlq": {"GET": api.dead},
        "/dlq/{id}/reactivate": {"POST": api.reactivate},
        "/dlq/{id}/complete": {"POST": api.complete},
    }


def _redis(deps: GatewayDeps, inner: Inner) -> Table:
    api = redis.RedisApi(inner, deps.settings.api_token, retry_of(deps), ProcessUsage(deps.clock.monotonic))
    return {
        "/schedule": {"POST": api.create},
        "/schedules": {"GET": api.list, "DELETE": api.purge},
        "/purge": {"POST": api.purge},
        "/stats": {"GET": api.stats},
        "/schedule/{key}": {"GET": api.get, "PATCH": api.patch, "DELETE": api.delete},
    }
