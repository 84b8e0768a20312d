"""A target of a type beyond http and kafka: its configuration read by the type's own Struct, and shown again."""

from __future__ import annotations

from typing import Any

import msgspec
import orjson

from squirrel.model.errors import Problem
from squirrel.model.limits import TARGET_CONFIG_BYTES_MAX, TIMEOUT_SECONDS_DEFAULT, TIMEOUT_SECONDS_MAX
from squirrel.model.target import PluginTarget, Target
from squirrel.wire.documents.names import Entries
from squirrel.wire.documents.retry import seconds_of
from squirrel.wire.documents.target_policy import TargetPolicy
from squirrel.wire.documents.typed_config import read_config
from squirrel.wire.documents.values import Problems, read_ms
from squirrel.wire.secret_texts import is_hidden
from squirrel.wire.target_types.kind import RESERVED, TargetType


def parse_plugin(
    found: TargetType,
    entries: Entries,
    prefix: str,
    policy: TargetPolicy | None,
    problems: Problems,
    before: Target | None,
) -> PluginTarget | None:
    """The fields of a target of this type -> the noun, or None and what is wrong."""
    count = len(problems)
    timeout_ms = TIMEOUT_SECONDS_DEFAULT * 1000
    if (entry := entries.get("timeout_seconds")) is not None:
        timeout_ms = read_ms(*entry, problems, 0.001, TIMEOUT_SECONDS_MAX) or timeout_ms
    given = {name: entry[1] for name, entry in entries.items() if name not in RESERVED}
    was = config_of(before) if isinstance(before, PluginTarget) and before.kind == found.kind else None
    read = read_config(found.config, found.secrets, (prefix, given), policy, problems, was)
    if read is None:
        return None
    if policy is not None:
        for field, url in found.dials(read.plain):
            problem = None if is_hidden(url) else policy.problem_of(url, f"{prefix}.{field}")
            if problem is not None:
                problems.append(problem)
    config = orjson.dumps(read.stored)
    if len(config) > TARGET_CONFIG_BYTES_MAX:
        problems.append(Problem(prefix, f"has {len(config)} bytes, the limit is {TARGET_CONFIG_BYTES_MAX}; send less"))
    return PluginTarget(found.kind, config, timeout_ms) if len(problems) == count else None


def config_of(target: PluginTarget) -> dict[str, Any]:
    """The configuration as it is stored."""
    try:
        found = orjson.loads(target.config or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def plugin_document(target: PluginTarget) -> dict[str, Any]:
    """The target in the API's words, secrets in their stored form."""
    return {"type": target.kind, **config_of(target), "timeout_seconds": seconds_of(target.timeout_ms)}


def place_of(target: PluginTarget, types: Any) -> str:
    """What limits and results know it by, without secrets."""
    found: TargetType | None = types.get(target.kind)
    if found is not None and found.place is not None:
        try:
            return f"{target.kind}:{found.place(msgspec.convert(config_of(target), found.config))}"
        except (msgspec.ValidationError, AttributeError, ValueError):
            pass
    return f"plugin:{target.kind}"
