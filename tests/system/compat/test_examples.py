"""The seeds' published client examples, run as written by Node and Python against a running instance."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.dev_instance import DevInstance
from tests.system.compat.conftest import TOKEN

EXAMPLES = Path(__file__).with_name("examples")
NODE = shutil.which("node")
# What tells a Python example where the instance listens; it reads no setting of its own.
ELSEWHERE = """
import runpy, sys
import requests
before = requests.post
requests.post = lambda url, **more: before(url.replace("http://localhost:8080", sys.argv[2]), **more)
runpy.run_path(sys.argv[1], run_name="__main__")
"""
needs_node = pytest.mark.skipif(NODE is None, reason="no node on this machine")


def run(command: list[str], dev: DevInstance) -> str:
    settings = {"SQUIRREL_TEST_URL": dev.url, "SQUIRREL_TEST_TOKEN": TOKEN, "PATH": os.environ["PATH"]}
    done = subprocess.run(command, env=settings, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    return done.stdout


def run_node(name: str, dev: DevInstance) -> str:
    assert NODE is not None
    return run([NODE, "--require", str(EXAMPLES / "at_the_test.cjs"), str(EXAMPLES / name)], dev)


@needs_node
async def test_the_redis_node_client(dev: DevInstance, api: httpx.AsyncClient) -> None:
    printed = run_node("redis_client.js", dev).splitlines()[-1]
    text, _, key = printed.rpartition(" ")
    assert text == "Task scheduled successfully:"
    task = (await api.get(f"/schedule/{key}")).json()["data"]
    assert (task["data"], task["info"]["ttl"]) == ({"message": "Hello from Node.js!"}, 120)


async def test_the_redis_python_client(dev: DevInstance, api: httpx.AsyncClient) -> None:
    pytest.importorskip("requests", reason="the example is written with requests")
    printed = run([sys.executable, "-c", ELSEWHERE, str(EXAMPLES / "redis_client.py.txt"), dev.url], dev)
    text, _, answer = printed.strip().partition(": ")
    assert text == "Task scheduled successfully"
    key = json.loads(answer.replace("'", '"'))["data"]
    task = (await api.get(f"/schedule/{key}")).json()["data"]
    assert task["data"] == {"message": "Hello from Python!"}


@needs_node
@pytest.mark.parametrize(
    ("name", "fields"),
    [
        (
            "workflow_n8n.js",
            {
                "name": "Process Queue", "target_payload": {"queue_name": "documents", "batch_size": 10},
                "target_url": "http://localhost:5678/webhook/process-queue", "enabled": True,
            },
        ),
        (
            "workflow_windmill.js",
            {"name": "Generate Analytics", "target_headers": {"Authorization": "***"}},
        ),
        (
            "workflow_webhook.js",
            {"cron_expression": "@hourly", "target_headers": {"X-API-Key": "***"}, "target_method": "POST"},
        ),
    ],
)  # fmt: skip
async def test_the_workflow_fetches(
    dev: DevInstance, api: httpx.AsyncClient, name: str, fields: dict[str, Any]
) -> None:
    status, _, text = run_node(name, dev).removeprefix("ANSWER ").partition(" ")
    assert status == "201"
    stored = (await api.get(f"/api/schedules/{json.loads(text)['id']}")).json()
    assert {field: stored[field] for field in fields} == fields
    assert stored["next_run"] is not None
