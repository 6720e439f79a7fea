"""Keys heard as tones (ITU-T Q.23, Q.24), for carriers that do not report them; and the tones themselves.

Two tones make a key: one of four low and one of four high frequencies. Speech makes such pairs too, if rarely and never
for long. So a key is what for 31 ms is nearly all of the sound there is, steady, at the right frequencies (told by how
far the phase moves from block to block) and balanced as telephones send it.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from callcodecs.decoder import Pcm
from callcodecs.resample import Floats

LOW: Final = (697, 770, 852, 941)
HIGH: Final = (1209, 1336, 1477, 1633)
"""Hz (ITU-T Q.23)."""
PAD: Final = ("123A", "456B", "789C", "*0#D")
"""The keys: a row has a low frequency, a column a high one."""

BLOCK_S: Final = 0.0125
"""Sound is looked at in blocks of this length, each beginning in the middle of the one before."""
PAIRS: Final = 2
"""How many pairs of blocks, each 12.5 ms apart, agree on a key: 31 ms, which a key of 40 ms (Q.24) always holds."""
PAUSE: Final = 8
"""Blocks in a row without the key that release it: a pause of 40 ms makes 10, a break of 10 ms (a fault) makes 7."""

LEAST_POWER: Final = 10 ** (-45 / 10)
"""Mean square; full scale is 1. Weaker sound is no key."""
LEAST_PURITY: Final = 0.87
"""How much of the power has to be in the two tones."""
LIKELY_PURITY: Final = 0.5
"""The same before it is known how far the tones are beside their frequencies: less than this can be no key."""
LOW_STRONGER: Final = 10 ** (5 / 10)
HIGH_STRONGER: Final = 10 ** (10 / 10)
"""How much more power one tone may have than the other: Q.24's 4 and 8 dB, and what blocks so short mistake."""
STEADY: Final = 10 ** (3 / 10)
"""How much the power may change within 12.5 ms."""
OFF_FREQUENCY: Final = 0.02
"""How far a tone may be beside its frequency: 1.5 % has to be heard, 3.5 % must not be (Q.24)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key that was pressed: one of `0-9*#A-D`, and where its tone begins, in samples since the first pushed."""

    key: str
    position: int


@dataclass(frozen=True, slots=True)
class _Block:
    """A stretch of sound that may be a key: its power, and the two strongest tones as complex amplitudes."""

    power: float
    low: int
    high: int
    low_tone: complex
    high_tone: complex

    @property
    def key(self) -> str:
        return PAD[self.low][self.high]

    @property
    def balanced(self) -> bool:
        low, high = abs(self.low_tone) ** 2, abs(self.high_tone) ** 2
        return low < LOW_STRONGER * high and high < HIGH_STRONGER * low


class DtmfDetector:
    """Keys in a stream of samples. The same keys come out however the stream is cut."""

    def __init__(self, sample_rate: int) -> None:
        self._half = round(BLOCK_S * sample_rate / 2)
        self._size = 2 * self._half
        self._seconds = self._size / sample_rate
        turns = np.outer(np.arange(self._size), LOW + HIGH) / sample_rate
        basis = (np.exp(-2j * np.pi * turns) * np.sqrt(2) / self._size).astype(np.complex64).view(np.float32)
        self._basis = np.hstack([basis[: self._half], basis[self._half :]])
        """Half a block times this is its share in the tones (real and imaginary parts in turn; their squares are the
        tones' powers): on the left as a block's first half, on the right as its second.
        """
        self._rest: Floats = np.zeros(0, dtype=np.float32)
        self._blocks = 0
        self._recent: deque[_Block | None] = deque([None, None], maxlen=2)
        self._heard = self._pressed = ""
        self._pairs = self._absent = 0

    def push(self, samples: Floats) -> list[Key]:
        """Keys that are certain now, each told once however long it is held."""
        run = np.concatenate([self._rest, samples])
        count = max(len(run) // self._half - 1, 0)
        self._rest = run[count * self._half :]
        return [key for block in self._cut(run, count) if (key := self._follow(block)) is not None]

    def _cut(self, run: Floats, count: int) -> list[_Block | None]:
        if not count:
            return []
        halves = run[: (count + 1) * self._half].reshape(-1, self._half)
        squares = np.einsum("ij,ij->i", halves, halves)
        power = (squares[:-1] + squares[1:]) / self._size
        shares = halves @ self._basis
        width = shares.shape[1] // 2
        tones = (shares[:-1, :width] + shares[1:, width:]).view(np.complex64)
        powers = tones.real**2 + tones.imag**2
        in_tones = powers[:, : len(LOW)].max(axis=1) + powers[:, len(LOW) :].max(axis=1)
        likely = (power > LEAST_POWER) & (in_tones > LIKELY_PURITY * power)
        found: list[_Block | None] = [None] * count
        for at in np.flatnonzero(likely):
            low = int(powers[at, : len(LOW)].argmax())
            high = int(powers[at, len(LOW) :].argmax())
            found[at] = _Block(
                float(power[at]), low, high, complex(tones[at, low]), complex(tones[at, len(LOW) + high])
            )
        return found

    def _follow(self, block: _Block | None) -> Key | None:
        """Take in the next block; the key that it makes certain."""
        before = self._recent[0]
        self._recent.append(block)
        self._blocks += 1
        key = block.key if block and before and self._agree(before, block) else ""
        self._pairs = self._pairs + 1 if key and key == self._heard else 1 if key else 0
        self._heard = key
        if self._pairs < PAIRS:
            self._absent += 1
            if self._absent >= PAUSE:
                self._pressed = ""
            return None
        self._absent = 0
        if key == self._pressed:
            return None
        self._pressed = key
        return Key(key=key, position=(self._blocks - PAIRS - 2) * self._half)

    def _agree(self, before: _Block, block: _Block) -> bool:
        """Whether two blocks, the second beginning where the first ends, are parts of one key's sound."""
        if before.key != block.key or not (before.balanced and block.balanced):
            return False
        if not 1 / STEADY < block.power / before.power < STEADY:
            return False
        low = self._off_frequency(LOW[block.low], before.low_tone, block.low_tone)
        high = self._off_frequency(HIGH[block.high], before.high_tone, block.high_tone)
        if abs(low) > OFF_FREQUENCY * LOW[block.low] or abs(high) > OFF_FREQUENCY * HIGH[block.high]:
            return False
        return all(self._purity(part, low, high) > LEAST_PURITY for part in (before, block))

    def _off_frequency(self, frequency: int, before: complex, now: complex) -> float:
        """How far beside `frequency` a tone is, in Hz: between two blocks its phase moves by so much more."""
        moved = now * before.conjugate()
        expected = 2 * math.pi * frequency * self._seconds
        extra = math.atan2(moved.imag, moved.real) - expected
        return math.remainder(extra, 2 * math.pi) / (2 * math.pi * self._seconds)

    def _purity(self, block: _Block, low: float, high: float) -> float:
        """How much of the block's power its tones have, with what a tone beside its frequency seems to lose."""
        powers = (
            (abs(tone) / _sinc(off * self._seconds)) ** 2
            for tone, off in ((block.low_tone, low), (block.high_tone, high))
        )
        return sum(powers) / block.power


def dtmf_tone(key: str, duration_ms: int, sample_rate: int, *, level_db: float = -10.0) -> Pcm:
    """A key as a telephone sends it: both tones at `level_db` below full scale. Raises ValueError for no key."""
    row = next((row for row, keys in enumerate(PAD) if len(key) == 1 and key in keys), None)
    if row is None:
        raise ValueError(f"no telephone key: {key!r}")
    seconds: npt.NDArray[np.float64] = np.arange(duration_ms * sample_rate // 1000) / sample_rate
    tones = sum(np.sin(2 * np.pi * hertz * seconds) for hertz in (LOW[row], HIGH[PAD[row].index(key)]))
    return np.clip(tones * 32767 * 10 ** (level_db / 20), -32768, 32767).astype(np.int16)


def _sinc(turns: float) -> float:
    return math.sin(math.pi * turns) / (math.pi * turns) if turns else 1.0
