"""The live stream's bytes into events, however the network cuts them; and when a lost stream is tried again."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from squirrel.client.errors import ClientError, Invalid, Unreachable, error_of
from squirrel.client.live import AGAIN_SECONDS, EVENT_BYTES_MAX, EventReader, Live, Patient, stream_request
from squirrel.client.talk import Patience

RECORD = '{"run":"run_1","schedule_id":"a","namespace":"n","event":"e\u2028\x85","state":"succeeded","attempts":1'
COMPLETION = (
    RECORD + ',"slot":"2027-02-01T10:00:00Z","due":"2027-02-01T10:00:00Z","finished":"2027-02-01T10:00:01Z"}'
).encode()
STREAM = (
    b": squirrel\nretry: 2000\n\n: still here\n\n"
    b'event: result\nid: run_1.failed\ndata: {"run":"run_1","state":"failed"}\n\n'
    b"event: completion\nid: run_1.succeeded\ndata: " + COMPLETION + b"\n\n: the gateway is stopping; connect again\n\n"
)  # fmt: skip


@given(st.lists(st.integers(0, len(STREAM)), max_size=20))
def test_wherever_it_is_cut(cuts: list[int]) -> None:
    reader = EventReader()
    places = [0, *sorted(cuts), len(STREAM)]
    found = [each for at, to in itertools.pairwise(places) for each in reader.feed(STREAM[at:to])]
    assert [(each.kind, each.run, each.state) for each in found] == [
        ("result", "run_1", "failed"),
        ("completion", "run_1", "succeeded"),
    ]
    assert found[1].event == "e\u2028\x85", "line ends of other alphabets end no line"
    assert found[1].completion().attempts == 1


@pytest.mark.parametrize("sent", [b"data: no json\n\n", b"data: [1]\n\n", b"x" * (EVENT_BYTES_MAX + 1)])
def test_what_is_no_such_stream(sent: bytes) -> None:
    with pytest.raises(ClientError) as refused:
        EventReader().feed(sent)
    assert "is this a Squirrel server?" in refused.value.detail


def test_a_stream_that_lived_is_made_again_and_one_that_cannot_be_ends() -> None:
    patient = Patient(Patience(lambda: 0.0, tries_max=3))
    assert patient.wait_seconds(None) == AGAIN_SECONDS
    gone = Unreachable("gone")
    assert patient.wait_seconds(gone) > 0
    assert patient.wait_seconds(gone) > 0
    patient.heard()
    assert [patient.wait_seconds(gone) for _ in range(2)]
    with pytest.raises(Unreachable):
        patient.wait_seconds(gone)
    with pytest.raises(Invalid):
        Patient(Patience(lambda: 0.0)).wait_seconds(error_of(422, {"detail": "event: is too long"}))
    assert Patient(Patience(lambda: 0.0)).wait_seconds(error_of(503, {}, 7.0)) == 7.0


def test_what_is_asked() -> None:
    request = stream_request("email.*", None)
    assert (request.path, dict(request.query)) == ("/api/v1/stream", {"event": "email.*"})
    assert isinstance(EventReader().feed(STREAM)[0], Live)
