"""The admin client raises what would go by itself: asked again, within a bound, and only then."""

from __future__ import annotations

import pytest
from aiokafka.errors import KafkaError, NodeNotReadyError, TopicAuthorizationFailedError

from squirrel.streams import topics_admin
from squirrel.streams.topics_admin import ASKED_TRIES_MAX, patiently


class Broker:
    """Answers after it has said no so often."""

    def __init__(self, error: type[KafkaError], times: int) -> None:
        self.asked = 0
        self._error = error
        self._times = times

    async def ask(self) -> str:
        self.asked += 1
        if self.asked <= self._times:
            raise self._error
        return "topics"


async def test_a_broker_that_is_not_ready_yet_is_asked_again() -> None:
    broker = Broker(NodeNotReadyError, 2)
    assert await patiently(broker.ask) == "topics"
    assert broker.asked == 3


async def test_what_will_not_go_by_itself_is_raised_at_once() -> None:
    broker = Broker(TopicAuthorizationFailedError, 1)
    with pytest.raises(TopicAuthorizationFailedError):
        await patiently(broker.ask)
    assert broker.asked == 1


async def test_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topics_admin, "ASKED_AGAIN_SECONDS", 0)
    broker = Broker(NodeNotReadyError, 1_000)
    with pytest.raises(NodeNotReadyError):
        await patiently(broker.ask)
    assert broker.asked == ASKED_TRIES_MAX
