"""`apply`'s plan, which is pure: what differs, what is owned, what is refused."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest

from squirrel.cli.plan import HIDDEN, differences, plan, wanted_of
from squirrel.cli.transfer import schedules_of, sendable
from squirrel.model.errors import SettingsError

TARGET = {"type": "http", "url": "http://x/"}


def server(**fields: Any) -> dict[str, Any]:
    """A schedule as a server would answer it."""
    full = {
        "type": "http",
        "url": "http://x/",
        "method": "POST",
        "headers": {"Authorization": HIDDEN},
        "timeout_seconds": 30,
    }
    return {
        "event": "e",
        "when": {"at": "2027-02-01T10:00:00.000Z"},
        "target": full,
        "state": "active",
        "tags": ["set:s"],
        **fields,
    }


def test_what_the_file_leaves_out_is_the_servers_business() -> None:
    wanted = {"event": "e", "when": {"at": "2027-02-01T11:00:00+01:00"}, "target": TARGET, "description": None}
    assert differences(wanted, server(description="")) == {}
    secret = {**TARGET, "headers": {"authorization": "new"}}
    assert differences({"target": secret}, server()) == {}
    assert differences({"when": {"at": "2027-02-01T11:00:00Z"}}, server()) == {
        "when.at": ("2027-02-01T10:00:00.000Z", "2027-02-01T11:00:00Z")
    }
    assert differences({"tags": ["a", "set:s"]}, server()) == {"tags": (["set:s"], ["a", "set:s"])}
    assert differences({"tags": ["set:t"]}, server()) == {"tags[0]": ("set:s", "set:t")}


def test_plan_creates_updates_and_prunes_only_its_own() -> None:
    document = {
        "schedules": [
            {"id": "new", "event": "e"},
            {"id": "old", "event": "other", "group": "g"},
            {"id": "gone", "event": "e"},
        ],
        "routes": {"a.*": {"target": "http://x/"}},
    }
    wanted = wanted_of(document, "s")
    have = {
        "old": server(id="old", group="g"), "extra": server(), "foreign": server(tags=[]), "done": server(state="cancelled"),
        "gone": server(id="gone", state="cancelled"),
    }  # fmt: skip
    changes = plan(wanted, have, {}, prune=True)
    assert [(each.action, each.kind, each.id) for each in changes] == [
        ("create", "route", "a.*"), ("create", "schedule", "new"), ("update", "schedule", "old"),
        ("update", "schedule", "gone"), ("delete", "schedule", "extra"),
    ]  # fmt: skip
    assert changes[2].document == {"event": "other", "tags": ["set:s"]}
    assert changes[3].differs == {"state": ("cancelled", "active")}
    assert [each.action for each in plan(wanted, have, {}, prune=False)].count("delete") == 0


def test_a_route_is_what_the_file_says_and_no_more() -> None:
    wanted = wanted_of({"routes": {"a.*": {"target": "http://x/"}}}, "s")
    shown = {"pattern": "a.*", "target": server()["target"], "retry": None, "fallback": [], "flow": None}
    assert plan(wanted, {}, {"a.*": shown}, prune=False) == []
    changes = plan(wanted, {}, {"a.*": {**shown, "retry": {"max_retries": 9}}}, prune=False)
    assert [(each.action, dict(each.differs)) for each in changes] == [
        ("update", {"retry": ({"max_retries": 9}, None)}),
    ]


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ([], "schedules and routes"),
        ({"schedule": []}, "schedules and routes"),
        ({"schedules": {"a": 1}}, "a list"),
        ({"schedules": [{"event": "e"}]}, r"schedules\[0\] needs an id"),
        ({"schedules": [{"id": "a"}, {"id": "a"}]}, "stands twice"),
        ({"schedules": [{"id": "a", "when": {"in_seconds": 1}}]}, "write at"),
    ],
)
def test_files_that_cannot_be_applied(document: object, why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        wanted_of(document, "s")


def test_an_answer_becomes_a_create() -> None:
    shown = server(id="a", revision=3, next_run="2027-02-01T10:00:00.000Z", when={"in_seconds": 5.0}, group=None)
    sent = sendable(shown)
    assert sent["when"] == {"at": "2027-02-01T10:00:00.000Z"}
    assert not {"revision", "state", "next_run", "group"} & sent.keys()
    assert sendable(sent) == sent
    paused = server(id="a", state="paused", created_at="2027-02-01T10:00:00.000Z", when={"in_seconds": 5.0})
    assert sendable(paused)["when"] == {"at": "2027-02-01T10:00:05.000Z"}


def test_what_was_paused_is_remembered_and_what_has_no_id_cannot_be() -> None:
    paused: set[str] = set()
    lines = StringIO('{"id": "a", "state": "paused", "event": "e"}\n\n{"id": "b", "state": "active", "event": "e"}\n')
    assert list(schedules_of(lines, paused)) == [{"id": "a", "event": "e"}, {"id": "b", "event": "e"}]
    assert paused == {"a"}
    with pytest.raises(SettingsError, match="line 1 is paused and has no id"):
        list(schedules_of(StringIO('{"state": "paused"}\n')))
