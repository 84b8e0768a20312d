"""What stands around an inbox document: the namespace it claims and its idempotency key, from headers or fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from squirrel.model.errors import Problem, Refused
from squirrel.model.ids import DEFAULT_NAMESPACE, namespace_problem
from squirrel.wire.documents.json_text import Document

NAMESPACE_HEADERS: Final = ("squirrel-namespace", "namespace")
IDEMPOTENCY_HEADER: Final = "idempotency-key"


class Envelope(NamedTuple):
    """Who asks, and under which key a repeat is known."""

    namespace: str
    idempotency_key: str | None


def read_envelope(document: Document, headers: Sequence[tuple[str, bytes | None]]) -> Envelope:
    """Header names are compared without case. Raises Refused for text that cannot be read and for two namespaces."""
    namespace = document.values.get("namespace")
    field = "namespace"
    key: str | None = None
    for name, value in headers:
        lower = name.lower()
        if lower == IDEMPOTENCY_HEADER and value:
            key = _text(lower, value)
        elif lower in NAMESPACE_HEADERS and value:
            claimed = _text(lower, value)
            if namespace is not None and namespace != claimed:
                raise Refused.one(
                    lower, f"says {claimed!a} and the {field} says {namespace!a:.80}; send one of the two"
                )
            namespace, field = claimed, lower
    if namespace is None:
        return Envelope(DEFAULT_NAMESPACE, key)
    reason = namespace_problem(namespace)
    if reason is not None:
        raise Refused("invalid", [Problem(field, reason)])
    return Envelope(namespace, key)


def _text(name: str, value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise Refused.one(name, "is a header that is not UTF-8; encode it as UTF-8") from None
