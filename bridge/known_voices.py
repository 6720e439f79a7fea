"""Voices that tenants have enrolled: made of a recording of one person, and given to calls by name."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from bridge.errors import InvalidRequestError, UnreadableRecordingError
from bridge.model.frame import AudioFrame, from_ms, to_ms
from bridge.model.known_voice import KnownVoice
from bridge.model.likeness import Vector
from bridge.model.stream import Leg
from bridge.ports import Clock, VoiceEncoder, VoiceStore
from bridge.recordings.file import look
from bridge.speakers.timeline import Timeline
from bridge.speakers.voices import Voices
from bridge.speakers.windows import VoiceWindow, voice_windows
from bridge.speech.segmenter import Segmenter, SegmenterOptions

LEAST_MS: Final = 5_000
"""Of speech: less does not tell a person from others."""

MOST_S: Final = 300
"""Of the recording: more is not needed."""

ONE_PERSON: Final = 0.9
"""The share of windows that must sound like one and the same."""


class KnownVoices:
    """Every tenant's."""

    def __init__(
        self,
        store: VoiceStore,
        encoder: VoiceEncoder,
        clock: Clock,
        *,
        model: str,
        segmenter: Callable[[], Segmenter] = lambda: Segmenter(SegmenterOptions()),
    ) -> None:
        """`model`: what the encoder is called. Voices of others are kept and not used."""
        self._store = store
        self._encoder = encoder
        self._clock = clock
        self._model = model
        self._segmenter = segmenter

    async def enrol(self, tenant: str, name: str, recording: Path) -> KnownVoice:
        """Of a recording of one person on one channel. Raises InvalidRequestError for any other, ConflictError when
        the name is taken.
        """
        timeline, voices = Timeline(), Voices(self._encoder.likeness)
        total = np.zeros(0, np.float32)
        speech = 0
        for window in await asyncio.to_thread(self._windows, recording):
            fresh = timeline.add(window)
            direction = await self._encoder.embed(window.samples)
            voices.hear(direction, fresh / from_ms(1000))
            total = direction + total if len(total) else direction
            speech += fresh
        if to_ms(speech) < LEAST_MS:
            raise InvalidRequestError(
                f"{to_ms(speech) / 1000:.1f} s of speech; a voice takes {LEAST_MS // 1000} s and more"
            )
        [(_, most)] = Counter(names := voices.whole()).most_common(1)
        if most < ONE_PERSON * len(names):
            raise InvalidRequestError("more than one person speaks in this recording")
        voice = KnownVoice(
            id=f"spk_{secrets.token_hex(8)}",
            tenant=tenant,
            name=name,
            model=self._model,
            direction=tuple(float(part) for part in total / np.linalg.norm(total)),
            speech_ms=to_ms(speech),
            created_at=self._clock.now(),
        )
        await self._store.create_voice(voice)
        return voice

    async def of(self, tenant: str) -> Mapping[str, Vector]:
        """Names and directions, for a call of the tenant's."""
        voices = await self._store.voices(tenant)
        return {voice.name: np.array(voice.direction, np.float32) for voice in voices if voice.model == self._model}

    def _windows(self, path: Path) -> Sequence[VoiceWindow]:
        try:
            recording = look(path, longest_s=MOST_S)
        except InvalidRequestError as error:
            raise UnreadableRecordingError(f"the recording: {error.message.rpartition(f'{path}: ')[2]}") from None
        if len(recording.legs) != 1:
            raise InvalidRequestError("a recording of one channel, with one person on it")
        segmenter, windows = self._segmenter(), voice_windows(self._encoder.likeness)
        found: list[VoiceWindow] = []
        position = 0
        for block in recording.blocks():
            [samples] = block.values()
            found += windows.push(segmenter.push(AudioFrame(leg=Leg.MIXED, position=position, samples=samples)))
            position += len(samples)
        return found + windows.push(segmenter.flush())
