"""Every dialect's recorded messages, cut up: in any order, with any part replaced by anything or left out."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.dialects import DIALECTS
from bridge.errors import CarrierError
from bridge.ingest.conversation import Conversation, Handshake
from bridge.ingest.fields import storable
from bridge.ingest.tracks import DIGITS
from bridge.model.stream import DtmfDigit, MediaChunk, StreamItem, StreamStarted, StreamStopped
from tests.wire import read, recordings

MOST = 12
"""Messages of a conversation."""

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20)
anything = st.recursive(
    scalars,
    lambda deeper: st.lists(deeper, max_size=4) | st.dictionaries(st.text(max_size=8), deeper, max_size=4),
    max_leaves=8,
)
replacements = anything | st.just("big") | st.sampled_from(["inbound", "outbound", "L16", "0", "1e999", 8000.0])
Path = tuple[str | int, ...]


@cache
def spoken(dialect: str) -> list[str | bytes]:
    """Every message of every recording, good or broken."""
    files = recordings(broken=False, dialect=dialect) + recordings(broken=True, dialect=dialect)
    return list(dict.fromkeys(message for file in files for message in read(file)[1]))


@cache
def openings(dialect: str) -> list[list[str | bytes]]:
    """The ways in which recorded conversations come to their start."""
    return [read(file)[1][:2] for file in recordings(broken=False, dialect=dialect)]


def parts(value: Any, path: Path = ()) -> Iterator[Path]:
    """Where every part of a JSON value is."""
    yield path
    if isinstance(value, dict | list):
        for name, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from parts(part, (*path, name))


@st.composite
def disfigured(draw: st.DrawFn, message: str | bytes) -> str | bytes:
    """A message with one part replaced, or left out; binary and broken ones with some bytes more."""
    if isinstance(message, bytes):
        return message + draw(st.binary(max_size=40))
    try:
        value = json.loads(message)
    except (ValueError, RecursionError):
        return message + draw(st.text(max_size=10))
    path = draw(st.sampled_from([*parts(value)]))
    if not path:
        return json.dumps(draw(replacements))
    place = value
    for step in path[:-1]:
        place = place[step]
    if draw(st.booleans()):
        place[path[-1]] = draw(replacements)
    else:
        del place[path[-1]]
    return json.dumps(value)


@st.composite
def conversations(draw: st.DrawFn, dialect: str) -> list[str | bytes]:
    """Recorded messages in any order, half of them disfigured, mostly behind a good start."""
    messages = draw(st.lists(st.sampled_from(spoken(dialect)), max_size=MOST))
    mixed = [draw(disfigured(message)) if draw(st.booleans()) else message for message in messages]
    return [*draw(st.sampled_from([[], *openings(dialect)])), *mixed]


def told(hearing: Conversation, message: str | bytes) -> list[StreamItem]:
    """What a message says; nothing when it is refused, and then nothing has changed."""
    before = copy.deepcopy(vars(hearing))
    try:
        return hearing.receive(message)
    except CarrierError:
        assert vars(hearing) == before
        return []


@pytest.mark.parametrize("dialect", DIALECTS)
@given(data=st.data(), query=st.dictionaries(st.text(max_size=8), st.text(st.characters(), max_size=8), max_size=3))
def test_disfigured_conversations(dialect: str, data: st.DataObject, query: dict[str, str]) -> None:
    """Values or a documented fault: the start first and once, the end once, media of known legs, text that can be kept."""
    messages = data.draw(conversations(dialect))
    hearing = DIALECTS[dialect].hear(Handshake(url="wss://calls.example.org/", headers={}, query=query))
    items = [item for message in messages for item in told(hearing, message)]
    starts = [n for n, item in enumerate(items) if isinstance(item, StreamStarted)]
    assert starts in ([], [0])
    assert bool(items) == bool(starts)
    assert sum(isinstance(item, StreamStopped) for item in items) <= 1
    for item in items:
        match item:
            case MediaChunk():
                assert item.leg in items[0].legs
                assert item.sequence is None or item.sequence >= 0
                assert item.timestamp_ms is None or 0 <= item.timestamp_ms < 2**54
            case DtmfDigit():
                assert item.leg in items[0].legs
                assert item.digit in DIGITS
            case StreamStarted():
                texts = [item.carrier_call_id, item.stream_id, *item.parameters, *item.parameters.values()]
                assert all(storable(text) == text for text in texts)
                json.dumps(texts, ensure_ascii=False).encode()
