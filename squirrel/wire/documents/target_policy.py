"""Where this installation's targets may be, and what seals their secrets: for all namespaces, and narrowed for one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from squirrel.model.addresses import CheckedUrl, Network, host_allowed, normalise_url, refusal
from squirrel.model.errors import Problem, Refused
from squirrel.model.namespace_rules import NamespaceRules


class TargetPolicy(Struct, frozen=True):
    """Where targets may be. Names are checked here, what they resolve to by the executor on every attempt.

    `allowed_hosts` and `allow_cidrs` come from `model.addresses`' parsers; no hosts means any. `topic_prefix` is that of the
    installation's own topics. `vault` (a `wire.vault.Vault`) seals what is secret; None leaves it plain: parts without a door.
    """

    allowed_hosts: tuple[str, ...] = ()
    allow_cidrs: tuple[Network, ...] = ()
    topic_prefix: str = ""
    vault: Any = None  # Vault; msgspec cannot check a class of ours
    by_namespace: Mapping[str, NamespaceRules] = {}
    namespace: str = ""

    def of(self, namespace: str) -> TargetPolicy:
        """The policy of one namespace: its secrets are bound to it, and rules of its own stand instead of the common ones."""
        rules = self.by_namespace.get(namespace)
        if rules is None:
            return replace(self, namespace=namespace)
        return replace(self, namespace=namespace, allowed_hosts=rules.allowed_hosts, allow_cidrs=rules.allow_cidrs)

    @property
    def door(self) -> tuple[Any, str]:
        """The vault, and the place that secrets are bound to."""
        assert self.vault is None or self.namespace, "secrets are bound to a namespace: use policy.of(namespace)"
        return self.vault, self.namespace

    def problem_of(self, url: str, field: str) -> Problem | None:
        """Why `url` may not be called, or None."""
        try:
            reason = self.reason(normalise_url(url, field))
        except Refused as refused:
            return Problem(field, refused.problems[0].reason)
        return None if reason is None else Problem(field, reason)

    def reason(self, url: CheckedUrl) -> str | None:
        """Why this address may not be called, as far as the name tells, or None."""
        if not host_allowed(url.host, self.allowed_hosts):
            return f"names {url.host}, which is not among the hosts this installation may call (ALLOWED_TARGET_HOSTS)"
        if url.address is not None and (why := refusal(url.address, self.allow_cidrs)) is not None:
            return (
                f"names an address nobody may be sent to ({why}); allow its network with SQUIRREL_TARGETS_ALLOW_CIDRS"
            )
        return None
