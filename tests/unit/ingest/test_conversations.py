"""Every recorded conversation of every dialect, message by message (`fixtures/wire/README.md` says how they read)."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from multidict import CIMultiDict

from bridge.dialects import DIALECTS
from bridge.errors import CarrierError
from bridge.ingest.conversation import Conversation, Handshake
from bridge.model.stream import Discarded, DtmfDigit, MarkReached, MediaChunk, StreamItem, StreamStarted, StreamStopped
from tests.wire import name, read, recordings


def listener(file: Path, heading: dict[str, Any]) -> Conversation:
    headers = CIMultiDict(heading.get("headers", {}))
    handshake = Handshake(url="wss://calls.example.org/", headers=headers, query=heading.get("query", {}))
    return DIALECTS[file.parent.name].hear(handshake)


def as_recorded(answer: str | bytes) -> Any:
    """A message of ours as the recordings write theirs."""
    if isinstance(answer, bytes):
        return {"binary": base64.b64encode(answer).decode()}
    return {"message": json.loads(answer)} if answer.startswith("{") else {"text": answer}


def of(kind: type, items: list[StreamItem]) -> Iterator[Any]:
    return (item for item in items if isinstance(item, kind))


@pytest.mark.parametrize("file", recordings(broken=False), ids=name)
def test_what_a_good_conversation_says(file: Path) -> None:
    """All that was recorded is heard, in order, and nothing else."""
    heading, messages = read(file)
    hearing = listener(file, heading)
    items, answers = [], []
    for message in messages:
        items += hearing.receive(message)
        answers += hearing.to_send()
    started = next(of(StreamStarted, items), None)
    chunks = list(of(MediaChunk, items))
    heard = {
        "legs": list(started.legs) if started else [],
        "format": [started.media_format.encoding, started.media_format.sample_rate] if started else [],
        "parameters": dict(started.parameters) if started else {},
        "chunks": {leg: [c.sequence for c in chunks if c.leg == leg] for leg in {c.leg for c in chunks}},
        "timestamps": {leg: [c.timestamp_ms for c in chunks if c.leg == leg] for leg in {c.leg for c in chunks}},
        "bytes": {leg: sum(len(c.payload) for c in chunks if c.leg == leg) for leg in {c.leg for c in chunks}},
        "digits": "".join(key.digit for key in of(DtmfDigit, items)),
        "marks": [mark.name for mark in of(MarkReached, items)],
        "left_out": [[gap.leg, gap.missing_ms, gap.reason] for gap in of(Discarded, items)],
        "stops": len(list(of(StreamStopped, items))),
        "answers": [as_recorded(answer) for answer in answers],
    }
    expected = heading["expect"]
    assert heard == {key: type(value)() if key not in expected else expected[key] for key, value in heard.items()} | {
        "format": expected.get("format", heard["format"])
    }
    assert started is None or items[0] is started


@pytest.mark.parametrize("file", recordings(broken=True), ids=name)
def test_what_a_carrier_must_not_send(file: Path) -> None:
    """The last message fails the call by name; all before it was good, and the conversation is as it was."""
    heading, messages = read(file)
    hearing = listener(file, heading)
    for message in messages[:-1]:
        hearing.receive(message)
    before = vars(hearing).copy()
    with pytest.raises(CarrierError) as fault:
        hearing.receive(messages[-1])
    assert fault.value.code == heading["fault"]
    assert heading["says"] in fault.value.message
    assert vars(hearing) == before


def test_every_dialect_has_recordings() -> None:
    """A row in the table comes with good and broken conversations."""
    for dialect in DIALECTS:
        assert recordings(broken=False, dialect=dialect)
        assert recordings(broken=True, dialect=dialect)
