"""How many calls at once one process is trusted with: what its recogniser decodes, and what its event loop hears."""

from __future__ import annotations

import time
from typing import Final

import numpy as np

from bridge.audio.leg import LegAudio
from bridge.model.frame import AudioFrame
from bridge.model.stream import Encoding, Leg, MediaChunk, MediaFormat
from bridge.ports import Engine
from bridge.recognise.local import LocalEngine
from bridge.speech.segmenter import Segmenter, SegmenterOptions
from callcodecs import g711

LOOP_S: Final = 0.3
"""What an event loop's capacity in calls is in proportion to: there is one in a process, on one core, however many
decode. Where a second of sound took 6 to 7 ms (`heard_s`), 52 calls of one leg and 40 of two were measured to take it
15.5 ms a second of call, with sockets, spool and events, and their finals came as soon as those of 24.
"""

REHEARSALS: Final = 8
"""The first loads the voice model, and other work on the machine slows some of the others down: the fastest counts."""

LINE: Final = MediaFormat(encoding=Encoding.PCMU, sample_rate=8000)
CHUNK: Final = 160


def capacity_of(engine: Engine) -> int:
    """Calls at once with this engine. One elsewhere grows as it is asked: the loop alone counts."""
    return min(engine.capacity, loop_capacity()) if isinstance(engine, LocalEngine) else loop_capacity()


def loop_capacity() -> int:
    """Calls at once that an event loop hears on this machine. Blocks for some 60 ms."""
    return listening(min(heard_s() for _ in range(REHEARSALS)))


def listening(heard_s: float) -> int:
    """Calls that an event loop hears which takes so long for a second of sound."""
    return max(1, int(LOOP_S / heard_s))


def heard_s() -> float:
    """Seconds that this thread takes for one second of a leg on which Silero is asked about everything."""
    noise = np.random.default_rng(0).normal(0, 2000, LINE.sample_rate).astype(np.int16)
    payload = g711.encode_ulaw(noise)
    leg, segmenter = LegAudio(Leg.CALLER, LINE), Segmenter(SegmenterOptions())
    began = time.thread_time()
    for at in range(0, len(payload), CHUNK):
        for heard in leg.push(MediaChunk(leg=Leg.CALLER, payload=payload[at : at + CHUNK])):
            if isinstance(heard, AudioFrame):
                segmenter.push(heard)
    return time.thread_time() - began
