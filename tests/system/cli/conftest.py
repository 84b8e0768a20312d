"""One `squirrel dev` for all tests of the command line, the client and the examples, and a target it may call."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.dev_instance import DevInstance

SECRET = "whsec_" + b64encode(b"s" * 32).decode()
Squirrel = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevInstance]:
    """Signs with SECRET."""
    loop = asyncio.new_event_loop()
    stack = AsyncExitStack()
    instance = DevInstance(tmp_path_factory.mktemp("dev"), environment={"SQUIRREL_WEBHOOK_SECRETS": SECRET})
    loop.run_until_complete(stack.enter_async_context(instance))
    # The instance's output is read by this loop: it runs until the end, so that no pipe fills up.
    thread = Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield instance
    asyncio.run_coroutine_threadsafe(stack.aclose(), loop).result(60)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", "0")))
        self.send_response(204)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


@pytest.fixture(scope="session")
def target() -> Iterator[str]:
    """The URL of a webhook that says 204 to everything."""
    with _Server(("127.0.0.1", 0), _Answer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


@pytest.fixture
def environment(dev: DevInstance, tmp_path: Path, target: str) -> dict[str, str]:
    """What a user of this instance has set; no profiles of the developer's."""
    own = {"SQUIRREL_SERVER": dev.url, "XDG_CONFIG_HOME": str(tmp_path), "TARGET": target, "PYTHONUNBUFFERED": "1"}
    return {**os.environ, **own}


@pytest.fixture
def squirrel(environment: dict[str, str], tmp_path: Path) -> Squirrel:
    """Runs the command as a user does: `squirrel("list", "-o", "json")`; `code` is the exit code it must have."""

    def run(*words: str, code: int = 0, stdin: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "squirrel", *words]
        done = subprocess.run(
            command, env=environment, cwd=tmp_path, input=stdin, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == code, f"{words}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    return run


@contextmanager
def started(environment: dict[str, str], *words: str) -> Iterator[subprocess.Popen[str]]:
    """A verb that goes on, ended at the end."""
    command = [sys.executable, "-m", "squirrel", *words]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()
