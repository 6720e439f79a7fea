"""Decoded samples → frames at 16 kHz, each at its position."""

from __future__ import annotations

import audioop
from typing import Final

import numpy as np

from bridge.model.frame import SAMPLE_RATE, AudioFrame, Samples
from bridge.model.stream import Leg
from callcodecs.decoder import Pcm
from callcodecs.resample import Resampler

QUIET_PEAK: Final = 256
"""Of 32768: −42 dB, above a line's comfort noise and below a person who speaks."""
SETTLED_S: Final = 1.0
"""How long it must have been quiet before silence is gathered: the end of an utterance is never told late by it."""
BATCH_S: Final = 0.24
"""Gathered silence goes on in frames of this length, which makes a silent call cost a fraction of a talking one."""
FAINT_PEAK: Final = 64
"""Of 32768: −54 dB, below what anybody speaks or hears. Gathered silence so faint goes on as none, not resampled."""

_FULL_SCALE: Final = np.float32(1 / 32768)
_SILENCE: Final[Samples] = np.zeros(SAMPLE_RATE, dtype=np.float32)
_SILENCE.flags.writeable = False


class FrameWriter:
    """One leg's samples, resampled, as a run of frames without holes."""

    def __init__(self, leg: Leg, sample_rate: int, begins_at: int = 0) -> None:
        self._leg = leg
        self._rate = sample_rate
        self._resampler = Resampler(sample_rate, SAMPLE_RATE) if sample_rate != SAMPLE_RATE else None
        self._position = begins_at
        self._base = begins_at
        """Where the resampler's run of samples began."""
        self._written = 0
        """Samples since then, at the stream's own rate."""
        self._held: list[Pcm] = []
        self._held_count = 0
        self._quiet_count = 0

    @property
    def due(self) -> int:
        """The position that the next written sample will have."""
        return self._base + self._written * SAMPLE_RATE // self._rate

    def write(self, samples: Pcm) -> list[AudioFrame]:
        """Frames that are complete now; a few milliseconds stay behind in the resampler's filter."""
        count = len(samples)
        self._written += count
        self._quiet_count = self._quiet_count + count if audioop.max(samples.data, 2) <= QUIET_PEAK else 0
        if self._quiet_count > SETTLED_S * self._rate:
            self._held.append(samples)
            self._held_count += count
            return self._let_go() if self._held_count >= BATCH_S * self._rate else []
        if not self._held:
            return self._convert(samples)
        self._held.append(samples)  # speech begins: what was held goes with it, at once
        return self._let_go()

    def drain(self) -> list[AudioFrame]:
        """Everything written so far, to the last sample."""
        frames = self._let_go()
        if self._resampler is not None:
            frames += self._frame(self._resampler.flush())
        self._base, self._written = self._position, 0
        return frames

    def silence(self, count: int) -> list[AudioFrame]:
        """`count` samples at 16 kHz of silence, behind everything written so far, in frames of a second at most."""
        frames = self.drain()
        while count > 0:
            frames += self._frame(_SILENCE[:count])
            count -= len(frames[-1].samples)
        self._base = self._position
        return frames

    def _let_go(self) -> list[AudioFrame]:
        if not self._held:
            return []
        run = np.concatenate(self._held)
        self._held.clear()
        self._held_count = 0
        return self.silence(len(run) * SAMPLE_RATE // self._rate) if self._is_faint(run) else self._convert(run)

    def _is_faint(self, run: Pcm) -> bool:
        """Whether a run is too faint to be worth the resampler, and long in its own rate what it is long at 16 kHz."""
        whole = self._resampler is not None and SAMPLE_RATE % self._rate == 0
        return whole and audioop.max(run.data, 2) <= FAINT_PEAK

    def _convert(self, samples: Pcm) -> list[AudioFrame]:
        scaled = np.multiply(samples, _FULL_SCALE, dtype=np.float32)
        return self._frame(scaled if self._resampler is None else self._resampler.push(scaled))

    def _frame(self, samples: Samples) -> list[AudioFrame]:
        if not len(samples):
            return []
        frame = AudioFrame(leg=self._leg, position=self._position, samples=samples)
        self._position = frame.end
        return [frame]
