"""Structured logs: for people in a terminal, JSON lines otherwise; secrets and payloads never among the fields."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

# `squirrel.streams` is where Faust's services say "Starting..." under our classes' names.
_QUIET = ("squirrel.streams", "aiokafka", "faust", "mode", "asyncio", "cassandra", "uvicorn", "aiohttp")


def start_logging(service: str, level: str, form: str) -> Any:
    """Configure structlog and the standard library's logging alike; returns the service's logger."""
    human = form == "human" or (form == "auto" and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.format_exc_info,
    ]
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()) if human else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        # Their warnings are ours to read; their chatter about every rebalance is not.
        logging.getLogger(name).setLevel(logging.DEBUG if level == "debug" else logging.WARNING)
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    return structlog.get_logger("squirrel").bind(service=service)
