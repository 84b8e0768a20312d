"""One call of a client, from the line in the ledger before it goes out to the one with its outcome."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from squirrel.model.instants import format_instant
from tests.chaos.ending import Ending
from tests.chaos.http import Answer, Http, NoAnswer
from tests.chaos.target import FAILURES, ScriptedTarget
from tests.judge.ledger import Ledger

API: Final = "/api/v1/schedules"
CALM_SECONDS: Final = 0.3  # after a call that found nobody
WITHOUT_RETRY_AFTER: Final = "429 or 503 without Retry-After"


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass(slots=True)
class Clients:
    """What all clients share. Load ends at `until`, monotonic seconds; `horizon_seconds` is how far ahead one-shots are due."""

    port: int
    ledger: Ledger
    target: ScriptedTarget
    chance: Random
    ending: Ending
    until: float
    horizon_seconds: float
    last_due_ms: int = 0
    sometimes: dict[str, int] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)  # ids whose create nobody answered
    stored_only: list[str] = field(default_factory=list)  # answered 202, or produced to the inbox
    numbers: int = 0
    retention_seconds: int | None = None

    @property
    def goes_on(self) -> bool:
        return not self.ending.over and time.monotonic() < self.until

    def name(self, kind: str) -> str:
        self.numbers += 1
        return f"{kind}-{self.numbers}"

    def http(self) -> Http:
        return Http(self.port)

    def seen(self, what: str) -> None:
        """A rare path that was reached."""
        self.sometimes[what] = self.sometimes.get(what, 0) + 1

    def heard(self, answer: Answer) -> Answer:
        """Notes what every answer must have."""
        if answer.status in (429, 503) and b"retry-after" not in answer.headers:
            self.seen(WITHOUT_RETRY_AFTER)
        return answer

    def due_in(self, seconds: float) -> int:
        due_ms = now_ms() + int(seconds * 1000)
        self.last_due_ms = max(self.last_due_ms, due_ms)
        return due_ms

    def one_shot(self, name: str, due_ms: int, **asked: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """(the body of the create, what the ledger says was asked)."""
        fails, kind = asked.get("fails", 0), asked.pop("kind", "500")
        retries = asked.setdefault("max_retries", 3)
        body: dict[str, Any] = {
            "id": name,
            "event": "chaos",
            "message": {"nonce": 1},
            "when": {"at": format_instant(due_ms)},
            "retry": {"max_retries": retries, "strategy": "fixed", "initial_seconds": 1, "jitter": 0.1},
            "target": {
                "type": "http",
                "url": self.target.url(fails=fails, kind=kind, latency_ms=asked.pop("latency_ms", 0)),
                "timeout_seconds": 2 if kind in FAILURES[3:] else 30,
            },
        }
        if self.retention_seconds is not None:
            body["retention_seconds"] = self.retention_seconds
        if "group" in asked:
            body["group"] = asked["group"]
        if "tag" in asked:
            body["tags"] = [asked["tag"]]
        return body, {"at_ms": due_ms, "wait_ms": 1000, "jitter": 0.1, "nonce": 1, **asked}

    def created(self, i: int, name: str, status: int | None, answer: dict[str, Any] | None = None) -> bool:
        """Writes how a create ended; whether it was acknowledged."""
        if status in (200, 201, 202):
            if status == 202:
                self.stored_only.append(name)
                self.seen("create answered 202")
            self.ledger.ended(i, "ok", {"status": status, "revision": 1, **(answer or {})})
            return True
        if status is not None and 400 <= status < 500 and status != 429:
            self.ledger.ended(i, "fail", {"status": status, **(answer or {})})
            return False
        self.unknown.append(name)
        self.seen("create without an answer" if status is None else f"create answered {status}")
        self.ledger.ended(i, "info", {"status": status, **(answer or {})})
        return False

    async def create(
        self, http: Http, body: dict[str, Any], asked: dict[str, Any], headers: tuple[tuple[str, str], ...] = ()
    ) -> bool:
        """POST one schedule; whether it was acknowledged."""
        i = self.ledger.invoke("client", "create", body["id"], asked)
        try:
            answer = self.heard(await http.call("POST", API, body, headers))
        except NoAnswer:
            return self.created(i, body["id"], None)
        more = {"body": answer.body} if answer.status >= 400 else {}
        return self.created(i, body["id"], answer.status, more)

    async def ask(
        self, http: Http, op: str, name: str, call: tuple[str, str, Any], asked: dict[str, Any] | None = None
    ) -> Answer | None:
        """Any other call about a schedule; None when nobody answered."""
        method, path, body = call
        i = self.ledger.invoke("client", op, name, asked)
        try:
            answer = self.heard(await http.call(method, path, body))
        except NoAnswer:
            self.ledger.ended(i, "info", {"status": None})
            return None
        said: dict[str, Any] = {"status": answer.status}
        if isinstance(answer.body, dict):
            said.update({key: answer.body[key] for key in ("revision", "state", "slots_ms") if key in answer.body})
        known = answer.status < 300 or (400 <= answer.status < 500 and answer.status != 429)
        self.ledger.ended(i, "ok" if answer.status < 300 else "fail" if known else "info", said)
        return answer
