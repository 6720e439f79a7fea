"""Are the models of speakers whole, and what do they cost here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from bridge.cli.checkup import State
from bridge.errors import SetupError
from bridge.model.frame import Samples, from_ms
from bridge.model.stream import Leg
from bridge.ports import Clock
from bridge.recordings.file import look
from bridge.samples import TWO_PARTY
from bridge.settings import Settings
from bridge.speakers.encoder import LIKENESS, CampPlus, Segmentation
from bridge.speakers.overlap import HOP, WINDOW
from bridge.speakers.weights import SEGMENTATION, find_model

TRIES: Final = 5
"""The shortest counts: other work on the machine is none of the model's."""


async def speakers(settings: Settings, _clock: Clock) -> list[tuple[State, str]]:
    """Without a model only those who want one have a fault."""
    try:
        path = await asyncio.to_thread(find_model, settings.speaker_model, model_dir=settings.model_dir)
    except SetupError as error:
        if settings.diarize or settings.known_voices:
            raise
        return [(State.NOTE, f"calls with diarize=true get no names: {error.message}")]
    speech = await asyncio.to_thread(_speech)
    voice_s = await asyncio.to_thread(_shortest, CampPlus(path).embed, speech[: LIKENESS.window])
    share = voice_s / (LIKENESS.hop / from_ms(1000))
    said = [
        (State.GOOD, f"{settings.speaker_model}; {1000 * voice_s:.0f} ms a window, {share:.1%} of a core a speaker")
    ]
    try:
        path = await asyncio.to_thread(find_model, SEGMENTATION, model_dir=settings.model_dir)
    except SetupError as error:
        return [*said, (State.NOTE, f"where two speak at once is not told: {error.message}")]
    overlap_s = await asyncio.to_thread(_shortest, Segmentation(path).overlaps, speech)
    share = overlap_s / (HOP / from_ms(1000))
    return [*said, (State.GOOD, f"{SEGMENTATION}; {1000 * overlap_s:.0f} ms a window, {share:.1%} of a core a speaker")]


def _speech() -> Samples:
    """As much of the bundled call as is listened to at a time."""
    block = next(look(TWO_PARTY).blocks())
    return block[Leg.AGENT][:WINDOW]


def _shortest(ask: Callable[[Samples], object], samples: Samples) -> float:
    """Seconds of a core for one answer."""
    took = []
    for _ in range(TRIES):
        began = time.thread_time()
        ask(samples)
        took.append(time.thread_time() - began)
    return min(took)
