"""Doubles behind the ports: speech that is wherever it is loud, and an engine that writes down what it was given."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from bridge.model.frame import SAMPLE_RATE, Samples
from bridge.ports import Decoded, DecodedWord, DecodeJob
from bridge.speech.gate import Gate
from bridge.speech.segmenter import Segmenter, SegmenterOptions

QUIET = 0.01


class LoudIsSpeech:
    """A VoiceModel without a model."""

    def reset(self) -> None:
        pass

    def probabilities(self, windows: Samples) -> npt.NDArray[np.float32]:
        return (np.abs(windows).max(axis=1) > QUIET).astype(np.float32)


class OpenGate(Gate):
    def maybe_speech(self, window: Samples) -> bool:
        return bool(np.abs(window).max() > QUIET)


def segmenter() -> Segmenter:
    return Segmenter(SegmenterOptions(), model=LoudIsSpeech(), gate=OpenGate())


def speech(*parts: tuple[float, float]) -> Samples:
    """`(seconds, loudness)` one behind the other, at 16 kHz."""
    runs = [np.full(round(seconds * SAMPLE_RATE), loudness, np.float32) for seconds, loudness in parts]
    return np.concatenate(runs)


def words_of_loudness(job: DecodeJob) -> Decoded:
    """One word for every loud run in the samples: its loudness in hundredths."""
    loud = np.concatenate([[False], np.abs(job.samples) > QUIET, [False]])
    edges = np.flatnonzero(np.diff(loud.astype(int)))
    words = tuple(
        DecodedWord(text=f"w{job.samples[start] * 100:.0f}", start=int(start), end=int(end), probability=0.9)
        for start, end in zip(edges[::2], edges[1::2], strict=True)
    )
    return said(words, language=job.language or "en")


def said(words: tuple[DecodedWord, ...], *, language: str = "en", sure: float = 0.95) -> Decoded:
    return Decoded(
        text=" ".join(word.text for word in words),
        language=language,
        language_probability=sure,
        average_log_probability=-0.2,
        no_speech_probability=0.01,
        words=words,
    )


class ScriptedEngine:
    """Fills the `Engine` port. Keeps every job, and how many were in work at once."""

    def __init__(self, answer: Callable[[DecodeJob], Decoded | None] = words_of_loudness) -> None:
        self._answer = answer
        self.jobs: list[DecodeJob] = []
        self.most_at_once = 0
        self._in_work = 0

    async def decode(self, job: DecodeJob) -> Decoded | None:
        self.jobs.append(job)
        self._in_work += 1
        self.most_at_once = max(self.most_at_once, self._in_work)
        await asyncio.sleep(0)
        self._in_work -= 1
        return self._answer(job)

    def pressure(self) -> float:
        return 0.0
