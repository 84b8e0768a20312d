"""The test target does exactly what it is told, and ends with everything it began."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from squirrel.model.signing import parse_secrets, signatures
from squirrel.testing import ThreadTarget, answer, failing, in_turn, promise, signed, target

SECRET = "whsec_" + "c3NzcyBzc3NzIHNzc3Mgc3NzcyBzc3NzIHNz"
pytest_plugins = ["squirrel.testing.pytest_plugin"]


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, timeout=5) as made:
        yield made


def test_the_path_says_what_comes_back(squirrel_target: ThreadTarget, client: httpx.Client) -> None:
    base = squirrel_target.base_url
    assert client.post(f"{base}/anything").status_code == 200
    assert client.post(f"{base}/status/418").status_code == 418
    assert client.post(f"{base}/retry-after/7").headers["retry-after"] == "7"
    moved = client.post(f"{base}/redirect/?to=http%3A%2F%2Felsewhere.example%2Fx")
    assert (moved.status_code, moved.headers["location"]) == (302, "http://elsewhere.example/x")
    assert client.post(f"{base}/promise").status_code == 202
    bad = client.post(f"{base}/status/fine")
    assert (bad.status_code, b"200 to 599" in bad.content) == (400, True)
    assert [each.path for each in squirrel_target.requests][:2] == ["/anything", "/status/418"]


def test_it_fails_so_many_times_for_each_run(squirrel_target: ThreadTarget, client: httpx.Client) -> None:
    url = f"{squirrel_target.base_url}/fail/2"
    for run in ("a", "b"):
        assert [client.post(url, headers={"webhook-id": run}).status_code for _ in range(3)] == [503, 503, 200]


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("reset", httpx.ReadError),
        ("half-close", httpx.RemoteProtocolError),
        ("wrong-length", httpx.RemoteProtocolError),
        ("no-answer", httpx.ReadTimeout),
    ],
)
def test_it_breaks_connections(squirrel_target: ThreadTarget, path: str, error: type[Exception]) -> None:
    with httpx.Client(trust_env=False, timeout=0.3) as impatient, pytest.raises(error):
        impatient.post(f"{squirrel_target.base_url}/{path}")


@pytest.mark.parametrize("path", ["endless", "endless-chunk", "endless-chunks", "drip/0.01"])
def test_what_has_no_end_ends_with_the_caller(squirrel_target: ThreadTarget, client: httpx.Client, path: str) -> None:
    with client.stream("POST", f"{squirrel_target.base_url}/{path}") as response:
        assert response.status_code == 200
        assert next(response.iter_raw())


def test_bombs_are_small_on_the_wire(squirrel_target: ThreadTarget, client: httpx.Client) -> None:
    with client.stream("POST", f"{squirrel_target.base_url}/gzip-bomb/20") as response:
        packed = sum(len(part) for part in response.iter_raw())
    assert packed < 200_000
    with socket.create_connection(("127.0.0.1", int(squirrel_target.base_url.rpartition(":")[2]))) as raw:
        raw.sendall(b"POST /header-flood/5000 HTTP/1.1\r\nhost: x\r\n\r\n")
        received = b""
        while part := raw.recv(65536):
            received += part
    assert received.count(b"x-flood") == 5000


def test_a_connection_that_ends_exactly_when_it_is_used_again(squirrel_target: ThreadTarget) -> None:
    port = int(squirrel_target.base_url.rpartition(":")[2])
    request = b"POST /close-on-receipt HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port)) as raw:
        raw.sendall(request)
        assert raw.recv(65536).startswith(b"HTTP/1.1 200")
        raw.sendall(request)
        assert raw.recv(65536) == b""
    assert len(squirrel_target.wait_for(2)) == 2


def test_signatures_are_checked_at_their_own_time(client: httpx.Client) -> None:
    body = b'{"n":1}'
    headers = {"webhook-id": "run_1", "webhook-timestamp": "1614265330"}
    sent = signatures(parse_secrets((SECRET,), "secret"), "run_1", 1614265330, body)
    with target(signed(SECRET)) as made:
        good = client.post(made.url, content=body, headers={**headers, "webhook-signature": sent})
        bad = client.post(made.url, content=body + b" ", headers={**headers, "webhook-signature": sent})
        assert (good.status_code, bad.status_code, client.post(made.url).status_code) == (200, 401, 401)


def test_a_promise_is_kept_with_the_attempts_token(client: httpx.Client) -> None:
    with target() as gateway, target() as made:
        made.behave(promise(gateway.base_url, 0.05, {"outcome": "failure", "error": "no"}, heartbeats=1))
        headers = {"webhook-id": "run_9", "squirrel-completion-token": "sqc1.a.b"}
        assert client.post(made.url, headers=headers).status_code == 202
        beat, done = gateway.wait_for(2)
        assert (beat.path, done.path) == ("/api/v1/runs/run_9:heartbeat", "/api/v1/runs/run_9:complete")
        assert done.header("squirrel-completion-token") == "sqc1.a.b"
        assert json.loads(done.body) == {"outcome": "failure", "error": "no"}


def test_behaviours_follow_each_other_and_can_be_changed(client: httpx.Client) -> None:
    with target(in_turn(answer(500), answer(502), failing(1, answer(204)))) as made:
        assert [client.post(made.url).status_code for _ in range(4)] == [500, 502, 503, 204]
        made.behave(answer(201))
        assert client.post(made.url).status_code in (201, 204)
        with pytest.raises(TimeoutError):
            made.wait_for(99, 0.05)


def test_the_documents_example_runs() -> None:
    text = (Path(__file__).parents[3] / "docs" / "testing.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(import httpx.*?)```", text, re.DOTALL)
    exec(compile(example, "docs/testing.md", "exec"), {})
