"""Any number of distinct calls from a set of single utterances: a person who says a sentence, waits, says the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import soxr

from bridge.bench.calls import BenchCall, Utterance, read_fixture
from bridge.carrier.audio import CallAudio
from bridge.errors import InvalidRequestError
from bridge.model.stream import Leg

Pcm = npt.NDArray[np.int16]

RATE: Final = 8_000
LONGEST_MS: Final = 20_000
"""A longer utterance would fill a call alone."""
MARGIN_MS: Final = 60
"""Kept around a clip's speech: breath and the room's echo."""
BUNDLED: Final = Path(__file__).parent / "phrases"

_FRAME: Final = RATE // 100
_SILENT_DB: Final = -38.0
"""A 10 ms frame this far below a clip's loudest is no speech."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How a call is laid out, in ms."""

    call_ms: int = 58_000
    """At most."""
    pause_ms: tuple[int, int] = (1_200, 2_000)
    """Between the true end of one utterance and the true start of the next: bounds, the upper one excluded."""
    hang_up_ms: int = 500
    """From the true end of the last word to the end of the call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """One utterance by itself. `utterance` has its times in `samples`, at `RATE`."""

    samples: Pcm
    utterance: Utterance
    language: str


def bundled() -> list[Clip]:
    """The set that comes with callbridge: two synthetic voices, thirty sentences each."""
    return [clip for wav in sorted(BUNDLED.glob("*.wav")) for clip in clips(read_fixture(wav))]


def clips(call: BenchCall) -> list[Clip]:
    """What a call can lend: its utterances whose words are known, or the whole of a short recording of one leg.

    The bounds of speech are the reference's; where it has none they are found by loudness.
    """
    legs = {leg: _at_rate(samples, call.audio.sample_rate) for leg, samples in call.audio.legs.items()}
    said = [utterance for utterance in call.utterances if utterance.text]
    if not said and len(legs) == 1:
        ((leg, samples),) = legs.items()
        text = call.texts[leg]
        if text and samples.any():
            start, end = _loud(samples)
            said = [Utterance(leg=leg, start_ms=start, end_ms=end, text=text)]
    return [
        _cut(legs[utterance.leg], utterance, call.language)
        for utterance in said
        if utterance.end_ms - utterance.start_ms <= LONGEST_MS
    ]


def one_line(sentences: Sequence[Clip]) -> list[Clip]:
    """The same, whoever says them: calls made of these have all voices on their one leg."""
    return [replace(clip, utterance=replace(clip.utterance, speaker=None)) for clip in sentences]


def compose(sentences: Sequence[Clip], count: int, *, seed: int = 0, shape: Shape | None = None) -> list[BenchCall]:
    """`count` calls of one leg and one voice each, the same ones for the same seed; a voice that has said all of its
    sentences says them again.

    The voices take turns. Raises InvalidRequestError when no sentence of a voice fits into a call.
    """
    voices = sorted({clip.utterance.speaker or "" for clip in sentences})
    if not voices:
        raise InvalidRequestError("no sentences to make calls from")
    of_voice = {name: [clip for clip in sentences if (clip.utterance.speaker or "") == name] for name in voices}
    return [
        _call(number, of_voice[voices[number % len(voices)]], np.random.default_rng([seed, number]), shape or Shape())
        for number in range(count)
    ]


def _call(number: int, sentences: Sequence[Clip], random: np.random.Generator, shape: Shape) -> BenchCall:
    row = np.zeros(_samples(shape.call_ms), np.int16)
    said: list[Utterance] = []
    due = int(random.integers(*shape.pause_ms)) // 2
    is_full = False
    while not is_full:
        before = len(said)
        for index in random.permutation(len(sentences)):
            clip = sentences[index]
            shift = max(due - clip.utterance.start_ms, 0)
            utterance = _moved(clip.utterance, shift)
            if utterance.end_ms + shape.hang_up_ms > shape.call_ms:
                continue  # a shorter one may still fit
            room = row[_samples(shift) :][: len(clip.samples)]
            room += clip.samples[: len(room)]
            said.append(utterance)
            due = utterance.end_ms + int(random.integers(*shape.pause_ms))
        is_full = len(said) - before < len(sentences)
    if not said:
        raise InvalidRequestError(f"no sentence that fits into a call of {shape.call_ms} ms")
    return BenchCall(
        id=f"bench-{number:04}",
        kind="call",
        language=sentences[0].language,
        audio=CallAudio({Leg.CALLER: row[: _samples(said[-1].end_ms + shape.hang_up_ms)]}, RATE),
        texts={Leg.CALLER: " ".join(utterance.text or "" for utterance in said)},
        utterances=tuple(said),
    )


def _cut(samples: Pcm, utterance: Utterance, language: str) -> Clip:
    first = max(utterance.start_ms - MARGIN_MS, 0)
    cut = samples[_samples(first) : _samples(utterance.end_ms + MARGIN_MS)]
    return Clip(samples=cut, utterance=_moved(replace(utterance, leg=Leg.CALLER), -first), language=language)


def _moved(utterance: Utterance, by_ms: int) -> Utterance:
    words = (replace(word, start_ms=word.start_ms + by_ms, end_ms=word.end_ms + by_ms) for word in utterance.words)
    return replace(utterance, start_ms=utterance.start_ms + by_ms, end_ms=utterance.end_ms + by_ms, words=tuple(words))


def _loud(samples: Pcm) -> tuple[int, int]:
    """Where speech begins and ends, in ms, by 10 ms frames."""
    frames = np.pad(samples.astype(np.float64), (0, -len(samples) % _FRAME)).reshape(-1, _FRAME)
    power = np.mean(frames**2, axis=1)
    loud = np.flatnonzero(power > power.max() * 10 ** (_SILENT_DB / 10))
    return int(loud[0]) * 10, int(loud[-1] + 1) * 10


def _at_rate(samples: Pcm, rate: int) -> Pcm:
    if rate == RATE:
        return samples
    resampled: Pcm = soxr.resample(samples, rate, RATE)
    return resampled


def _samples(milliseconds: int) -> int:
    return milliseconds * RATE // 1000
