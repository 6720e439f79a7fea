"""A Twilio conversation as it was on the wire in, the whole list of events out, on a clock moved by hand.

`fixtures/expected/tones-over-twilio.json` holds the list, one event a line. What the two parties say, and when, stands
in `tests.tones.SCRIPT`.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge import call as call_module
from bridge.calls import Calls
from bridge.carrier.audio import encode
from bridge.ingest.twilio import TwilioStream
from bridge.model.events import body_to_dict
from bridge.model.stream import Leg, StreamItem, StreamStarted
from tests.clock import VirtualClock
from tests.fixture_calls import LINE
from tests.office import RecordingSink
from tests.tones import SCRIPT, ToneEngine, recording, tone_segmenter

EXPECTED = Path(__file__).parents[2] / "fixtures" / "expected" / "tones-over-twilio.json"

TRACKS = {Leg.CALLER: "inbound", Leg.AGENT: "outbound"}
FRAME_S = 0.02
LOST = range(100, 110)
"""Messages about the caller, 2 s in and while nobody speaks, that never arrive."""
KEY_AT = 300


def conversation() -> Iterator[str]:
    """What Twilio sends: both tracks, a key in the middle, a hole, and `stop`."""
    yield json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"})
    start = {
        "streamSid": "MZ1",
        "accountSid": "AC1",
        "callSid": "CA1",
        "tracks": ["inbound", "outbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": {"call_id": "replayed", "language": "en", "metadata.order": "447"},
    }
    yield json.dumps({"event": "start", "sequenceNumber": "1", "start": start, "streamSid": "MZ1"})
    for number, frame in enumerate(encode(recording(), LINE).frames):
        if number == KEY_AT:
            yield json.dumps({"event": "dtmf", "streamSid": "MZ1", "dtmf": {"track": "inbound_track", "digit": "5"}})
        for leg, payload in frame.items():
            if leg is Leg.CALLER and number in LOST:
                continue
            media = {
                "track": TRACKS[leg],
                "chunk": str(number + 1),
                "timestamp": str(number * 20),
                "payload": base64.b64encode(payload).decode(),
            }
            yield json.dumps({"event": "media", "streamSid": "MZ1", "media": media})
    yield json.dumps({"event": "stop", "streamSid": "MZ1", "stop": {"accountSid": "AC1", "callSid": "CA1"}})


async def replay(clock: VirtualClock) -> list[dict[str, Any]]:
    """Every event of the call, as its JSON form but for the envelope's id, seq and time."""
    sink = RecordingSink()
    calls = Calls(
        engine=ToneEngine(),
        sink=sink,
        clock=clock,
        max_calls=1,
        language=None,
        languages=frozenset({"en"}),
        hangover_ms=500,
    )
    stream = TwilioStream()
    queue: asyncio.Queue[StreamItem | None] = asyncio.Queue()
    take: asyncio.Task[None] | None = None
    for message in conversation():
        for item in stream.receive(message):
            if isinstance(item, StreamStarted):
                take = asyncio.create_task(calls.take(item, _until_none(queue), tenant="t"))
            else:
                queue.put_nowait(item)
        if '"outbound"' in message:
            await clock.advance(FRAME_S)
    queue.put_nowait(None)
    await clock.advance(5.0)
    assert take is not None
    assert take.done()
    assert sink.finished == ["replayed"]
    return [{"type": body.type, **json.loads(json.dumps(body_to_dict(body)))} for body in sink.told["replayed"]]


async def _until_none(queue: asyncio.Queue[StreamItem | None]) -> AsyncIterator[StreamItem]:
    while (item := await queue.get()) is not None:
        yield item


async def test_a_recorded_conversation_gives_its_events_and_no_other(
    clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every event, every field, in order."""
    monkeypatch.setattr(call_module, "Segmenter", tone_segmenter)
    told = await replay(clock)
    assert told == [json.loads(line) for line in EXPECTED.read_text("utf-8").splitlines()]


def test_the_expected_events_say_what_the_script_says() -> None:
    """The list is no mere record of a run: its finals are the script's words at the script's times."""
    expected = [json.loads(line) for line in EXPECTED.read_text("utf-8").splitlines()]
    finals = [one for one in expected if one["type"] == "transcript.final"]
    assert [(one["leg"], one["text"]) for one in finals] == [
        (leg.value, " ".join(spoken.word for spoken in words)) for leg, words in SCRIPT
    ]
    heard = [word for one in finals for word in one["words"]]
    for word, spoken in zip(heard, [spoken for _, words in SCRIPT for spoken in words], strict=True):
        assert word["start_ms"] == pytest.approx(spoken.start_ms, abs=10)
        assert word["end_ms"] == pytest.approx(spoken.end_ms, abs=10)
    assert [one["type"] for one in expected].count("call.ended") == 1
