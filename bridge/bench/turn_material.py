"""Turns whose end is known, as they come over a telephone line: for the benchmark of `bridge/turns/`.

Recordings of one sentence or more are turns as they are; into every other one a hesitation is put at a boundary between
two words, drawn by its id. Of calls, a turn is what one party says until the other does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from bridge.bench.accuracy import through_the_line
from bridge.bench.calls import BenchCall, SpokenWord, Utterance
from bridge.bench.compose import RATE, Clip
from bridge.carrier.audio import CallAudio
from bridge.model.frame import SAMPLE_RATE, Samples, from_ms
from bridge.model.stream import Leg

TAIL: Final = 4 * SAMPLE_RATE
"""Silence behind a turn: longer than anybody waits."""
LEAD: Final = from_ms(400)
LINE_NOISE: Final = 10 ** (-60 / 20)
"""Of a quiet line, under everything and in what is put in."""
PAUSE_MEDIAN_S: Final = 0.7
PAUSE_SPREAD: Final = 0.5
"""Hesitations are log-normal: half of them longer than the median, one in six longer than 1.15 s."""
LONGEST_TURN_S: Final = 15.0
FADE: Final = from_ms(5)

VOICES: Final = frozenset({"heart", "joe"})
"""Synthetic ones, of the project's own recordings."""

TUNED: Final = frozenset({("prompt", "en"), ("prompt", "es"), ("prompt", "fr"), ("joe", "en")})
"""Kind of recording, or synthetic voice, and language, whose turns the weights are fitted to. All others, with other
speakers and other texts, are for the test.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """One turn on the line."""

    id: str
    kind: str
    language: str
    samples: Samples
    """At 16 kHz, behind the line, with silence after the end."""
    end: int
    """Where the turn's voice truly ends."""

    @property
    def tuned(self) -> bool:
        return (self.kind, self.language) in TUNED


def takes_of_clip(clip: Clip, kind: str, name: str, words: Sequence[SpokenWord]) -> Take:
    """One recording by itself; every other one hesitates between two of its `words`."""
    said = clip.utterance
    samples = on_the_line(clip)
    end = from_ms(said.end_ms)
    random = _random(name)
    if len(words) > 3 and int(hashlib.sha256(name.encode()).hexdigest(), 16) % 2:
        word, following = list(pairwise(words[1:-1]))[int(random.integers(len(words) - 3))]
        place = from_ms((word.end_ms + following.start_ms) / 2)
        pause = round(SAMPLE_RATE * PAUSE_MEDIAN_S * float(np.exp(random.normal(0, PAUSE_SPREAD))))
        samples = np.concatenate([_faded(samples[:place]), np.zeros(pause, np.float32), samples[place:]])
        end += pause
    return _take(name, kind, clip.language[:2], samples, end)


def takes_of_call(call: BenchCall) -> Iterator[Take]:
    """What each party says until the other does; who speaks alone, sentence by sentence.

    None of a line on which two speak and nobody has written what.
    """
    for leg, samples in through_the_line(call).items():
        for number, (said, until_ms) in enumerate(_turns(call, leg)):
            first, last = said[0], said[-1]
            if last.end_ms - first.start_ms > LONGEST_TURN_S * 1000 or last.cut_word is not None:
                continue
            begin = max(from_ms(first.start_ms) - LEAD, 0)
            heard = samples[begin : min(from_ms(until_ms), from_ms(last.end_ms) + TAIL)]
            name = f"{call.id}-{leg}-{number}"
            kind = first.speaker if first.speaker in VOICES else call.kind
            yield _take(name, kind or call.kind, call.language[:2], heard, from_ms(last.end_ms) - begin)


def _turns(call: BenchCall, leg: Leg) -> Iterator[tuple[list[Utterance], int]]:
    """The utterances of each turn of a leg, and when the leg speaks again."""
    alone = len(call.audio.legs) == 1
    mine: list[Utterance] = []
    for utterance, following in pairwise([*call.utterances, None]):
        if utterance is None or utterance.leg != leg or (alone and not utterance.text):
            continue
        mine.append(utterance)
        goes_on = following is not None and following.leg == leg and following.speaker == utterance.speaker
        if goes_on and not (alone and (utterance.text or "").endswith((".", "?", "!"))):
            continue
        later = (one.start_ms for one in call.utterances if one.leg == leg and one.start_ms >= utterance.end_ms)
        yield mine, min(later, default=call.duration_ms)
        mine = []


def _take(name: str, kind: str, language: str, samples: Samples, end: int) -> Take:
    length = max(len(samples), end + TAIL)
    row = np.pad(samples, (0, length - len(samples)))
    row += _random(f"noise {name}").normal(0, LINE_NOISE, length).astype(np.float32)
    return Take(id=name, kind=kind, language=language, samples=row, end=end)


def on_the_line(clip: Clip) -> Samples:
    """What arrives of a recording, at 16 kHz."""
    audio = CallAudio({Leg.CALLER: clip.samples}, RATE)
    return through_the_line(BenchCall(id="", kind="", language="", audio=audio, texts={}))[Leg.CALLER]


def _faded(samples: Samples) -> Samples:
    out = samples.copy()
    out[-FADE:] *= np.linspace(1, 0, FADE, dtype=np.float32)
    return out


def _random(name: str) -> np.random.Generator:
    return np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big"))
