"""Settings: parsed once into a frozen value; nothing else in the package reads the environment.

Order: `defaults.toml` < `.env` < environment `SQUIRREL_...` < flags. The seeds' own names are accepted where they still mean
something, each with one line that says what it became. Secrets are never printed.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from squirrel.model.errors import SettingsError

PREFIX = "SQUIRREL_"
DEFAULTS = Path(__file__).with_name("defaults.toml")
# Read by the command line client and the jar cache, not by services.
ELSEWHERE = frozenset(
    {"SQUIRREL_SERVER", "SQUIRREL_TOKEN", "SQUIRREL_NAMESPACE", "SQUIRREL_PROFILE", "SQUIRREL_CACHE_DIR"}
)
# The seeds' names: what each became.
ALIASES: dict[str, str] = {
    "API_AUTH": "api_token",
    "PORT": "port",
    "RETRIES": "max_retries",
    "RETRY_TIME": "retry_initial_seconds",
    "ALLOWED_ORIGINS": "allowed_origins",
    "ALLOWED_TARGET_HOSTS": "allowed_target_hosts",
    "WORKER_COUNT": "window",
    "WORKER_MAX_RETRIES": "max_retries",
    "LOG_LEVEL": "log_level",
    "PREQUEUER_EVENT_TIMEFRAME_MINUTES": "pending_window_minutes",
    "N8N_BASE_URL": "n8n_base_url",
}
# Seeds' names that no longer mean anything here, and why.
OBSOLETE: dict[str, str] = {
    "PREQUEUER_TICKER_INTERVAL_SECONDS": "nothing is scanned: the timeline wakes at the due millisecond",
}


class Settings(BaseModel):
    """Every setting of every service; `defaults.toml` says what each one means."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    kafka: str = Field(min_length=1)
    topic_prefix: str = Field(pattern=r"^[A-Za-z0-9._-]{0,80}$")
    partitions: int = Field(ge=1, le=10_000)
    replication: int = Field(ge=1, le=32)
    history: str = Field(repr=False)  # a Cassandra address may hold a password; `shown` hides it
    data_dir: Path
    host: str
    port: int = Field(ge=0, le=65_535)
    api_token: SecretStr
    allowed_origins: str
    audit: bool
    audit_key: SecretStr
    watchdog_url: str = Field(pattern=r"^(https?://[!-~]+)?$")
    watchdog_threshold_seconds: float = Field(ge=5, le=86_400)
    rest_concurrency: int = Field(ge=1)
    allowed_target_hosts: str
    targets_allow_cidrs: str
    targets_by_namespace: str
    refused_ports: str = Field(pattern=r"^[0-9, ]*$")
    webhook_secrets: SecretStr
    encryption_keys: SecretStr
    disable_after_days: float = Field(ge=0, le=365)
    notify: SecretStr
    window: int = Field(ge=1, le=100_000)
    window_per_host: int = Field(ge=1, le=100_000)
    emit_ahead_ms: int = Field(ge=0, le=10_000)
    emit_window: int = Field(ge=0, le=100_000)
    max_retries: int = Field(ge=-1)
    retry_initial_seconds: float = Field(ge=0)
    crowded_minute_runs: int = Field(ge=0, le=1_000_000)
    pending_window_minutes: int = Field(ge=1, le=1440)
    n8n_base_url: str = Field(pattern=r"^https?://[!-~]+$")
    worker: str = Field(pattern=r"^[A-Za-z0-9._-]{0,100}$")
    internal_host: str
    internal_port: int = Field(ge=0, le=65_535)
    internal_token: SecretStr
    completion_secret: SecretStr
    session_timeout_seconds: float = Field(ge=1)
    heartbeat_seconds: float = Field(gt=0)
    commit_interval_seconds: float = Field(gt=0, le=60)
    store_memory_mb: int = Field(ge=16)
    changelog_retention_hours: float = Field(gt=0)
    log_level: Literal["debug", "info", "warning", "error"]
    log_format: Literal["auto", "human", "json"]
    show_kafka: bool  # in /api/v1/stats; `squirrel dev` does

    def contradiction(self) -> str | None:
        """The first pair of settings that cannot both hold, as one sentence."""
        if self.heartbeat_seconds * 3 > self.session_timeout_seconds:
            return "heartbeat_seconds must be at most a third of session_timeout_seconds: one lost heartbeat is normal"
        if self.window_per_host > self.window:
            return f"window_per_host ({self.window_per_host}) is larger than window ({self.window})"
        if not self.internal_token.get_secret_value() and not _is_loopback(self.internal_host):
            return (
                f"internal_host is {self.internal_host}, which others can reach: set internal_token to a shared secret"
            )
        return None

    def cidrs(self) -> tuple[str, ...]:
        """Networks that targets may lie in although they are not public."""
        return _items(self.targets_allow_cidrs)

    def target_hosts(self) -> tuple[str, ...]:
        """Host names that targets may have; empty means any."""
        return _items(self.allowed_target_hosts)

    def origins(self) -> tuple[str, ...]:
        """Origins that a browser may call from."""
        return _items(self.allowed_origins)

    def secrets(self) -> tuple[str, ...]:
        """Webhook signing secrets, newest first."""
        return _items(self.webhook_secrets.get_secret_value())

    def keys(self) -> tuple[str, ...]:
        """Encryption keys as texts, the sealing one first."""
        return _items(self.encryption_keys.get_secret_value())

    def ports(self) -> frozenset[int]:
        """Ports that targets inside allowed networks may not have."""
        return frozenset(int(each) for each in _items(self.refused_ports))

    def completions(self) -> str:
        """The secret that the tokens of asynchronous targets are signed with; empty: they get none."""
        return self.completion_secret.get_secret_value() or self.internal_token.get_secret_value()

    def history_url(self) -> str:
        """The history's address with a relative SQLite path placed into the data directory."""
        scheme, _, rest = self.history.partition(":")
        if scheme == "sqlite" and not Path(rest).is_absolute():
            return f"sqlite:{self.data_dir / rest}"
        return self.history

    def shown(self) -> dict[str, Any]:
        """Every setting as it may be printed: secrets as asterisks, the history's address without its password."""
        values: dict[str, Any] = self.model_dump(mode="json")
        scheme, separator, rest = self.history.partition("://")
        credentials, at, place = rest.rpartition("@")
        if at:
            values["history"] = f"{scheme}{separator}{credentials.partition(':')[0]}:**********@{place}"
        return values

    def worker_name(self, service: str) -> str:
        """The stable name of this process in its consumer group."""
        return f"{self.worker or socket.gethostname()}-{service}"


def _items(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def load(
    flags: Mapping[str, Any] | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    env_file: Path = Path(".env"),
    profile: Mapping[str, Any] | None = None,
) -> tuple[Settings, list[str]]:
    """(settings, lines to tell the operator). `profile` replaces defaults (what `squirrel dev` does). Raises SettingsError."""
    environment = os.environ if environment is None else environment
    values: dict[str, Any] = tomllib.loads(DEFAULTS.read_text(encoding="utf-8"))
    values.update(profile or {})
    notes: list[str] = []
    from_file = {name: value or "" for name, value in dotenv_values(env_file).items()} if env_file.is_file() else {}
    for source, found in ((str(env_file), from_file), ("the environment", environment)):
        values.update(_named_by_seeds(found, notes))
        values.update(_named_by_us(found, source))
    values.update({name: value for name, value in (flags or {}).items() if value is not None})
    try:
        settings = Settings(**values)
    except ValidationError as error:
        raise SettingsError(_sentence(error)) from None
    contradiction = settings.contradiction()
    if contradiction is not None:
        raise SettingsError(contradiction)
    return settings, notes


def _named_by_us(found: Mapping[str, str], source: str) -> dict[str, str]:
    named: dict[str, str] = {}
    for name, value in found.items():
        if not name.startswith(PREFIX) or name in ELSEWHERE:
            continue
        field = name.removeprefix(PREFIX).lower()
        if field not in Settings.model_fields:
            raise SettingsError(f"{name} in {source} is no setting of Squirrel; `squirrel settings` lists them")
        named[field] = value
    return named


def _named_by_seeds(found: Mapping[str, str], notes: list[str]) -> dict[str, str]:
    named: dict[str, str] = {}
    for name, reason in OBSOLETE.items():
        if name in found:
            notes.append(f"{name} is accepted and has no effect: {reason}")
    for name, field in ALIASES.items():
        if found.get(name):
            notes.append(f"{name} is read as {PREFIX}{field.upper()}")
            named[field] = found[name].lower() if field == "log_level" else found[name]
    return named


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_input=False)[0]
    name = ".".join(str(part) for part in first["loc"])
    return f"the setting {name} is wrong: {first['msg']} (set it as {PREFIX}{name.upper()})"
