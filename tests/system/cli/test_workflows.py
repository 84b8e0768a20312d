"""Workflows and asynchronous targets against a running product: by the command line, both clients, and the targets themselves."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any, ClassVar
from uuid import uuid4

import pytest

from squirrel.client import AsyncClient, Client, Conflict, Unauthorised, Unavailable
from tests.dev_instance import DevInstance, service_pid
from tests.eventually import eventually
from tests.system.cli.conftest import Squirrel

TOKEN = "squirrel-completion-token"


class _Shop(BaseHTTPRequestHandler):
    """`/charge` answers an id, `/broken` 404 until it is mended, `/render` 202; all remember what they were sent."""

    protocol_version = "HTTP/1.1"
    mended = False
    seen: ClassVar[list[tuple[str, Any, dict[str, str]]]] = []
    lock = Lock()

    def do_POST(self) -> None:
        message = json.loads(self.rfile.read(int(self.headers.get("content-length", "0"))) or b"null")
        with self.lock:
            self.seen.append((self.path, message, {name.lower(): value for name, value in self.headers.items()}))
        status = 202 if self.path == "/render" else 404 if self.path == "/broken" and not type(self).mended else 200
        body = json.dumps({"id": "c-1", "for": message}).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def shop() -> Iterator[str]:
    _Shop.mended = False
    _Shop.seen = []
    with ThreadingHTTPServer(("127.0.0.1", 0), _Shop) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def calls(path: str) -> list[Any]:
    return [message for each, message, _ in _Shop.seen if each == path]


async def test_a_workflow_from_a_file_to_its_end(
    squirrel: Squirrel, dev: DevInstance, shop: str, tmp_path: Any
) -> None:
    name = f"order-{uuid4().hex[:8]}"
    steps = f"""
steps:
  - {{id: charge, target: "{shop}/charge", message: {{order: "{{{{ input.order }}}}"}}}}
  - {{id: lines, after: [charge], target: "{shop}/line", for_each: input.lines, message: "{{{{ item.sku }}}}"}}
  - {{id: ship, after: [lines], target: "{shop}/broken", message: "{{{{ steps.charge.body.id }}}}", retry: {{max_retries: 0}}}}
  - {{id: never, after: [charge], target: "{shop}/never", if: "steps.charge.body.id == 'c-2'"}}
  - {{id: thank, after: [ship], target: "{shop}/thank"}}
"""
    (tmp_path / f"{name}.yaml").write_text(steps)
    assert "version 1 stored" in squirrel("workflows", "apply", f"{name}.yaml").stdout
    assert "version 1 unchanged" in squirrel("workflows", "apply", f"{name}.yaml").stdout
    given = json.dumps({"order": 7, "lines": [{"sku": "a"}, {"sku": "b"}]})
    run_id = json.loads(squirrel("workflows", "start", name, "--input", given, "-o", "json").stdout)["id"]

    with Client(dev.url) as client:
        await eventually(
            lambda: client.workflow_run(run_id).state == "failed", 20, "the step that is broken fails the run"
        )
        shown = {step.id: step for step in client.workflow_run(run_id).steps}
        assert {name: step.state for name, step in shown.items()} == {
            "charge": "succeeded", "lines": "succeeded", "ship": "failed", "never": "skipped", "thank": "cancelled",
        }  # fmt: skip
        assert shown["lines"].items == {"total": 2, "succeeded": 2}
        assert (shown["ship"].status, client.run(shown["ship"].run).attempts[0].status) == (404, 404)
    assert calls("/charge") == [{"order": 7}]
    assert sorted(calls("/line")) == ["a", "b"]
    _Shop.mended = True
    assert "running" in squirrel("workflows", "retry", run_id).stdout
    async with AsyncClient(dev.url) as asynchronous:

        async def over() -> bool:
            return (await asynchronous.workflow_run(run_id)).state == "succeeded"

        await eventually(over, 20, "the rest of the run")
    assert calls("/broken") == ["c-1", "c-1"]
    assert len(calls("/thank")) == len(calls("/charge")) == 1
    assert run_id in squirrel("workflows", "runs", name).stdout
    squirrel("workflows", "cancel", run_id, code=4)
    squirrel("workflows", "delete", name)


async def test_a_run_goes_on_where_it_was_when_engine_and_executor_are_killed(dev: DevInstance, shop: str) -> None:
    name = f"patient-{uuid4().hex[:8]}"
    with Client(dev.url) as client:
        client.put_workflow(
            name,
            {
                "steps": [
                    {"id": "a", "target": f"{shop}/charge"},
                    {
                        "id": "b",
                        "after": ["a"],
                        "delay_seconds": 3,
                        "target": f"{shop}/later",
                        "message": "{{ steps.a.body.id }}",
                    },
                ]
            },
        )
        run = client.start_workflow(name, {"n": 1}, idempotency_key="once")
        assert client.start_workflow(name, {"n": 1}, idempotency_key="once").id == run.id
        await eventually(lambda: client.workflow_run(run.id).steps[0].state == "succeeded", 20)
        for service in ("engine", "executor"):
            os.kill(service_pid(dev.pid, service), signal.SIGKILL)  # the supervisor starts it again

        def over() -> bool:
            try:
                return client.workflow_run(run.id).state == "succeeded"
            except Unavailable:
                return False  # nobody owns the partitions for a moment

        await eventually(over, 60, "the step after the kill")
    assert calls("/later") == ["c-1"]


async def test_an_asynchronous_target_keeps_its_promise_after_the_gateway_came_back(
    dev: DevInstance, shop: str
) -> None:
    schedule = f"render-{uuid4().hex[:8]}"
    target: Any = {"type": "http", "url": f"{shop}/render", "completion": "async", "completion_timeout_seconds": 120}
    with Client(dev.url) as client:
        client.create(id=schedule, event="video.render", when={"in_seconds": 0}, target=target)
        client.create(
            id=f"{schedule}-mail", event="mail", target=f"{shop}/mail", message="{{ parent.body.url }}",
            when={"after": [{"schedule": schedule}], "if": "parent.body.seconds < `60`"},
        )  # fmt: skip
        await eventually(lambda: bool(calls("/render")), 20, "the call")
        (headers,) = [headers for path, _, headers in _Shop.seen if path == "/render"]
        run, token = headers["webhook-id"], headers[TOKEN]
        await eventually(lambda: client.run(run).attempts[0].state == "promised", 20, "the 202 is known")
        assert client.heartbeat(run, token=token).state == "in_flight"
        with pytest.raises(Unauthorised):
            client.complete(run, token=token[:-8] + "AAAAAAAA")
        done = client.complete(run, result={"url": "https://cdn.example.com/7", "seconds": 42}, token=token)
        assert done.state == "succeeded"
        with pytest.raises(Conflict):
            client.complete(run, token=token)
        await eventually(lambda: bool(calls("/mail")), 20, "the child")
        await eventually(lambda: client.run(run).attempts[-1].state == "succeeded", 20, "the history has the ending")
        assert json.loads(client.run(run).attempts[-1].body)["seconds"] == 42
    assert calls("/mail") == ["https://cdn.example.com/7"]
