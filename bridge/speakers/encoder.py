"""CAM++, and beside it pyannote's segmentation, behind the `VoiceEncoder` port, in a thread of their own.

About 10 ms of one core a window of a second, and 35 ms a window of ten.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
import structlog

from bridge.errors import SetupError
from bridge.model.frame import Samples
from bridge.model.likeness import Likeness, Vector
from bridge.speakers.campplus import LONGEST_FRAMES
from bridge.speakers.fbank import fbank
from bridge.speakers.grouping import directions
from bridge.speakers.overlap import Span, spans_of
from bridge.speakers.segmentation import FIRST_MIDDLE, FIRST_OF_TWO, FRAME

log = structlog.get_logger(__name__)

LIKENESS: Final = Likeness(window_ms=1000, hop_ms=500, join=0.6, same=0.55, third=0.45, known=0.65, least_ms=1500)
"""Measured on telephone speech: docs/speakers.md."""


class CampPlus:
    """The model. Stateless."""

    def __init__(self, path: Path) -> None:
        """Raises SetupError when the file does not load."""
        self._session = _session(path)

    def embed(self, samples: Samples) -> Vector:
        """The voice in 16 kHz speech as a unit vector of shape (192,). Raises ValueError for less than 55 ms and for
        more than two seconds.
        """
        features = fbank(samples)
        if not 3 < len(features) <= LONGEST_FRAMES:
            raise ValueError(f"{len(samples)} samples are no window of speech")
        features = np.ascontiguousarray((features - features.mean(axis=0)).T[None])
        [voice] = self._session.run(None, {"features": features})
        unit: Vector = directions(np.asarray(voice, np.float32)[None])[0]
        return unit


class Segmentation:
    """The model. Stateless."""

    def __init__(self, path: Path) -> None:
        """Raises SetupError when the file does not load."""
        self._session = _session(path)

    def overlaps(self, samples: Samples) -> list[Span]:
        """Where two speak at once in 100 ms to ten seconds of 16 kHz speech."""
        [likely] = self._session.run(None, {"samples": np.ascontiguousarray(samples, np.float32)[None, None]})
        return spans_of(likely[:, FIRST_OF_TWO:].sum(axis=1), first_middle=FIRST_MIDDLE, frame=FRAME)


class CampPlusEncoder:
    """Fills the `VoiceEncoder` port. The models are looked for and loaded when the first voice is to be heard."""

    likeness = LIKENESS

    def __init__(self, find: Callable[[], Path], find_segmentation: Callable[[], Path]) -> None:
        """They give the models' files, or raise SetupError."""
        self._find = find
        self._find_segmentation = find_segmentation
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="voices")

    async def embed(self, samples: Samples) -> Vector:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._embed, samples)

    async def overlaps(self, samples: Samples) -> Sequence[Span]:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._overlaps, samples)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _embed(self, samples: Samples) -> Vector:
        return self._model.embed(samples)

    def _overlaps(self, samples: Samples) -> Sequence[Span]:
        return () if self._segmentation is None else self._segmentation.overlaps(samples)

    @cached_property
    def _model(self) -> CampPlus:
        return CampPlus(self._find())

    @cached_property
    def _segmentation(self) -> Segmentation | None:
        """None where there is none: speakers are told apart without it."""
        try:
            return Segmentation(self._find_segmentation())
        except SetupError as error:
            log.warning("it is not told where two speak at once", code=error.code, reason=error.message)
            return None


def _session(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.inter_op_num_threads = 1
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"], sess_options=options)
    except Exception as error:  # onnxruntime's errors have no parent of their own
        raise SetupError(f"the speaker model {path} does not load: {error}") from error
