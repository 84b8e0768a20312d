"""The bodies of `POST /runs:replay`, `/dead-letters:replay` and `/dead-letters:discard`: which ones, and how fast."""

from __future__ import annotations

from typing import Any, Final, Literal, NamedTuple

from squirrel.gateway.letters import REASON_CHARS_MAX
from squirrel.gateway.run_search import (
    FINAL_STATES,
    LETTER_QUERY,
    RUN_QUERY,
    read_letter_filter,
    read_run_filter,
    words_of,
)
from squirrel.model.errors import Problem, Refused
from squirrel.model.limits import REQUEST_BYTES_MAX
from squirrel.wire.documents import read_document
from squirrel.wire.documents.json_text import visible
from squirrel.wire.documents.names import unknown
from squirrel.wire.documents.values import Problems, read_bool, read_number, read_text

Action = Literal["replay", "discard"]
Source = Literal["runs", "dead-letters"]
RATE_DEFAULT: Final = 50.0  # a second: noticeable progress, and bearable for most targets
RATE_MIN: Final = 0.01
RATE_MAX: Final = 1000.0  # live traffic has the rest of the engine's capacity


class Asked(NamedTuple):
    """One request. `words` is the filter as it was said, for people and for whoever takes the operation over."""

    action: Action
    source: Source
    words: dict[str, str]
    rate_per_second: float
    reason: str
    dry_run: bool


def parse_sweep(body: bytes, action: Action, source: Source) -> Asked:
    """Raises NotJson or Refused with every problem. An empty filter is refused: everything must be asked for by a state."""
    known = ("filter", "rate", "dry_run") if action == "replay" else ("filter", "reason", "rate", "dry_run")
    values = read_document(body, REQUEST_BYTES_MAX).values
    problems: Problems = [unknown(visible(key), key, known) for key in values if key not in known]
    values = {key: value for key, value in values.items() if value is not None}
    words = _filter(values.get("filter"), source, problems)
    rate = RATE_DEFAULT if action == "replay" else RATE_MAX
    if "rate" in values:
        rate = read_number("rate", values["rate"], problems, RATE_MIN, RATE_MAX) or rate
    dry_run = bool(read_bool("dry_run", values["dry_run"], problems)) if "dry_run" in values else False
    reason = ""
    if action == "discard":
        if "reason" not in values:
            problems.append(Problem("reason", "is missing; say why nobody shall call these again"))
        else:
            reason = read_text("reason", values["reason"], problems, REASON_CHARS_MAX) or ""
    if problems:
        raise Refused("invalid", problems)
    return Asked(action, source, words, float(rate), reason, dry_run)


def _filter(given: Any, source: Source, problems: Problems) -> dict[str, str]:
    known = RUN_QUERY if source == "runs" else LETTER_QUERY
    if not isinstance(given, dict):
        problems.append(Problem("filter", f"must be an object with some of {', '.join(known)}"))
        return {}
    words = words_of(given, known, problems)
    if not words and not problems:
        example = '{"state": "failed"}' if source == "runs" else '{"state": "open"}'
        problems.append(Problem("filter", f"is empty; for all of them send {example}"))
    if source == "runs":
        where = read_run_filter(words, problems, "filter.")
        if where.state is not None and where.state not in FINAL_STATES:
            problems.append(
                Problem("filter.state", f"must be one of {', '.join(FINAL_STATES)}: only what is over is called again")
            )
    else:
        read_letter_filter(words, problems, "filter.")
    return words
