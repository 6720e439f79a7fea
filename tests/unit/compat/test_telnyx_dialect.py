"""Telnyx's half of a session, without a socket: what only time or a parameter brings about."""

from __future__ import annotations

import pytest
from multidict import MultiDict

from bridge.compat.dialogue import Begin, Finalise, Finish, Hear
from bridge.compat.telnyx.faults import ParameterError
from bridge.compat.telnyx.live import TelnyxLive
from bridge.compat.telnyx.parameters import ENGINES, check_engine, sound

pytestmark = pytest.mark.surface("telnyx")


def dialect(**query: str) -> TelnyxLive:
    return TelnyxLive(MultiDict(query), session_id="s1", model="base")


def test_a_pause_in_the_bytes_is_an_end_of_speech() -> None:
    """After 1.5 s what was sent is told, once; after 10 s the session ends; nothing comes of silence before audio."""
    live = dialect()
    assert live.quiet(2.0) == []
    assert live.receive(b"audio") == [Hear(data=b"audio")]
    assert live.quiet(1.0) == []
    assert live.quiet(1.5) == [Finalise()]
    assert live.quiet(2.0) == []
    assert [wish.code for wish in live.quiet(10.0) if isinstance(wish, Finish)] == [1000]


@pytest.mark.shows("keywords")
@pytest.mark.shows("endpointing")
@pytest.mark.shows("language choice")
def test_what_a_client_chooses_reaches_the_call() -> None:
    """Its language, its words to expect, its silence; partials only when they are shown."""
    [begin] = dialect(language="de-DE", keywords="Zug,Bahn:3", endpointing="300", interim_results="true").opened()
    assert isinstance(begin, Begin)
    chosen = {"language": "de", "keywords": "Zug,Bahn", "endpointing_ms": "300", "partials": "on"}
    assert begin.parameters == chosen
    [auto] = dialect(language="multi", endpointing="false").opened()
    assert isinstance(auto, Begin)
    assert auto.parameters == {"keywords": "", "partials": "off"}


@pytest.mark.parametrize("name", ["Deepgram", "telnyx", "XAI", *sorted(ENGINES)])
def test_any_engine_of_theirs_is_ours(name: str) -> None:
    """However it is written."""
    check_engine(MultiDict(transcription_engine=name))


@pytest.mark.parametrize(("rate", "code"), [("0", "40004"), ("9" * 5000, "40005")])
def test_a_rate_that_is_none(rate: str, code: str) -> None:
    """However many digits it has."""
    with pytest.raises(ParameterError) as refused:
        sound(MultiDict(input_format="mulaw", sample_rate=rate))
    assert refused.value.telnyx_code == code
