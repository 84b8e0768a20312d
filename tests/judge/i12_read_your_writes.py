"""I12. Read your writes: after 201 a GET and a list show it, after 204 they do not, and a revision that was acknowledged is the
least that is shown. An answer that cannot say so is a 202 or 503, which promises nothing.
"""

from __future__ import annotations

from tests.judge.history import History
from tests.judge.lives import Life, lives_of
from tests.judge.records import Op, Violation

NAME = "I12"
OVER = frozenset({"cancelled", "finished", "failed"})


def check(history: History) -> list[Violation]:
    lives = lives_of(history)
    found: list[Violation] = []
    for op in history.ops:
        if op.op == "get" and op.outcome != "info" and (life := lives.get(op.id)) is not None:
            found.extend(_get(life, op))
        elif op.op == "list" and op.outcome == "ok":
            found.extend(_list(history, lives, op))
    return found


def _before(op: Op, read: Op) -> bool:
    return op.is_done and op.ended_ns is not None and op.ended_ns < read.started_ns


def _get(life: Life, read: Op) -> list[Violation]:
    answer = read.answer or {}
    if _before(life.create, read) and read.status == 404:
        return [Violation(NAME, life.id, "a GET after its create was acknowledged said 404")]
    if read.status != 200:
        return []
    if any(_before(cancel, read) for cancel in life.cancels) and answer.get("state") not in OVER:
        return [Violation(NAME, life.id, f"a GET after its cancel was acknowledged said {answer.get('state')}")]
    known = [(op.answer or {}).get("revision") or 0 for op in (life.create, *life.updates) if _before(op, read)]
    if answer.get("revision") is not None and answer["revision"] < max(known, default=0):
        return [
            Violation(NAME, life.id, f"a GET said revision {answer['revision']} after {max(known)} was acknowledged")
        ]
    return []


def _list(history: History, lives: dict[str, Life], read: Op) -> list[Violation]:
    """A whole listing by tag, of live schedules."""
    answer = read.answer or {}
    ids, ended_ms = set(answer.get("ids", ())), history.wall_ms(read.ended_ns or history.end_ns)
    found = []
    for life in lives.values():
        if life.asked.get("tag") != read.asked.get("tag"):
            continue
        if any(_before(cancel, read) for cancel in life.cancels) and life.id in ids:
            found.append(Violation(NAME, life.id, "a list after its cancel was acknowledged shows it"))
        surely_live = life.is_one_shot and min(life.dues_ms()) > ended_ms + history.settings.emit_ahead_ms
        if surely_live and _before(life.create, read) and not life.maybe_cancelled and life.id not in ids:
            found.append(Violation(NAME, life.id, "a list after its create was acknowledged does not show it"))
    return found
