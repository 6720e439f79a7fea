"""Deepgram's half of a session, without a socket: what only time or a fault brings about."""

from __future__ import annotations

import pytest
from multidict import MultiDict

from bridge.compat.deepgram.live import DeepgramLive
from bridge.compat.dialogue import Begin, Finish
from bridge.errors import CarrierProtocolError, StoreError

pytestmark = pytest.mark.surface("deepgram")

RAW = {"encoding": "linear16", "sample_rate": "8000"}


def dialect(**query: str) -> DeepgramLive:
    return DeepgramLive(MultiDict({**RAW, **query}), request_id="r1", now=0.0, model="base")


def test_a_silent_client_is_hung_up_on() -> None:
    """Ten seconds without audio or KeepAlive close with Deepgram's code."""
    assert dialect().quiet(9.5) == []
    [finish] = dialect().quiet(10.0)
    assert isinstance(finish, Finish)
    assert (finish.code, finish.reason[:8]) == (1011, "NET-0001")


def test_faults_have_deepgrams_codes() -> None:
    """Audio that cannot be decoded is the client's, everything else ours."""
    [theirs] = dialect().fault(CarrierProtocolError("no audio"))
    [ours] = dialect().fault(StoreError("away"))
    assert isinstance(theirs, Finish)
    assert isinstance(ours, Finish)
    assert (theirs.code, ours.code) == (1008, 1011)


@pytest.mark.shows("keywords")
@pytest.mark.shows("language choice")
def test_what_a_client_chooses_reaches_the_call() -> None:
    """Its language, its words to expect without their weights, its silence; partials only when they are shown."""
    [begin] = dialect(language="de-CH", keywords="Zug:2", endpointing="300", tag="x").opened()
    assert isinstance(begin, Begin)
    assert begin.parameters == {
        "language": "de",
        "keywords": "Zug",
        "endpointing_ms": "300",
        "partials": "off",
        "metadata.tag": "x",
    }
    [multi] = dialect(language="multi", interim_results="true").opened()
    assert isinstance(multi, Begin)
    assert multi.parameters == {"keywords": "", "partials": "on"}
