"""The files that `squirrel plugin new` makes: a package with one target type, which passes the suite as it is."""

from __future__ import annotations

from typing import Final

_PYPROJECT: Final = """\
[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[project]
name = "squirrel-{dashed}"
version = "0.1.0"
description = "The target type {name} for Squirrel."
requires-python = ">=3.11"
dependencies = ["squirrel"]

[project.entry-points."squirrel.targets"]
{name} = "squirrel_{name}:TYPE"

[tool.hatch.build.targets.wheel]
packages = ["squirrel_{name}"]
"""
_MODULE: Final = '''\
"""The target type `{name}`."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from squirrel.wire.target_types import Attempt, Network, Reply, Secret, TargetType, expect_success


class Config(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What a user fills in; the console makes its form from this."""

    url: Annotated[str, Meta(description="where to send the message", min_length=1, max_length=2048)]
    api_key: Annotated[Secret, Meta(description="sent as the header X-Api-Key")] = ""


async def send(config: Config, attempt: Attempt, network: Network) -> Reply:
    """One attempt, one call. What goes wrong is raised as CallFailed, here by the network and by expect_success."""
    headers = {{"content-type": "application/json", "idempotency-key": attempt.run_id}}
    if config.api_key:
        headers["x-api-key"] = config.api_key
    return expect_success(await network.request("POST", config.url, headers=headers, body=attempt.message))


TYPE = TargetType(
    kind="{name}",
    title="{title}",
    description="Sends the message.",
    config=Config,
    send=send,
    example={{"url": "https://api.example.com/messages", "api_key": {{"secret": "{name}_key"}}}},
    dials=lambda config: [("url", config.url)],
)
'''
_TEST: Final = '''\
"""`squirrel plugin test squirrel_{name}` runs the whole suite; these are your own."""

from squirrel_{name} import TYPE


def test_the_example_is_read() -> None:
    assert TYPE.secrets == {{"api_key"}}
'''
_README: Final = """\
# squirrel-{dashed}

    pip install -e .
    squirrel plugin test squirrel_{name}

Install it where the gateway, the intake and the executors run. For an index, build a wheel and write its address and SHA-256:

    {{"squirrel_plugins": 1, "plugins": [{{"name": "{name}", "version": "0.1.0", "title": "{title}",
      "package": "squirrel-{dashed}", "url": "https://example.com/squirrel_{name}-0.1.0-py3-none-any.whl", "sha256": "..."}}]}}
"""


def files_of(name: str) -> dict[str, str]:
    """Path -> text of the package for a target type `name`."""
    words = {"name": name, "dashed": name.replace("_", "-"), "title": name.replace("_", " ").capitalize()}
    return {
        "pyproject.toml": _PYPROJECT.format(**words),
        f"squirrel_{name}/__init__.py": _MODULE.format(**words),
        "tests/test_type.py": _TEST.format(**words),
        "README.md": _README.format(**words),
    }
