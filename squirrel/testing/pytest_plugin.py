"""`pytest_plugins = ["squirrel.testing.pytest_plugin"]` in a conftest.py gives the fixture `squirrel_target`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from squirrel.testing.in_thread import ThreadTarget, target


@pytest.fixture
def squirrel_target() -> Iterator[ThreadTarget]:
    """A target on loopback that does what each request's path says, until the test tells it otherwise (`behave`)."""
    with target() as made:
        yield made
