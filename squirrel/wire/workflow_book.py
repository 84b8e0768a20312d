"""Workflows on the definitions topic: `ns/workflow/<name>`, the newest version whole and a few former ones beside it."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from squirrel.model.errors import Refused
from squirrel.model.workflow import Definition, encode_definition
from squirrel.wire.documents.workflow import parse_workflow
from squirrel.wire.route_book import Definitions

KIND = "workflow"


class Version(Struct, frozen=True):
    """One version as it was put: the document with its secrets in their stored form."""

    version: int
    updated_ms: int
    document: Raw


class StoredWorkflow(Struct, frozen=True):
    """All that is kept of a workflow; versions newest first."""

    name: str
    created_ms: int
    versions: list[Version]

    @property
    def newest(self) -> Version:
        return self.versions[0]


encode_stored = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(StoredWorkflow).decode


def workflow_key(namespace: str, name: str) -> str:
    """The key on the definitions topic."""
    return f"{namespace}/{KIND}/{name}"


def definition_of(stored: StoredWorkflow, version: Version | None = None) -> Definition:
    """The nouns of a version, the newest unless said. Raises Refused for what this release cannot read."""
    chosen = version or stored.newest
    return parse_workflow(
        stored.name, bytes(chosen.document), version=chosen.version, now_ms=chosen.updated_ms, policy=None
    )


class WorkflowBook:
    """All workflows as of the newest definitions; each read when it is asked for, and remembered until it changes."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self._encoded: dict[bytes, tuple[bytes, bytes | None]] = {}

    def get(self, namespace: str, name: str) -> StoredWorkflow | None:
        """None too for a value that is not ours."""
        value = self._definitions.values.get(workflow_key(namespace, name).encode())
        return None if value is None else _read(value)

    def all(self, namespace: str) -> list[StoredWorkflow]:
        """By name."""
        prefix = workflow_key(namespace, "").encode()
        keys = sorted(key for key in self._definitions.values if key.startswith(prefix))
        found = (_read(self._definitions.values[key]) for key in keys)
        return [each for each in found if each is not None]

    def newest(self, namespace: str, name: str) -> bytes | None:
        """The newest definition, encoded as it rides in the row of a run; None when there is none that can be read."""
        key = workflow_key(namespace, name).encode()
        value = self._definitions.values.get(key)
        if value is None:
            self._encoded.pop(key, None)
            return None
        known = self._encoded.get(key)
        if known is None or known[0] != value:
            known = self._encoded[key] = (value, _encoded(value))
        return known[1]


def _encoded(value: bytes) -> bytes | None:
    stored = _read(value)
    if stored is None:
        return None
    try:
        return encode_definition(definition_of(stored))
    except Refused:
        return None


def _read(value: Any) -> StoredWorkflow | None:
    try:
        stored: StoredWorkflow = _decode(value)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return stored if stored.versions else None
