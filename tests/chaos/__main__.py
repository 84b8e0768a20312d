"""`python -m tests.chaos`: faults on real processes, judged. `make chaos` runs it."""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import logging
import os
import secrets
import signal
import sys
from pathlib import Path

import uvloop

from tests.chaos.curve import chart
from tests.chaos.machine import IN_NAMESPACE, can_unshare
from tests.chaos.plan import KIND_OF
from tests.chaos.run import Form, Outcome, folder_of, long_form, run, short_form, soak_form

# A broker that is killed every half minute never pays back what its optimising compiler costs.
QUICK_JVM = "-XX:TieredStopAtLevel=1"

SCENARIOS = {"outage": "broker-outage"}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="how long the load lasts (the long form)")
    parser.add_argument("--rate", type=float, default=450, help="one-shots a second (the long form)")
    parser.add_argument("--short", action="store_true", help="the form of `make test`")
    parser.add_argument(
        "--soak", type=float, metavar="HOURS", help="1,000 a second for so long, and how everything grows"
    )
    parser.add_argument("--seed", type=int, help="what is drawn by chance; a fresh one is chosen and printed")
    parser.add_argument("--only", default="", help=f"kinds of faults, by comma: {', '.join(KIND_OF)}")
    parser.add_argument("--folder", type=Path, help="where the files go; .chaos/seed-N")
    return parser.parse_args()


async def cut_short(form: Form, folder: Path) -> Outcome:
    """The run; whoever loses patience sends SIGTERM and is told what it waits for."""
    whole = asyncio.ensure_future(run(form, folder))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, give_up, whole)
    return await whole


def give_up(whole: asyncio.Task[Outcome]) -> None:
    sys.stderr.write("told to end; what everybody waits for:\n")
    for task in asyncio.all_tasks():
        task.print_stack(file=sys.stderr)
    faulthandler.dump_traceback()
    whole.cancel()


def main() -> int:
    if IN_NAMESPACE not in os.environ and can_unshare():
        # A mount namespace of our own: the small disk that is filled is seen by nobody else and gone with us.
        again = ["unshare", "-m", sys.executable, "-m", "tests.chaos", *sys.argv[1:]]
        os.execvpe("unshare", again, {**os.environ, IN_NAMESPACE: "1"})
    given = arguments()
    only = tuple(SCENARIOS.get(name, name) for name in given.only.split(",") if name)
    unknown = [name for name in only if name not in KIND_OF]
    if unknown:
        sys.stderr.write(f"no such kind of fault: {', '.join(unknown)}; there are {', '.join(KIND_OF)}\n")
        return 2
    seed = secrets.randbelow(1_000_000) if given.seed is None else given.seed
    form = short_form(seed) if given.short else long_form(seed, given.minutes, only, given.rate)
    if given.soak is not None:
        form = soak_form(seed, given.soak)
    folder = folder_of(seed, given.folder)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # that the broker is away is what we made
    os.environ["JAVA_TOOL_OPTIONS"] = QUICK_JVM
    faulthandler.register(signal.SIGUSR1)  # says where it is even when its loop does not turn
    outcome = uvloop.run(cut_short(form, folder))
    if given.soak is not None:
        sys.stdout.write(chart(folder / "curve.jsonl") + "\n")
    sys.stdout.write(outcome.report + "\n")
    return 0 if outcome.good else 1


if __name__ == "__main__":
    sys.exit(main())
