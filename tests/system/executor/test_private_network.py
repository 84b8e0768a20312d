"""The address guard in a network where every address answers: the system's resolver, a lying name server, real sockets."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.hostile_urls import ADDRESSES, URLS
from tests.system.executor.private_network import BEHIND, METADATA, PRIVATE, PUBLIC, REDIRECTS

APART = ("unshare", "--net", "--mount")


async def told(*command: str, root: Path) -> tuple[int | None, bytes, bytes]:
    """(how it ended, stdout, stderr) of a program in a network and a mount table of its own."""
    proxies = dict.fromkeys(("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"), f"http://{PRIVATE}:80")
    process = await asyncio.create_subprocess_exec(
        *APART, *command, cwd=root, env={**os.environ, **proxies},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, complained = await asyncio.wait_for(process.communicate(), 120)
    return process.returncode, said, complained


async def test_nothing_is_heard_where_nobody_may_be_sent(root: Path) -> None:
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        pytest.skip("no unshare or ip on this machine: a network of our own cannot be made")
    ended, _, why = await told("ip", "link", "set", "lo", "up", root=root)
    if ended != 0:
        pytest.skip(f"a network of our own cannot be made here (root may): {why.decode().strip()}")
    ended, said, why = await told(sys.executable, "-m", "tests.system.executor.private_network", root=root)
    assert ended == 0, why.decode()
    found = json.loads(said)
    guarded, opened = found["guarded"], found["opened"]

    assert guarded["heard"].keys() == {PUBLIC}, "nothing but the public address heard a connection"
    assert [each for each in guarded["ends"] if each["shows_address"]] == []
    assert count(guarded, "literal", "refused_by_guard") + count(guarded, "literal", "bad_target") == len(URLS)
    for place in ("only", "among"):
        assert count(guarded, place, "refused_by_guard") == len(ADDRESSES), place
    assert count(guarded, "name", "refused_by_guard") == 6
    assert [each["state"] for each in guarded["ends"] if each["what"] == "good"] == ["succeeded"], "no proxy is asked"
    followed = [each["status"] for each in guarded["ends"] if each["what"] == "redirect"]
    assert followed == [status for status in REDIRECTS for _ in BEHIND], "a redirect is an answer"

    assert guarded["looked_up"] == 1, "one look-up for check and connect: nothing can change between them"
    assert count(guarded, "before", None) == 1
    assert count(guarded, "after", "refused_by_guard") == 1, "and the next attempt looks anew"

    assert opened["heard"].keys() >= {PUBLIC, METADATA, PRIVATE, "fd00:ec2::254", "127.0.0.1", "::1"}, "teeth"
    assert count(opened, "after", None) == 1
    assert count(opened, "only", None) > 0.8 * len(ADDRESSES)


def count(campaign: dict[str, Any], what: str, error: str | None) -> int:
    return sum(each["what"] == what and each["error"] == error for each in campaign["ends"])
