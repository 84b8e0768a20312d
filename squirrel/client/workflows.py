"""Workflows and promises kept, for both clients: definitions, runs, and what asynchronous targets say of theirs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final, TypeVar

from msgspec import Struct

from squirrel.client import calls
from squirrel.client.records import Page, Run
from squirrel.client.talk import Patience, Request, Talk
from squirrel.model.completion_token import HEADER

T = TypeVar("T")
_PATH: Final = f"{calls.API}/workflow-runs"
VERBS: Final = ("pause", "resume", "cancel", "retry", "skip")


class Workflow(Struct, frozen=True, kw_only=True):
    """A version of a workflow; `steps` are documents, or in a list of workflows their ids."""

    name: str
    version: int
    steps: list[Any] = []
    description: str = ""
    timeout_seconds: float | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None


class WorkflowStep(Struct, frozen=True, kw_only=True):
    """One step of a run; `schedule` is the ordinary schedule that carries it once it was ready."""

    id: str
    state: str
    after: list[str] = []
    tries: int = 0
    ready: datetime | None = None
    due: datetime | None = None
    finished: datetime | None = None
    reason: str = ""
    schedule: str = ""
    run: str = ""
    status: int | None = None
    attempts: int = 0
    items: dict[str, int] = {}
    compensation: str = ""


class WorkflowRun(Struct, frozen=True, kw_only=True):
    """One run; in lists without its steps. After a 202 `state` is `accepted` and only `id` is known."""

    id: str
    workflow: str = ""
    version: int = 0
    state: str = "accepted"
    steps: list[WorkflowStep] = []
    input: Any = None
    created: datetime | None = None
    started: datetime | None = None
    finished: datetime | None = None
    reason: str = ""
    run: str = ""

    @property
    def is_over(self) -> bool:
        """Whether nothing more will be called, unless it is retried."""
        return self.state in ("succeeded", "failed", "cancelled")


def _workflow(name: str, rest: str = "", method: str = "GET", body: Any = None, key: str | None = None) -> Request:
    headers = {} if body is None else dict(calls.JSON_HEADERS)
    headers |= {} if key is None else {"idempotency-key": key}
    sent = None if body is None else calls.json_of(body)
    return Request(method, calls.path_of("workflows", name) + rest, headers=headers, body=sent)


def _run(run_id: str, verb: str = "", step: str | None = None) -> Request:
    if not verb:
        return Request("GET", calls.path_of("workflow-runs", run_id))
    body = None if step is None else calls.json_of({"step": step})
    headers = {} if body is None else calls.JSON_HEADERS
    path = f"{calls.path_of('workflow-runs', run_id)}:{verb}"
    return Request("POST", path, headers=headers, body=body, repeatable=verb in ("pause", "resume"))


def _query(workflow: str | None, state: str | None, page_items: int | None) -> dict[str, object]:
    return {"workflow": workflow, "state": state, "limit": page_items}


def _said(run_id: str, verb: str, token: str | None, body: Mapping[str, Any] | None) -> Request:
    """What an asynchronous target says; a repeat of a completion would be answered as too late."""
    headers = {} if body is None else dict(calls.JSON_HEADERS)
    headers |= {} if token is None else {HEADER: token}
    sent = None if body is None else calls.json_of(body)
    path = f"{calls.path_of('runs', run_id)}:{verb}"
    return Request("POST", path, headers=headers, body=sent, repeatable=verb == "heartbeat")


def _ending(result: Any, error: str | None, retry: bool) -> dict[str, Any]:
    if error is None:
        return {"outcome": "success", "result": result}
    return {"outcome": "failure", "error": error, "retry": retry, "result": result}


class WorkflowCalls(ABC):
    """The part of `Client` for workflows and promises."""

    _patience: Patience

    @abstractmethod
    def _one(self, kind: type[T], request: Request) -> T: ...

    @abstractmethod
    def _run(self, talk: Talk[T]) -> T: ...

    @abstractmethod
    def _walk(self, talk: Talk[None]) -> Iterator[Any]: ...

    def workflows(self) -> list[Workflow]:
        """All of the namespace; their steps by id."""
        page: Page[Workflow] = self._one(Page[Workflow], Request("GET", f"{calls.API}/workflows"))
        return page.items

    def workflow(self, name: str) -> Workflow:
        """The newest version. Raises NotFound."""
        return self._one(Workflow, _workflow(name))

    def put_workflow(self, name: str, document: Mapping[str, Any]) -> Workflow:
        """Keep a graph of steps; the same content again is the same version. Raises Invalid with the path of what is wrong."""
        return self._one(Workflow, _workflow(name, "", "PUT", document))

    def delete_workflow(self, name: str) -> None:
        """Remove it; runs that go on, go on."""
        self._run(calls.nothing(_workflow(name, "", "DELETE"), self._patience))

    def start_workflow(self, name: str, input: Any = None, *, idempotency_key: str | None = None) -> WorkflowRun:  # noqa: A002
        """One run now. With a key a repeat finds the first one."""
        return self._one(WorkflowRun, _workflow(name, ":start", "POST", {"input": input}, idempotency_key))

    def workflow_runs(
        self, workflow: str | None = None, *, state: str | None = None, page_items: int | None = None
    ) -> Iterator[WorkflowRun]:
        """Newest first, page by page as they are taken; without their steps."""
        return self._walk(calls.every(WorkflowRun, _PATH, _query(workflow, state, page_items), self._patience))

    def workflow_run(self, run_id: str) -> WorkflowRun:
        """A run with every step's state and times. Raises NotFound."""
        return self._one(WorkflowRun, _run(run_id))

    def change_workflow_run(self, run_id: str, verb: str, step: str | None = None) -> WorkflowRun:
        """`pause`, `resume`, `cancel`, `retry` (from a failed step, or from all), `skip` a step. Raises Conflict, Invalid."""
        return self._one(WorkflowRun, _run(run_id, verb, step))

    def complete(
        self, run_id: str, *, result: Any = None, error: str | None = None, retry: bool = True, token: str | None = None
    ) -> Run:
        """An asynchronous target's run ended: with a `result`, or with an `error`. `token` came in the call's headers."""
        return self._one(Run, _said(run_id, "complete", token, _ending(result, error, retry)))

    def heartbeat(self, run_id: str, *, token: str | None = None) -> Run:
        """An asynchronous target is still at work."""
        return self._one(Run, _said(run_id, "heartbeat", token, None))


class AsyncWorkflowCalls(ABC):
    """The part of `AsyncClient` for workflows and promises; the methods of `WorkflowCalls`."""

    _patience: Patience

    @abstractmethod
    def _one(self, kind: type[T], request: Request) -> Awaitable[T]: ...

    @abstractmethod
    def _run(self, talk: Talk[T]) -> Awaitable[T]: ...

    @abstractmethod
    def _walk(self, talk: Talk[None]) -> AsyncIterator[Any]: ...

    async def workflows(self) -> list[Workflow]:
        page: Page[Workflow] = await self._one(Page[Workflow], Request("GET", f"{calls.API}/workflows"))
        return page.items

    async def workflow(self, name: str) -> Workflow:
        return await self._one(Workflow, _workflow(name))

    async def put_workflow(self, name: str, document: Mapping[str, Any]) -> Workflow:
        return await self._one(Workflow, _workflow(name, "", "PUT", document))

    async def delete_workflow(self, name: str) -> None:
        await self._run(calls.nothing(_workflow(name, "", "DELETE"), self._patience))

    async def start_workflow(self, name: str, input: Any = None, *, idempotency_key: str | None = None) -> WorkflowRun:  # noqa: A002
        return await self._one(WorkflowRun, _workflow(name, ":start", "POST", {"input": input}, idempotency_key))

    def workflow_runs(
        self, workflow: str | None = None, *, state: str | None = None, page_items: int | None = None
    ) -> AsyncIterator[WorkflowRun]:
        return self._walk(calls.every(WorkflowRun, _PATH, _query(workflow, state, page_items), self._patience))

    async def workflow_run(self, run_id: str) -> WorkflowRun:
        return await self._one(WorkflowRun, _run(run_id))

    async def change_workflow_run(self, run_id: str, verb: str, step: str | None = None) -> WorkflowRun:
        return await self._one(WorkflowRun, _run(run_id, verb, step))

    async def complete(
        self, run_id: str, *, result: Any = None, error: str | None = None, retry: bool = True, token: str | None = None
    ) -> Run:
        return await self._one(Run, _said(run_id, "complete", token, _ending(result, error, retry)))

    async def heartbeat(self, run_id: str, *, token: str | None = None) -> Run:
        return await self._one(Run, _said(run_id, "heartbeat", token, None))
