"""Where jars are kept, and that the lock files name each jar once, with its hash."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from squirrel.runtime.local.jars import Jar, JarRefused, cache_dir, read_lock, verify


def test_cache_is_where_it_was_asked_to_be(tmp_path: Path) -> None:
    home = str(tmp_path)
    everything = {"SQUIRREL_CACHE_DIR": "/named", "XDG_CACHE_HOME": "/xdg", "HOME": home}
    assert cache_dir(everything) == Path("/named")
    assert cache_dir({"XDG_CACHE_HOME": "/xdg", "HOME": home}) == Path("/xdg/squirrel")
    assert cache_dir({"XDG_CACHE_HOME": "relative", "HOME": home}) == tmp_path / ".cache" / "squirrel"
    assert cache_dir({"HOME": home}) == tmp_path / ".cache" / "squirrel"


@pytest.mark.parametrize("environment", [{}, {"HOME": ""}, {"HOME": "/no/such/home"}])
def test_cache_works_without_a_home(environment: dict[str, str]) -> None:
    assert cache_dir(environment).name.startswith("squirrel-cache-")


@pytest.mark.parametrize(
    ("name", "root"), [("kafka", "org.apache.kafka:kafka_2.13"), ("cassandra", "org.apache.cassandra:cassandra-all")]
)
def test_lock_names_each_jar_once_with_its_hash(name: str, root: str) -> None:
    jars = read_lock(name)
    assert jars[0].coordinate.startswith(root)
    assert len({jar.file_name for jar in jars}) == len(jars)
    for jar in jars:
        assert re.fullmatch(r"[0-9a-f]{64}", jar.sha256), jar
        assert jar.size > 0


def test_file_name_is_mavens() -> None:
    assert Jar("io.netty:netty-epoll:4.1.0:linux-x86_64", 1, "").file_name == "netty-epoll-4.1.0-linux-x86_64.jar"


def test_other_bytes_are_refused_with_the_file_and_the_fix(tmp_path: Path) -> None:
    path = tmp_path / "a-1.jar"
    path.write_bytes(b"good")
    jar = Jar("g:a:1", 4, hashlib.sha256(b"good").hexdigest())
    verify(path, jar)
    path.write_bytes(b"gooe")
    with pytest.raises(JarRefused, match=r"a-1\.jar is not the locked g:a:1.*Delete the file"):
        verify(path, jar)
