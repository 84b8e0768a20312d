"""The supervisor over real processes: ready, restart, crash loop, stop in order, no orphans."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from squirrel.runtime.clock import SystemClock
from squirrel.runtime.local.jvm import free_port
from squirrel.runtime.processes import Child, ServiceLost, Supervisor, http_ready
from squirrel.runtime.restarts import RestartPolicy
from tests.eventually import eventually
from tests.system.test_local_kafka import alive

QUICK = RestartPolicy(pause_seconds_first=0.01, pause_seconds_max=0.05, steady_seconds=5, crashes_max=3)
SERVE = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/readyz" else 404); self.end_headers()
    def log_message(self, *args): pass
print("serving", flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
WAIT = "import signal; print('up', flush=True); signal.pause()"
STUBBORN = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True)\nwhile True: signal.pause()"
)


class Lines:
    """What the children said, in order."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []

    def __call__(self, name: str, line: str) -> None:
        self.said.append((name, line))

    def says(self, name: str, line: str) -> bool:
        return (name, line) in self.said


def child(name: str, code: str, *args: str, **options: object) -> Child:
    return Child(name, [sys.executable, "-c", code, *args], dict(os.environ), **options)  # type: ignore[arg-type]


def supervisor(*children: Child, lines: Lines | None = None, ready_seconds_max: float = 10) -> Supervisor:
    return Supervisor(
        children,
        clock=SystemClock(),
        forward=lines or Lines(),
        policy=QUICK,
        ready_seconds_max=ready_seconds_max,
    )


async def test_start_returns_when_all_are_ready() -> None:
    port, lines = free_port(), Lines()
    async with supervisor(child("web", SERVE, str(port), ready=http_ready("127.0.0.1", port)), lines=lines) as running:
        assert await http_ready("127.0.0.1", port)()
        assert not await http_ready("127.0.0.1", port, "/other")()
        assert lines.says("web", "serving")
        pid = running.pids()["web"]
    assert not alive(pid)
    await running.stop()


async def test_killed_child_is_started_again() -> None:
    lines = Lines()
    async with supervisor(child("worker", WAIT), lines=lines) as running:
        first = running.pids()["worker"]
        os.kill(first, signal.SIGKILL)
        await eventually(lambda: running.pids().get("worker", first) != first)
        assert any("ended with status -9" in line for _, line in lines.said)


async def test_crash_loop_is_told_with_the_last_lines() -> None:
    steady = child("steady", WAIT)
    running = supervisor(steady, child("bad", "import sys; print('the reason'); sys.exit(1)", ready=never))
    with pytest.raises(ServiceLost, match=r"(?s)bad ended 3 times in a row.*the reason"):
        await running.start()
    assert running.pids() == {}


async def test_crash_loop_after_the_start_ends_the_wait(tmp_path: Path) -> None:
    poison = tmp_path / "poison"
    code = f"import os, sys, signal\nif os.path.exists({str(poison)!r}): sys.exit('poisoned')\nsignal.pause()"
    async with supervisor(child("frail", code)) as running:
        poison.touch()
        os.kill(running.pids()["frail"], signal.SIGTERM)
        with pytest.raises(ServiceLost, match="poisoned"):
            await asyncio.wait_for(running.wait(), 10)


async def test_what_a_probe_found_ready_is_tried_for_ever(tmp_path: Path) -> None:
    poison, tries = tmp_path / "poison", tmp_path / "tries"
    code = (
        f"import os, sys, signal\nif os.path.exists({str(poison)!r}):\n"
        f"    open({str(tries)!r}, 'a').write('x')\n    sys.exit('poisoned')\nsignal.pause()"
    )
    async with supervisor(child("frail", code, ready=always)) as running:
        before = running.pids()["frail"]
        poison.touch()
        os.kill(before, signal.SIGTERM)
        # More often than what never was ready is tried: whatever it needs may be away for minutes.
        await eventually(lambda: tries.exists() and len(tries.read_text()) > QUICK.crashes_max, 20)
        poison.unlink()
        await eventually(lambda: running.pids().get("frail", before) != before, 20)


async def test_never_ready_is_told() -> None:
    running = supervisor(child("slow", WAIT, ready=never), ready_seconds_max=0.5)
    with pytest.raises(ServiceLost, match=r"not ready within 0\.5 s: slow"):
        await running.start()
    assert running.pids() == {}


async def test_missing_program_is_told() -> None:
    with pytest.raises(ServiceLost, match="ghost could not be started"):
        await supervisor(Child("ghost", ["/no/such/program"], {}, ready=never)).start()


async def test_stops_in_order(tmp_path: Path) -> None:
    log = tmp_path / "order"
    code = (
        "import signal, sys\n"
        "def end(*_): open(sys.argv[2], 'a').write(sys.argv[1]); sys.exit()\n"
        "signal.signal(signal.SIGTERM, end); open(sys.argv[2] + sys.argv[1], 'w')\nwhile True: signal.pause()"
    )

    def named(name: str, stop_order: int) -> Child:
        async def ready() -> bool:
            return Path(f"{log}{name}").exists()

        return child(name, code, name, str(log), ready=ready, stop_order=stop_order)

    async with supervisor(named("c", 3), named("a", 1), named("b", 2)):
        pass
    assert log.read_text() == "abc"


async def test_stop_is_bounded_by_a_stubborn_child() -> None:
    lines = Lines()
    running = supervisor(child("stubborn", STUBBORN), child("gentle", WAIT, stop_order=1), lines=lines)
    await running.start()
    await eventually(lambda: lines.says("stubborn", "up"))
    pids = running.pids()
    began = time.monotonic()
    await running.stop(1.0)
    assert time.monotonic() - began < 2
    assert not any(map(alive, pids.values()))


async def test_long_lines_and_odd_bytes_pass() -> None:
    lines = Lines()
    code = f"import sys; sys.stdout.buffer.write(b'x' * 200_000 + b'\\xff\\n' + b'end'); sys.stdout.flush(); {WAIT}"
    async with supervisor(child("noisy", code), lines=lines):
        await eventually(lambda: lines.says("noisy", "endup"))
    assert sum(line.count("x") for _, line in lines.said) == 200_000


async def test_children_end_when_the_supervisor_is_killed() -> None:
    code = f"""
import asyncio, os, sys
from squirrel.runtime.clock import SystemClock
from squirrel.runtime.processes import Child, Supervisor
async def main():
    supervisor = Supervisor([Child("worker", [sys.executable, "-c", {STUBBORN!r}], os.environ)], clock=SystemClock())
    await supervisor.start()
    print(supervisor.pids()["worker"], flush=True)
    await supervisor.wait()
asyncio.run(main())
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert parent.stdout is not None
    worker = int(await asyncio.to_thread(parent.stdout.readline))
    assert alive(worker)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    await eventually(lambda: not alive(worker), 5)


async def test_first_signal_asks_and_the_second_insists() -> None:
    code = """
import asyncio
from squirrel.runtime.stop_signals import stop_on_signals
async def main():
    stopping = stop_on_signals()
    print("up", flush=True)
    await stopping.wait()
    print("stopping", flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert await asyncio.to_thread(process.stdout.readline) == "up\n"
    process.terminate()
    assert await asyncio.to_thread(process.stdout.readline) == "stopping\n"
    process.terminate()
    assert process.wait(5) == 128 + signal.SIGTERM
    process.stdout.close()


async def always() -> bool:
    return True


async def never() -> bool:
    return False
