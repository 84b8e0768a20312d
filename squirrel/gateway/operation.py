"""One call of the API: its path as the contract writes it, its handler, and what the OpenAPI document says of it.

Routing and the document are made from the same table, so they cannot differ. `/schedules/{id}:pause` is served by the endpoint
of `/schedules/{id}`, which takes the verb off: ids may hold colons, so only a known verb after the last one counts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from squirrel.gateway.audit_notes import OPERATION
from squirrel.gateway.call import Call
from squirrel.gateway.problems import Answered, of_refused, of_unavailable
from squirrel.model.errors import Refused, Unavailable
from squirrel.model.ids import VERBS

Handler = Callable[[Call], Awaitable[Response]]
_SEGMENT_END: Final = "}"
_ASKING: Final = ("preview", ":preview-resume", ":heartbeat")  # POSTs that change nothing, or too often


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A method on a path. `query` are its parameters with their JSON schemas; any other one is refused."""

    method: str
    path: str
    handler: Handler
    summary: str
    tag: str
    description: str = ""
    query: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    headers: tuple[str, ...] = ()  # names of the document's parameter components
    body: dict[str, Any] | None = None  # the request body object
    responses: Mapping[int, dict[str, Any]] = field(default_factory=dict)
    hidden: bool = False  # served, but not in the document

    @property
    def name(self) -> str:
        """The operationId of the document."""
        return self.handler.__qualname__.replace(".", "_")

    @property
    def changes(self) -> bool:
        """Whether a call of it leaves an audit record."""
        return self.method not in ("GET", "HEAD") and not self.path.endswith(_ASKING)

    @property
    def base(self) -> tuple[str, str]:
        """The path that is routed, and the verb that follows a parameter, or nothing."""
        head, colon, verb = self.path.rpartition(":")
        return (head, verb) if colon and head.endswith(_SEGMENT_END) else (self.path, "")


class Endpoint:
    """All operations of one routed path: picks by method and verb; an ASGI application."""

    def __init__(self, path: str, operations: Iterable[Operation]) -> None:
        self._parameter = path.rpartition("{")[2].rstrip("}") if path.endswith("}") else ""
        self._operations: dict[str, dict[str, Operation]] = {}
        for operation in operations:
            self._operations.setdefault(operation.base[1], {})[operation.method] = operation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            operation, path = self._pick(scope["method"], scope["path_params"])
            if operation.changes:
                scope[OPERATION] = operation.name
            response = await operation.handler(Call(scope, path, operation.query))
        except Answered as problem:
            response = problem.response()
        except Refused as refused:
            response = of_refused(refused).response()
        except Unavailable as unavailable:
            response = of_unavailable(unavailable).response()
        await response(scope, receive, send)

    def _pick(self, method: str, path: Mapping[str, str]) -> tuple[Operation, Mapping[str, str]]:
        verb = ""
        if self._parameter:
            head, colon, last = path[self._parameter].rpartition(":")
            if colon and (last in VERBS or last in self._operations):  # no id of ours holds a colon
                verb = last
                path = {**path, self._parameter: head}
        operations = self._operations.get(verb)
        if operations is None:
            known = ", ".join(f":{each}" for each in sorted(self._operations) if each)
            raise Answered("not_found", f"there is no :{verb} here; known are {known or 'none'}")
        operation = operations.get("GET" if method == "HEAD" else method)
        if operation is None:
            allowed = ", ".join(sorted(operations))
            raise Answered(
                "method_not_allowed", f"{method} is not taken here; use {allowed}", headers={"Allow": allowed}
            )
        return operation, path


def routes_of(operations: Iterable[Operation]) -> list[Route]:
    """One route per path, in the order of the table."""
    by_path: dict[str, list[Operation]] = {}
    for operation in operations:
        by_path.setdefault(operation.base[0], []).append(operation)
    return [Route(path, Endpoint(path, grouped), methods=None) for path, grouped in by_path.items()]
