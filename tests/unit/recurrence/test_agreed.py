"""Rules on which libraries of three languages agreed, recorded: a third of the cron rules run over a change of clocks.

Made by asking each library for the runs of random rules in 13 zones; where they differ, docs/recurrence.md says who is followed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from squirrel.model.instants import format_instant, parse_instant
from squirrel.model.when import When
from squirrel.recurrence import compile_rule, upcoming

AGREED = json.loads((Path(__file__).parent / "agreed.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("kind", ["cron", "rrule"])
def test_we_agree(kind: str) -> None:
    rules: list[dict[str, Any]] = AGREED[kind]["rules"]
    assert len(rules) >= 75
    for each in rules:
        when = When(cron=each["rule"], timezone=each["zone"]) if kind == "cron" else When(rrule=each["rule"])
        begin_ms = parse_instant(each["from"])
        found = upcoming(compile_rule(when, created_ms=begin_ms), begin_ms, len(each["runs"]))
        assert [format_instant(slot)[:19] + "Z" for slot in found] == each["runs"], each
