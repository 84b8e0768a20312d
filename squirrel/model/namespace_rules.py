"""Where the targets of one namespace may be: instead of what holds for all."""

from __future__ import annotations

import json
from typing import Any

from msgspec import Struct

from squirrel.model.addresses import Network, parse_host_patterns, parse_networks
from squirrel.model.errors import Refused


class NamespaceRules(Struct, frozen=True):
    """Host patterns (none: every host) and networks that are not public and may be called all the same."""

    allowed_hosts: tuple[str, ...] = ()
    allow_cidrs: tuple[Network, ...] = ()


def parse_namespace_rules(text: str, field: str = "targets_by_namespace") -> dict[str, NamespaceRules]:
    """`{"acme": {"hosts": ["*.acme.example"], "cidrs": ["10.1.0.0/16"]}}` -> the rules. Raises Refused naming the field."""
    if not text.strip():
        return {}
    try:
        given: Any = json.loads(text)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise Refused.one(
            field, 'must be JSON such as {"acme": {"hosts": ["*.acme.example"], "cidrs": ["10.1.0.0/16"]}}'
        )
    found = {}
    for namespace, rules in given.items():
        place = f"{field}.{namespace}"
        if not isinstance(rules, dict) or not set(rules) <= {"hosts", "cidrs"}:
            raise Refused.one(place, "must be an object with hosts and cidrs")
        lists = {name: rules.get(name, []) for name in ("hosts", "cidrs")}
        for name, items in lists.items():
            if not isinstance(items, list) or not all(isinstance(each, str) for each in items):
                raise Refused.one(f"{place}.{name}", "must be a list of strings")
        hosts = parse_host_patterns(lists["hosts"], f"{place}.hosts")
        found[namespace] = NamespaceRules(hosts, parse_networks(lists["cidrs"], f"{place}.cidrs"))
    return found
