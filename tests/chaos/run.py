"""One run: the installation, the load and the faults; then the healing, the drain, the files, and the verdict."""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

from tests.chaos import ending_state, faults_of_disks, faults_of_processes, faults_of_records, faults_of_servers
from tests.chaos.asking import WITHOUT_RETRY_AFTER, Clients, now_ms
from tests.chaos.curve import watch_curve
from tests.chaos.ending import Ending
from tests.chaos.installation import Installation
from tests.chaos.long_lived import far_future, lives, together
from tests.chaos.machine import abilities, clock_environment, load_factor
from tests.chaos.nemesis import Fault, Nemesis, World
from tests.chaos.plan import KIND_OF, SERVICES, plan, usable
from tests.chaos.sometimes import EVERY_RUN, LONG_RUN, Watching, reached
from tests.chaos.taps import read_taps
from tests.chaos.target import ScriptedTarget
from tests.chaos.workload import load
from tests.judge.history import History
from tests.judge.ledger import Ledger, Lines
from tests.judge.verdict import Verdict, judge

EPSILON_MS: Final = 10_000
DRAIN_SECONDS_MAX: Final = 60.0
QUIET_SECONDS: Final = 1.5
LOOKED_AT_MAX: Final = 3_000
STUBBORN: Final = "a service did not end when it was told to"
FAULTS: Final[dict[str, Fault]] = {
    **faults_of_processes.FAULTS,
    **faults_of_servers.FAULTS,
    **faults_of_disks.FAULTS,
    **faults_of_records.FAULTS,
}


@dataclass(frozen=True, slots=True)
class Form:
    """How long and how hard. `only` names kinds of faults, all when it is empty."""

    seed: int
    load_seconds: float
    rate: float
    horizon_seconds: float
    session_seconds: float
    ticks: int
    long_form: bool
    only: tuple[str, ...] = ()
    with_cassandra: bool = False
    pace: float = 1.0  # above 1: longer rests between faults
    retention_seconds: int | None = None  # of finished schedules; the product's default unless told


def short_form(seed: int) -> Form:
    """For every `make test`: about 80 s on two cores."""
    return Form(seed, 45, 450, 5, 6, 6, long_form=False)


def long_form(seed: int, minutes: float, only: tuple[str, ...] = (), rate: float = 450) -> Form:
    """The history is Cassandra's when all faults are wanted, or one of its own."""
    with_cassandra = not only or any(KIND_OF[name].needs == "cassandra" for name in only)
    return Form(seed, minutes * 60, rate, 30, 10, 30, long_form=True, only=only, with_cassandra=with_cassandra)


def soak_form(seed: int, hours: float) -> Form:
    """Steady and long: faults are rare, what is finished leaves after a minute, and growth has to show."""
    return Form(seed, hours * 3600, 1000, 30, 10, 30, long_form=True, pace=20, retention_seconds=60)


@dataclass(frozen=True, slots=True)
class Outcome:
    verdict: Verdict
    unreached: list[str]
    report: str

    @property
    def good(self) -> bool:
        return not self.verdict.violations and not self.unreached


def tell(line: str) -> None:
    """Progress, on stderr."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {line}\n")
    sys.stderr.flush()


async def run(form: Form, folder: Path) -> Outcome:
    """All of it; the files are in `folder`, and stay there when something was wrong."""
    tell(f"seed {form.seed}: repeat it with `python -m tests.chaos --seed {form.seed} ...`; files in {folder}")
    installation = Installation(folder, with_cassandra=form.with_cassandra, session_seconds=form.session_seconds)
    clocks = clock_environment(folder)
    installation.extra_environment.update(clocks.environments)
    ending = Ending()
    ledger = Ledger(folder / "ledger.jsonl", time.monotonic_ns)
    target = ScriptedTarget(folder / "sink.jsonl", ending)
    watching = Watching(installation)
    try:
        await installation.start()
        await target.start()
        tell("ready; the load begins")
        world = World(installation, ledger, Random(f"faults {form.seed}"), ending)
        world.clock_files.update(clocks.files)
        nemesis = Nemesis(world, FAULTS, folder / "faults.jsonl", tell)
        clients = Clients(
            installation.gateway_port,
            ledger,
            target,
            Random(f"load {form.seed}"),
            ending,
            time.monotonic() + form.load_seconds,
            form.horizon_seconds,
        )
        far = await _load_and_faults(form, installation, clients, nemesis, watching)
        await _settle(form, installation, clients, nemesis, watching, far, folder)
        sometimes = dict(clients.sometimes)
        if world.stubborn:
            sometimes[STUBBORN] = len(world.stubborn)
    finally:
        ending.end()
        target.close()
        ledger.close()
        await installation.stop()
    return await asyncio.to_thread(_judged, form, folder, watching, sometimes)


async def _load_and_faults(
    form: Form, on: Installation, clients: Clients, nemesis: Nemesis, watching: Watching
) -> list[str]:
    kinds = usable(abilities(form.with_cassandra), long_form=form.long_form, only=form.only)
    # The last tenth is without new faults: what they broke is under load while it mends.
    faults = plan(form.seed, form.load_seconds * 0.9, kinds, session_seconds=form.session_seconds, pace=form.pace)
    tell(f"{len(faults)} faults of {len({fault.kind for fault in faults})} kinds are planned")
    clients.retention_seconds = form.retention_seconds
    observing = {asyncio.ensure_future(each) for each in (watching.watch(clients.ending), watch_curve(on, clients))}
    work: list[Coroutine[Any, Any, Any]] = [
        far_future(clients, 20),
        nemesis.carry_out(faults, clients.until),
        *lives(clients, form.ticks),
        *load(clients, form.rate, on.kafka.bootstrap, on.topics.inbox),
    ]
    results = await together(work)
    for task in observing:
        task.cancel()
    await asyncio.wait(observing)
    nemesis.close()
    tell(f"the load is over: {clients.ledger.acknowledged} schedules were acknowledged")
    return list(results[0])


async def _settle(
    form: Form,
    on: Installation,
    clients: Clients,
    nemesis: Nemesis,
    watching: Watching,
    far: list[str],
    folder: Path,
) -> None:
    await on.heal()
    healed_ns = max(nemesis.last_heal_ns, time.monotonic_ns())
    factor = await _drained(clients, on)
    tell(f"drained; E is {EPSILON_MS * factor / 1000:.0f} s")
    with Lines(folder / "final.jsonl") as final:
        end = {"mono_ns": time.monotonic_ns(), "wall_ms": now_ms(), "last_heal_ns": healed_ns, "seed": form.seed}
        bounds = {"epsilon_ms": int(EPSILON_MS * factor), "session_timeout_ms": int(form.session_seconds * 1000)}
        final.write({"what": "end", **end, **bounds})
        await watching.scrape()
        final.write_all(await ending_state.lags(on))
        final.write_all(ending_state.resources(on))
        called = [name for name in clients.unknown if name in clients.target.called]
        others = [name for name in clients.unknown if name not in clients.target.called]
        looked_at = [*far, *called, *others[:LOOKED_AT_MAX], *clients.stored_only[:LOOKED_AT_MAX]]
        final.write_all(await ending_state.schedules(on.gateway_port, looked_at))
        tell(f"looked at {len(looked_at)} schedules; reading the topics")
        await on.stop_services(*SERVICES)
        counts = await read_taps(on.kafka.bootstrap, on.topics, folder)
        final.write_all(await ending_state.states(on))
        tell(f"records: {counts}")


async def _drained(clients: Clients, on: Installation) -> float:
    """Until everything that was due is called and read, and E beyond the last instant; or until that is hopeless.

    The greatest load of the machine that was seen meanwhile: E grows with it.
    """
    factor = await asyncio.to_thread(load_factor)
    began = time.monotonic() + max(0.0, (clients.last_due_ms - now_ms()) / 1000)
    quiet_since = time.monotonic()
    received = -1
    while time.monotonic() < began + DRAIN_SECONDS_MAX * factor:
        factor = max(factor, await asyncio.to_thread(load_factor))
        if clients.target.received != received or clients.target.open:
            received, quiet_since = clients.target.received, time.monotonic()
        waited_ms = now_ms() - clients.last_due_ms - EPSILON_MS * factor
        if waited_ms > 0 and time.monotonic() - quiet_since > QUIET_SECONDS and await ending_state.lag_total(on) == 0:
            return factor
        await clients.ending.pause(1)
    tell("the drain did not end")
    return factor


def _judged(form: Form, folder: Path, watching: Watching, sometimes: dict[str, int]) -> Outcome:
    verdict = judge(folder)
    found = {**sometimes, **reached(watching, folder / "logs", History(folder))}
    wanted = () if form.only else LONG_RUN if form.long_form else EVERY_RUN
    unreached = [name for name in wanted if not found.get(name)]
    if found.get(STUBBORN):
        unreached.append(f"the end of {found[STUBBORN]} services that were told to stop")
    if silent := found.get(WITHOUT_RETRY_AFTER):
        unreached.append(f"a Retry-After in {silent} answers of 429 or 503")
    lines = [verdict.report(), f"longest recovery after {verdict.recovery_kind}"]
    lines.extend(f"sometimes {count:>7} {name}" for name, count in sorted(found.items()))
    lines.extend(f"never reached: {name}" for name in unreached)
    return Outcome(verdict, unreached, "\n".join(lines))


def folder_of(seed: int, given: Path | None) -> Path:
    """A fresh directory for the files of one run."""
    folder = given or Path(".chaos") / f"seed-{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder.absolute()
