"""Whatever is sent, a dialect answers with values or with a documented fault, and a fault changes nothing."""

from __future__ import annotations

import base64
import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.dialects import DIALECTS
from bridge.errors import CarrierError
from bridge.ingest.conversation import Conversation, Handshake
from bridge.ingest.fields import storable
from bridge.model.stream import MediaChunk, StreamItem, StreamStarted, StreamStopped

HANDSHAKE = Handshake(url="wss://calls.example.org/", headers={}, query={})
EVERY_DIALECT = pytest.mark.parametrize("dialect", DIALECTS)

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20)
anything = st.recursive(
    scalars,
    lambda deeper: st.lists(deeper, max_size=4) | st.dictionaries(st.text(max_size=8), deeper, max_size=4),
    max_leaves=12,
)

# -- messages that look like Twilio's: each part is right, wrong, or missing ----------------------------------------

tracks = st.sampled_from(["inbound", "outbound", "inbound_track", "sideways"]) | scalars
number = st.integers(-5, 2**70).map(str) | st.integers() | st.floats() | scalars
payload = st.binary(max_size=400).map(lambda raw: base64.b64encode(raw).decode()) | st.text(max_size=30) | scalars


def partial(**parts: st.SearchStrategy[object]) -> st.SearchStrategy[dict[str, object]]:
    """An object with any of its parts left out."""
    return st.fixed_dictionaries({}, optional=parts)


twilio = st.one_of(
    st.just({"event": "connected"}),
    st.fixed_dictionaries(
        {"event": st.just("start")},
        optional={
            "start": partial(
                streamSid=st.just("MZ1") | scalars,
                callSid=st.just("CA1") | scalars,
                tracks=st.lists(tracks, max_size=3) | anything,
                customParameters=st.dictionaries(st.text(max_size=5), anything, max_size=3) | anything,
                mediaFormat=partial(
                    encoding=st.sampled_from(["audio/x-mulaw", "audio/x-l16", "x"]) | scalars,
                    sampleRate=st.sampled_from([8000, "8000", 16000, "x"]) | scalars,
                    channels=number,
                )
                | anything,
            )
            | anything
        },
    ),
    st.fixed_dictionaries(
        {"event": st.just("media")},
        optional={"media": partial(track=tracks, chunk=number, timestamp=number, payload=payload) | anything},
    ),
    st.fixed_dictionaries(
        {"event": st.just("dtmf")}, optional={"dtmf": partial(track=tracks, digit=st.sampled_from("05*#aDX") | scalars)}
    ),
    st.fixed_dictionaries({"event": st.just("mark")}, optional={"mark": partial(name=scalars) | anything}),
    st.just({"event": "stop"}),
    st.dictionaries(st.just("event") | st.text(max_size=6), anything, max_size=3),
)
START = {"event": "start", "start": {"streamSid": "MZ1", "callSid": "CA1", "tracks": ["inbound", "outbound"]}}


def told(hearing: Conversation, message: str | bytes) -> list[StreamItem]:
    """What a message says; nothing when it is refused, and then nothing has changed."""
    before = copy.deepcopy(vars(hearing))
    try:
        return hearing.receive(message)
    except CarrierError:
        assert vars(hearing) == before
        return []


@EVERY_DIALECT
@given(messages=st.lists(st.text(max_size=60) | st.binary(max_size=60) | anything.map(json.dumps), max_size=6))
def test_rubbish_is_refused_by_name(dialect: str, messages: list[str | bytes]) -> None:
    """No text, bytes or JSON value raises anything but a CarrierError."""
    hearing = DIALECTS[dialect].hear(HANDSHAKE)
    for message in messages:
        told(hearing, message)


@given(messages=st.lists(twilio, max_size=12), opened=st.booleans())
def test_twilio_in_any_order(messages: list[dict[str, object]], opened: bool) -> None:
    """Of any sequence of messages, the start is heard first and once, the end once, and media only between known legs."""
    hearing = DIALECTS["twilio"].hear(HANDSHAKE)
    whole = [{"event": "connected"}, START, *messages] if opened else messages
    items = [item for message in whole for item in told(hearing, json.dumps(message))]
    starts = [n for n, item in enumerate(items) if isinstance(item, StreamStarted)]
    assert starts in ([], [0])
    assert bool(items) == bool(starts)
    assert sum(isinstance(item, StreamStopped) for item in items) <= 1
    for item in items:
        if isinstance(item, MediaChunk):
            assert item.leg in items[0].legs
            assert item.sequence is None or item.sequence >= 0
            assert item.timestamp_ms is None or 0 <= item.timestamp_ms < 2**54
        if isinstance(item, StreamStarted):
            texts = [item.carrier_call_id, item.stream_id, *item.parameters, *item.parameters.values()]
            assert all(storable(text) == text for text in texts)
            json.dumps(texts, ensure_ascii=False).encode()
