"""A row always fits the changelog: what changes and replays add to it is bounded in bytes, whatever carries them."""

from __future__ import annotations

from squirrel.model.limits import REVISION_BYTES_KEPT_MAX, REVISIONS_KEPT_MAX, ROW_BYTES_MAX
from squirrel.model.schedule import encode_row
from squirrel.model.target import HttpTarget
from squirrel.model.when import When
from tests.unit.engine.world import World, spec

LONG_RULE = "DTSTART:20270101T000000Z\nRRULE:FREQ=DAILY\nEXDATE:" + ",".join(["20270102T000000Z"] * 3_000)
LARGE_TARGET = HttpTarget("https://hooks.example.com/x", "POST", (("x-large", "a" * 40_000),))


def test_revisions_with_long_rules_are_kept_within_their_bytes() -> None:
    world = World()
    world.create("a", when=When(rrule=LONG_RULE))
    for number in range(REVISIONS_KEPT_MAX + 5):
        assert world.tell("update", "a", spec=spec(when=When(rrule=LONG_RULE), name=str(number))).code == "changed"
    row = world.row("a")
    assert row is not None
    assert len(encode_row(row)) < len(LONG_RULE) + REVISION_BYTES_KEPT_MAX + 8_192
    assert [each.spec.name for each in row.revisions] == [str(REVISIONS_KEPT_MAX + 3)], "one has room, the newest"


def test_replays_with_large_targets_are_refused_before_the_row_is_too_large() -> None:
    world = World()
    world.create("a")
    codes = [world.tell("replay", "a", target=LARGE_TARGET, run="run_1").code for _ in range(50)]
    assert codes[0] == "triggered"
    assert codes[-1] == "refused"
    row = world.row("a")
    assert row is not None
    assert len(encode_row(row)) < ROW_BYTES_MAX
