"""One target type as a value, and its configuration as the doors and the console need it."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from squirrel.wire.target_types.sending import Send

# A configuration's field that is a secret: encrypted at rest, shown as ***, given by value or as {"secret": "name"}.
Secret = Annotated[str, Meta(extra_json_schema={"x-secret": True, "writeOnly": True})]
RESERVED: Final = frozenset({"type", "timeout_seconds", "retry"})  # every target has them
Dials = Callable[[Any], Sequence[tuple[str, str]]]


def _nowhere(_: Any) -> Sequence[tuple[str, str]]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetType:
    """A target type. `config` is a msgspec Struct with `forbid_unknown_fields=True`; its docstrings and Metas are the manual.

    `send` is the coroutine `(config, attempt, network) -> Reply`, or where it lies ("package.module:name", imported by the
    executor only). `dials(config)` gives (field, URL) of what would be called, so that the doors refuse it early. `place(config)`
    is what results and limits know it by: a host, without secrets.
    """

    kind: str
    title: str
    description: str
    config: type[Struct]
    send: Send | str
    example: Mapping[str, Any]
    dials: Dials = _nowhere
    place: Callable[[Any], str] | None = None
    needs: str = ""  # the module that must be importable, and its package after a blank: "apprise squirrel[apprise]"
    secrets: frozenset[str] = field(init=False, default=frozenset())

    def __post_init__(self) -> None:
        object.__setattr__(self, "secrets", frozenset(_secret_fields(self.config)))

    @property
    def missing(self) -> str:
        """The package to install before it can be called here, or empty."""
        module, _, package = self.needs.partition(" ")
        return package if module and importlib.util.find_spec(module) is None else ""

    def sender(self) -> Send:
        """`send`, imported when it was a name."""
        if not isinstance(self.send, str):
            return self.send
        module, _, name = self.send.partition(":")
        found: Send = getattr(importlib.import_module(module), name)
        return found

    def schema(self) -> dict[str, Any]:
        """The configuration as a self-contained JSON Schema."""
        return msgspec.json.schema(self.config)

    def document(self) -> dict[str, Any]:
        """As `GET /api/v1/target-types` shows it."""
        return {
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "schema": self.schema(),
            "secrets": sorted(self.secrets),
            "example": {"type": self.kind, **self.example},
            "needs": self.missing,
        }


def _secret_fields(config: type[Struct]) -> Iterator[str]:
    info = msgspec.inspect.type_info(config)
    assert isinstance(info, msgspec.inspect.StructType), "a configuration is a Struct"
    for each in info.fields:
        if each.encode_name in RESERVED:
            raise TypeError(
                f"{config.__name__}.{each.encode_name}: every target has a field of this name; choose another"
            )
        inner = each.type.types if isinstance(each.type, msgspec.inspect.UnionType) else (each.type,)
        if any(
            isinstance(one, msgspec.inspect.Metadata) and (one.extra_json_schema or {}).get("x-secret") for one in inner
        ):
            yield each.encode_name
