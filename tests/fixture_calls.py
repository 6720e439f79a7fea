"""The calls in `fixtures/audio`, and recordings like them, as a carrier sends them and as a leg hears them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from bridge.audio.leg import LegAudio
from bridge.carrier.audio import CallAudio, EncodedAudio, encode, read_call
from bridge.model.frame import AudioFrame, Samples
from bridge.model.stream import Encoding, Leg, MediaChunk, MediaFormat, StreamItem, StreamStarted, StreamStopped

AUDIO: Final = Path(__file__).parents[1] / "fixtures" / "audio"
LINE: Final = MediaFormat(encoding=Encoding.PCMU, sample_rate=8000)


@dataclass(frozen=True, slots=True)
class Said:
    """One word of a reference."""

    word: str
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class FixtureCall:
    """A recording, and its reference where it has one."""

    audio: CallAudio
    reference: Mapping[str, Any]

    @property
    def legs(self) -> tuple[Leg, ...]:
        return tuple(self.audio.legs)

    def text(self, leg: Leg) -> str:
        """All that a leg says."""
        return " ".join(said["text"] for said in self.reference["utterances"] if said["leg"] == leg)

    def words(self, leg: Leg) -> list[Said]:
        """What a leg says, word by word."""
        utterances = [said for said in self.reference["utterances"] if said["leg"] == leg]
        return [Said(**word) for said in utterances for word in said["words"]]

    def part(self, leg: Leg, start_ms: int, end_ms: int) -> FixtureCall:
        """One leg between two times, as a call of its own."""
        rate = self.audio.sample_rate
        samples = self.audio.legs[leg][start_ms * rate // 1000 : end_ms * rate // 1000]
        return FixtureCall(CallAudio({leg: samples}, rate), self.reference)

    def started(self, **parameters: str) -> StreamStarted:
        """The stream's start, as Twilio's."""
        return StreamStarted(
            carrier="twilio",
            carrier_call_id="CA1",
            stream_id="MZ1",
            legs=self.legs,
            media_format=LINE,
            parameters=parameters,
        )

    async def items(self) -> AsyncIterator[StreamItem]:
        """The call as fast as it is taken, stop included."""
        for chunk in _chunks(encode(self.audio, LINE)):
            yield chunk
        yield StreamStopped()

    def heard(self, leg: Leg) -> Samples:
        """What comes out of a leg's audio, 16 kHz."""
        ear = LegAudio(leg, LINE)
        chunks = [chunk for chunk in _chunks(encode(self.audio, LINE)) if chunk.leg == leg]
        values = [value for chunk in chunks for value in ear.push(chunk)] + ear.flush()
        return np.concatenate([value.samples for value in values if isinstance(value, AudioFrame)])


def fixture_call(name: str) -> FixtureCall:
    """A call of `fixtures/audio`."""
    return FixtureCall(read_call(AUDIO / f"{name}.wav"), json.loads((AUDIO / f"{name}.json").read_text("utf-8")))


def recording(path: Path) -> FixtureCall:
    """Any other recording, without a reference."""
    return FixtureCall(read_call(path), {"utterances": []})


def _chunks(audio: EncodedAudio) -> list[MediaChunk]:
    return [
        MediaChunk(leg=leg, payload=payload, sequence=number, timestamp_ms=float(number * audio.frame_ms))
        for number, frame in enumerate(audio.frames)
        for leg, payload in frame.items()
    ]
