"""A body in YAML as JSON: plain values only, without aliases, which could make a small text a huge document."""

from __future__ import annotations

from typing import Any

import orjson
import yaml

from squirrel.gateway.call import Call
from squirrel.wire.documents.json_text import NotJson

_TYPES = ("yaml", "x-yaml")


class _Plain(yaml.SafeLoader):
    """SafeLoader that refuses aliases and leaves dates as text."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not taken; write the value out")
        return super().compose_node(parent, index)


_Plain.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def json_body(call: Call) -> bytes:
    """The body as it is, or turned into JSON when its Content-Type says YAML. Raises NotJson."""
    kind = (call.header(b"content-type") or "").partition(";")[0].strip().lower()
    if kind.rpartition("/")[2].rpartition("+")[2] not in _TYPES:
        return call.body
    try:
        return orjson.dumps(yaml.load(call.body, _Plain))  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, orjson.JSONEncodeError, ValueError, RecursionError) as error:
        raise NotJson(f"is not YAML of plain values: {' '.join(str(error).split())[:300]}") from None
