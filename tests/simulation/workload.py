"""What is asked of the installation: every kind of rule and change, a share of it within milliseconds of the due instant."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import orjson

from squirrel.model.ids import id_from_idempotency_key
from squirrel.model.instants import format_instant
from squirrel.model.retry import RetryPolicy
from squirrel.model.schedule import Spec
from squirrel.model.target import Fallback, HttpTarget
from squirrel.model.when import Every, Parent, When
from squirrel.wire.attempt import Attempt
from squirrel.wire.documents.fingerprint import fingerprint_of
from squirrel.wire.records import Command
from tests.simulation.client import NAMESPACE, Client
from tests.simulation.loop import pause

URL = "https://{}.example/hook"  # a host for each schedule: one that fails opens no breaker for the others
TIMEOUT_MS = 2_000
TAGS = ("red", "green", "blue")
GROUPS = ("g1", "g2")
RULE_SECONDS_MAX = 12  # slots of a recurring schedule


class Workload:
    """`count` operations spread over `seconds`; due within `horizon` seconds after them."""

    def __init__(
        self, world: Any, client: Client, mix: str = "all", *, count: int, seconds: float, horizon: float
    ) -> None:
        self.world = world
        self.client = client
        self.chance = random.Random(f"{world.seed}/workload")
        self.count = count
        self.seconds = seconds
        self.horizon_ms = int(horizon * 1000)
        self.specs: dict[str, dict[str, Any]] = {}  # id -> what was asked of it last
        self.ids: list[str] = []
        self.one_shots: list[str] = []
        self.recurring: list[str] = []
        self.last_due_ms = world.wall_ms()
        self._mix = mix
        self._numbers = 0
        self._nonce = 0
        self._tasks: list[Any] = []

    async def run(self) -> None:
        """Returns when every call has its answer."""
        for _ in range(self.count):
            await pause(self.chance.expovariate(self.count / self.seconds))
            self._tasks.append(self.client.run(self._operation()))
        for task in self._tasks:
            while not task.done():
                await pause(0.05)
            task.result()

    # --- operations -------------------------------------------------------------------------------------------------

    def _operation(self) -> Any:
        """One of the mix: everything, or what one kind of schedule meets."""
        operations = {"all": self._of_all, "one_shots": self._of_one_shots, "rules": self._of_rules}
        return operations.get(self._mix, self._of_chains)()

    def _of_all(self) -> Any:
        pick = self.chance.random()
        if pick < 0.55 or not self.ids:
            return self._create()
        if pick < 0.62:
            return self._update(self.chance.choice(self.one_shots))
        if pick < 0.70:
            return self._change("cancel", self._any())
        if pick < 0.74 and self.recurring:
            return self._pause_and_resume(self.chance.choice(self.recurring))
        if pick < 0.77 and self.recurring:
            return self._change("trigger", self.chance.choice(self.recurring))
        if pick < 0.80:
            return self._race()
        if pick < 0.84:
            return self._create_again()
        if pick < 0.94:
            return self.client.get(self._any())
        return self.client.list_tag(self.chance.choice(TAGS))

    def _of_one_shots(self) -> Any:
        pick = self.chance.random()
        if pick < 0.6 or len(self.one_shots) < 2:
            return self._create_once()
        if pick < 0.75:
            return self._update(self._any())
        return self._change("cancel", self._any()) if pick < 0.9 else self._race()

    def _of_rules(self) -> Any:
        pick = self.chance.random()
        if pick < 0.5 or not self.recurring:
            return self._create_recurring()
        if pick < 0.75:
            return self._pause_and_resume(self.chance.choice(self.recurring))
        return self._change("trigger" if pick < 0.9 else "cancel", self.chance.choice(self.recurring))

    def _of_chains(self) -> Any:
        if len(self.one_shots) < 3 or self.chance.random() < 0.4:
            return self._create_once()
        return self._create_child() if self.chance.random() < 0.9 else self._change("cancel", self._any())

    def _any(self) -> str:
        return self.chance.choice(self.ids)

    def _new_id(self, kind: str) -> str:
        self._numbers += 1
        return f"{kind}-{self._numbers:04d}"

    def _due_ms(self) -> int:
        due_ms = self.world.wall_ms() + self.chance.randrange(-50, self.horizon_ms)
        self.last_due_ms = max(self.last_due_ms, due_ms)
        return due_ms

    def _next_nonce(self) -> int:
        self._nonce += 1
        return self._nonce

    def _create(self) -> Any:
        pick = self.chance.random()
        if pick < 0.62 or len(self.one_shots) < 3:
            return self._create_once()
        if pick < 0.78:
            return self._create_recurring()
        return self._create_child()

    def _create_once(self) -> Any:
        key = f"key-{self.chance.randrange(10_000)}" if self.chance.random() < 0.1 else ""
        schedule = id_from_idempotency_key(NAMESPACE, key) if key else self._new_id("once")
        asked: dict[str, Any] = {"at_ms": self._due_ms(), **self.common(schedule)}
        if key:
            asked |= {"key": key, "content": f"{asked['at_ms']}/{asked['nonce']}"}
        if self.chance.random() < 0.15:
            asked["group"] = self.chance.choice(GROUPS)
        self.one_shots.append(schedule)
        return self._send_create(schedule, asked, When(at_ms=asked["at_ms"]))

    def _create_recurring(self) -> Any:
        schedule = self._new_id("every")
        seconds = self.chance.choice((1, 1, 2, 3))
        count = self.chance.randrange(2, max(3, RULE_SECONDS_MAX // seconds))
        start_ms = (self._due_ms() // 1000 + 2) * 1000
        as_cron = self.chance.random() < 0.4 and 60 % seconds == 0
        if as_cron:
            start_ms += -start_ms % (seconds * 1000)
        end_ms = start_ms + (count - 1) * seconds * 1000
        self.last_due_ms = max(self.last_due_ms, end_ms)
        asked = {
            "every_ms": seconds * 1000,
            "start_ms": start_ms,
            "max_runs": count,
            "missed": self.chance.choice(("run_all", "run_last", "skip")),
            "overlap": self.chance.choice(("skip", "queue", "allow")),
            **self.common(schedule, fails_max=2),
        }
        self.recurring.append(schedule)
        if as_cron:
            when = When(cron=f"*/{seconds} * * * * *", start_ms=start_ms, end_ms=end_ms)
        else:
            when = When(every=Every("second", seconds, start_ms), end_ms=end_ms)
        return self._send_create(schedule, asked, when)

    def _create_child(self) -> Any:
        schedule = self._new_id("child")
        parents = self.chance.sample(
            self.one_shots[-8:], k=min(self.chance.choice((1, 1, 2)), len(self.one_shots[-8:]))
        )
        on = self.chance.choice(("success", "completion", "completion", "failure"))
        asked = {
            "after": [[parent, on] for parent in parents],
            "join": self.chance.choice(("all", "any")),
            "delay_ms": self.chance.choice((0, 0, 500, 2000)),
            **self.common(schedule),
        }
        when = When(
            after=tuple(Parent(parent, on) for parent in parents),
            join=asked["join"],
            delay_seconds=asked["delay_ms"] / 1000,
        )
        return self._send_create(schedule, asked, when)

    def common(self, schedule: str, fails_max: int = 5) -> dict[str, Any]:
        """What every kind of schedule is asked with; the target's script for it is set."""
        fails = min(self.chance.choice((0, 0, 0, 0, 1, 1, 2, 5)), fails_max)
        retries = self.chance.choice((0, 1, 2, 3)) if fails else self.chance.choice((0, 2))
        asked: dict[str, Any] = {
            "max_retries": retries,
            "fails": fails,
            "wait_ms": self.chance.choice((300, 1000, 2500)),
            "jitter": 0.1,
            "nonce": self._next_nonce(),
            "tag": self.chance.choice(TAGS),
        }
        if fails and self.chance.random() < 0.3:
            # A single attempt and then the fallback at once: two attempts on the wire.
            asked |= {"max_retries": 1, "fallback": True, "wait_ms": 0}
        self.world.scripts[schedule] = self._script(fails)
        return asked

    def _script(self, fails: int) -> Callable[[Attempt], tuple[int | None, float]]:
        chance = random.Random(self.chance.random())
        answers = [(500, 0.003), (503, 0.02), (None, 0.01), (500, TIMEOUT_MS / 1000 + 1)]
        failure = chance.choice(answers)
        usual = chance.choice((0.001, 0.005, 0.005, 0.02, 0.3))

        def script(attempt: Attempt) -> tuple[int | None, float]:
            return failure if attempt.number <= fails else (200, usual)

        return script

    # --- sending ------------------------------------------------------------------------------------------------------

    def _spec(self, schedule: str, asked: dict[str, Any], when: When) -> Spec:
        policy = RetryPolicy(asked["max_retries"], "fixed", asked["wait_ms"], 3_600_000, 1.0, asked["jitter"])
        target = HttpTarget(_url(schedule), timeout_ms=TIMEOUT_MS)
        fallback: tuple[Fallback, ...] = ()
        if asked.get("fallback"):
            policy, fallback = RetryPolicy(max_retries=0), (Fallback(target),)
        return Spec(
            event="simulated",
            when=when,
            message=orjson.dumps({"nonce": asked["nonce"]}),
            target=target,
            retry=policy,
            fallback=fallback,
            overlap=asked.get("overlap", "skip"),
            missed=asked.get("missed"),
            group=asked.get("group"),
            tags=(asked["tag"],),
        )

    def _send_create(self, schedule: str, asked: dict[str, Any], when: When) -> Any:
        self.ids.append(schedule)
        self.specs[schedule] = asked
        if asked.get("group"):
            self.client.homes[schedule] = asked["group"]
        if when.at_ms is not None and not asked.get("key") and self.chance.random() < 0.25:
            return self.client.inbox("create", schedule, _document(schedule, asked), asked)
        return self.created(schedule, asked, when)

    async def created(self, schedule: str, asked: dict[str, Any], when: When) -> None:
        """Sends the create, and again when nobody knows what became of it."""
        spec = self._spec(schedule, asked, when)
        for number in range(8):
            command = self._command("create", schedule, spec=spec, fingerprint=fingerprint_of(spec))
            answer = await self.client.command("create", command, asked)
            if answer is not None:
                if number:
                    self.world.count("info_create_retried")
                    if answer.get("code") == "repeated":
                        self.world.count("info_create_had_been_taken")
                return
            if self.chance.random() < 0.2:
                return  # nobody asks again: it is all or nothing
            await pause(1.0)

    async def _create_again(self) -> None:
        """The same id once more, with the same content or with other."""
        schedule = self._any()
        asked = self.specs[schedule]
        if "at_ms" not in asked or asked.get("updated"):
            return
        other = self.chance.random() < 0.4
        given = {**asked, "nonce": self._next_nonce()} if other else asked
        if asked.get("key") and other:
            given["content"] = f"other/{given['nonce']}"
        spec = self._spec(schedule, given, When(at_ms=given["at_ms"]))
        command = self._command("create", schedule, spec=spec, fingerprint=fingerprint_of(spec))
        await self.client.command("create", command, given)

    async def _update(self, schedule: str) -> None:
        asked = {**self.specs[schedule], "at_ms": self._due_ms(), "nonce": self._next_nonce(), "updated": True}
        asked.pop("key", None)
        self.specs[schedule] = asked
        spec = self._spec(schedule, asked, When(at_ms=asked["at_ms"]))
        answer = await self.client.command("update", self._command("update", schedule, spec=spec), asked)
        if answer is not None and answer["status"] == 409:
            self.world.count("update_too_late")

    async def _change(self, op: Any, schedule: str) -> None:
        answer = await self.client.command(op, self._command(op, schedule), {})
        if op == "cancel" and answer is not None and answer["status"] == 409:
            self.world.count("cancel_too_late")

    async def _race(self) -> None:
        """A one-shot that is due in a moment, and a change within 20 ms of it."""
        schedule = self._new_id("race")
        due_ms = self.world.wall_ms() + 400
        self.last_due_ms = max(self.last_due_ms, due_ms)
        asked = {"at_ms": due_ms, **self.common(schedule)}
        self.one_shots.append(schedule)
        create = self.client.run(self._created_by_id(schedule, asked))
        while not create.done():
            await pause(0.005)
        wait_ms = due_ms - 100 - self.world.wall_ms() + self.chance.randrange(-20, 120)
        await pause(max(0, wait_ms) / 1000)
        if self.chance.random() < 0.7:
            await self._change("cancel", schedule)
        else:
            await self._update(schedule)

    async def _created_by_id(self, schedule: str, asked: dict[str, Any]) -> None:
        self.ids.append(schedule)
        self.specs[schedule] = asked
        await self.created(schedule, asked, When(at_ms=asked["at_ms"]))

    async def _pause_and_resume(self, schedule: str) -> None:
        self.recurring = [each for each in self.recurring if each != schedule]
        asked = self.specs[schedule]
        begins = max(0.0, (asked["start_ms"] - self.world.wall_ms()) / 1000)
        await pause(begins + self.chance.random() * 2)
        await self._change("pause", schedule)
        await pause(2 + self.chance.random() * 6)
        for _ in range(60):
            answer = await self.client.command("resume", self._command("resume", schedule), {})
            # Not found: its create may still be on the way, behind this and a pause. Nobody leaves it paused for ever.
            if answer is not None and answer["status"] not in (202, 404):
                self.world.count(f"resumed_{asked['missed']}")
                return
            await pause(1.0)

    def _command(self, op: Any, schedule: str, **fields: Any) -> Command:
        self._numbers += 1
        return Command(
            op=op,
            namespace=NAMESPACE,
            id=schedule,
            command_id=f"c{self._numbers}",
            accepted_ms=self.client.process.clock.now_ms(),
            reply=True,
            **fields,
        )


def _url(schedule: str) -> str:
    return URL.format(schedule.replace("_", "-"))


def _document(schedule: str, asked: dict[str, Any]) -> dict[str, Any]:
    """The create as JSON, for the inbox."""
    document: dict[str, Any] = {
        "id": schedule,
        "event": "simulated",
        "message": {"nonce": asked["nonce"]},
        "target": {"type": "http", "url": _url(schedule), "timeout_seconds": TIMEOUT_MS / 1000},
        "when": {"at": format_instant(asked["at_ms"])},
        "tags": [asked["tag"]],
    }
    retry = {"strategy": "fixed", "initial_seconds": asked["wait_ms"] / 1000, "jitter": asked["jitter"]}
    if asked.get("fallback"):
        document["retry"] = {"max_retries": 0}
        document["fallback"] = [{"type": "http", "url": _url(schedule), "timeout_seconds": TIMEOUT_MS / 1000}]
    else:
        document["retry"] = {"max_retries": asked["max_retries"], **retry}
    if asked.get("group"):
        document["group"] = asked["group"]
    return document
