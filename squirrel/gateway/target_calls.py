"""The calls around targets: their types, named secrets, breakers. One entry each."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from starlette.responses import Response

from squirrel.gateway.answer_schemas import json_content
from squirrel.gateway.breakers import BreakerCalls
from squirrel.gateway.call import Call
from squirrel.gateway.definition_log import DefinitionLog
from squirrel.gateway.deps import GatewayDeps
from squirrel.gateway.executor_link import ExecutorLink
from squirrel.gateway.named_secrets import NamedSecrets
from squirrel.gateway.operation import Operation
from squirrel.gateway.producing import CommandLog
from squirrel.wire.documents.built_in_types import BUILT_IN_TYPES
from squirrel.wire.secret_book import SecretBook
from squirrel.wire.target_types.registry import installed_types

API: Final = "/api/v1"
_LOCATION: Final = {"Location": {"schema": {"type": "string"}}}


class TargetCalls:
    """Makes these calls' handlers."""

    def __init__(self, deps: GatewayDeps, definitions: CommandLog) -> None:
        log = DefinitionLog(definitions, deps.definitions)
        link = ExecutorLink(deps.executors, deps.settings.link_token)
        self._breakers = BreakerCalls(link, deps.definitions, log)
        self._secrets = NamedSecrets(deps.clock, log, SecretBook(deps.definitions), deps.settings.targets.vault)

    async def types(self, call: Call) -> Response:
        """GET /target-types."""
        items = [*BUILT_IN_TYPES, *(each.document() for each in installed_types())]
        return Response(msgspec.json.encode({"items": items, "next_cursor": None}), 200, media_type="application/json")

    def operations(self) -> list[Operation]:
        """What `routes_of` and the document are made from."""
        path, secrets = f"{API}/secrets/{{name}}", self._secrets
        return [
            Operation(
                method="GET", path=f"{API}/target-types", handler=self.types, tag="targets",
                summary="What can be called: every type with the JSON Schema of its configuration",
                description="A type that `needs` a package is known here and can be called once the executors have it.",
                responses={200: _json_of("TargetTypePage", "all of them")},
            ),
            Operation(
                method="GET", path=f"{API}/secrets", handler=secrets.list, tag="secrets",
                summary="The names of all secrets", responses={200: _json_of("SecretPage", "all of them")},
            ),
            Operation(
                method="GET", path=path, handler=secrets.get, tag="secrets", summary="A secret's dates; never its value",
                responses={200: _json_of("Secret", "the secret")},
            ),
            Operation(
                method="PUT", path=path, handler=secrets.put, tag="secrets", summary="Store a secret, encrypted",
                description='Targets name it as {"secret": "name"}. With `keep_previous_seconds` the value before stays good '
                "for so long: calls are then signed with both.",
                body={"required": True, "content": json_content("NewSecret", {"value": "s3cret"})},
                responses={200: _json_of("Secret", "changed"), 201: _json_of("Secret", "new", _LOCATION)},
            ),
            Operation(
                method="DELETE", path=path, handler=secrets.delete, tag="secrets", summary="Remove a secret",
                responses={204: {"description": "done"}},
            ),
            Operation(
                method="GET", path=f"{API}/breakers", handler=self._breakers.list, tag="targets",
                summary="Hosts that fail, and which of them are not called just now",
                responses={200: _json_of("BreakerPage", "hosts with trouble, the worst first")},
            ),
            Operation(
                method="POST", path=f"{API}/breakers/{{breaker}}:close", handler=self._breakers.close, tag="targets",
                summary="Call a host again, at once", responses={200: _json_of("ClosedBreaker", "closed")},
            ),
        ]  # fmt: skip


def _json_of(name: str, description: str, headers: dict[str, Any] | None = None) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": description, "content": json_content(name)}
    return answer | {"headers": headers} if headers else answer
