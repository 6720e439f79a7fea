"""NeuralSpace's half of a session, without a socket: what only time or a parameter brings about."""

from __future__ import annotations

import pytest
from multidict import MultiDict

from bridge.compat.dialogue import Begin, Finalise, Finish, Hear
from bridge.compat.neuralspace.live import NeuralSpaceLive
from bridge.errors import StoreError

pytestmark = pytest.mark.surface("neuralspace")


def dialect(**query: str) -> NeuralSpaceLive:
    return NeuralSpaceLive(MultiDict(query), language="en", session="s1", stream_id="st1", now=lambda: 0.0)


@pytest.mark.shows("language choice")
@pytest.mark.shows("endpointing")
def test_what_a_client_chooses_reaches_the_call() -> None:
    """The silence and the sensitivity it asks for, its longest chunk; usual values where it says nothing."""
    query = {"vad_min_silence": "0.3", "vad_threshold": "0.6", "max_chunk_size": "8", "disable_partial": "True"}
    [begin] = dialect(**query).opened()
    assert isinstance(begin, Begin)
    assert begin.carrier_call_id == "s1"
    chosen = {"endpointing_ms": "300", "vad_threshold": "0.6", "segment_ms": "8000"}
    assert begin.parameters == {**chosen, "partials": "off", "language": "en"}
    [usual] = dialect().opened()
    assert isinstance(usual, Begin)
    chosen = {"endpointing_ms": "100", "segment_ms": "5000"}
    assert usual.parameters == {**chosen, "partials": "on", "language": "en"}


def test_a_pause_in_the_bytes_is_an_end_of_speech() -> None:
    """After 1.5 s what was sent is told, once; after two minutes the stream ends."""
    live = dialect()
    assert live.quiet(2.0) == []
    assert live.receive(b"audio") == [Hear(data=b"audio")]
    assert live.quiet(1.5) == [Finalise()]
    assert live.quiet(2.0) == []
    assert [wish.code for wish in live.quiet(120.0) if isinstance(wish, Finish)] == [1000]


def test_faults_are_told_by_closing_alone() -> None:
    """A message without text would break its clients."""
    [finish] = dialect().fault(StoreError("away"))
    assert isinstance(finish, Finish)
    assert finish.code == 1011
