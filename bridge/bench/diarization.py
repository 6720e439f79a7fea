"""Diarization error rate: the share of speech given to nobody, to somebody who is silent, or to somebody else.

As NIST counts it ("The 2009 Rich Transcription Evaluation Plan", section 3): names are matched so that most speech is
right, where several speak each counts, and around each reference boundary a collar is not scored. On a grid of 10 ms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from bridge.rttm import SpokenTurn

STEP_MS: Final = 10
COLLAR_MS: Final = 250
"""On either side of a boundary."""

_Grid = npt.NDArray[np.bool_]
"""Shape (speakers, steps): who speaks when."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiarizationErrors:
    """Milliseconds of speech, of one recording or of several added up."""

    missed: int = 0
    false_alarm: int = 0
    confused: int = 0
    spoken: int = 0
    """Of the reference, where it is scored."""

    def __add__(self, other: DiarizationErrors) -> DiarizationErrors:
        return DiarizationErrors(
            missed=self.missed + other.missed,
            false_alarm=self.false_alarm + other.false_alarm,
            confused=self.confused + other.confused,
            spoken=self.spoken + other.spoken,
        )

    @property
    def rate(self) -> float:
        """0 is perfect; more than 1 is possible. NaN when nobody speaks."""
        wrong = self.missed + self.false_alarm + self.confused
        return wrong / self.spoken if self.spoken else float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlapFound:
    """Milliseconds in which two or more speak, of one recording or of several added up."""

    spoken: int = 0
    """By the reference."""
    told: int = 0
    right: int = 0
    """Both."""

    def __add__(self, other: OverlapFound) -> OverlapFound:
        return OverlapFound(
            spoken=self.spoken + other.spoken, told=self.told + other.told, right=self.right + other.right
        )

    @property
    def precision(self) -> float:
        """NaN when none is told."""
        return self.right / self.told if self.told else float("nan")

    @property
    def recall(self) -> float:
        """NaN when there is none."""
        return self.right / self.spoken if self.spoken else float("nan")


def overlap_found(reference: Sequence[SpokenTurn], told: Sequence[SpokenTurn]) -> OverlapFound:
    """Where two speak at once in `told`, held against `reference`. No collar: most overlaps are shorter than two."""
    steps = max((turn.end_ms for turn in (*reference, *told)), default=0) // STEP_MS + 1
    spoken, said = (_grid(turns, steps).sum(axis=0) > 1 for turns in (reference, told))
    return OverlapFound(
        spoken=int(spoken.sum()) * STEP_MS, told=int(said.sum()) * STEP_MS, right=int((spoken & said).sum()) * STEP_MS
    )


def diarization_errors(
    reference: Sequence[SpokenTurn], told: Sequence[SpokenTurn], *, collar_ms: int = COLLAR_MS, overlap: bool = True
) -> DiarizationErrors:
    """`told` held against `reference`; without `overlap`, where two or more speak is not scored."""
    steps = max((turn.end_ms for turn in (*reference, *told)), default=0) // STEP_MS + 1
    spoken, said = _grid(reference, steps), _grid(told, steps)
    scored = _scored(reference, steps, collar_ms)
    if not overlap:
        scored &= spoken.sum(axis=0) < 2
    spoken, said = spoken[:, scored], said[:, scored]
    many, few = spoken.sum(axis=0), said.sum(axis=0)
    right = _most_matched(spoken.astype(np.int64) @ said.T.astype(np.int64))
    return DiarizationErrors(
        missed=int(np.maximum(many - few, 0).sum()) * STEP_MS,
        false_alarm=int(np.maximum(few - many, 0).sum()) * STEP_MS,
        confused=(int(np.minimum(many, few).sum()) - right) * STEP_MS,
        spoken=int(many.sum()) * STEP_MS,
    )


def _grid(turns: Sequence[SpokenTurn], steps: int) -> _Grid:
    names = sorted({turn.speaker for turn in turns})
    grid = np.zeros((len(names), steps), np.bool_)
    for turn in turns:
        grid[names.index(turn.speaker), round(turn.start_ms / STEP_MS) : round(turn.end_ms / STEP_MS)] = True
    return grid


def _scored(reference: Sequence[SpokenTurn], steps: int, collar_ms: int) -> npt.NDArray[np.bool_]:
    scored = np.ones(steps, np.bool_)
    for turn in reference:
        for edge in (turn.start_ms, turn.end_ms):
            scored[max(0, round((edge - collar_ms) / STEP_MS)) : round((edge + collar_ms) / STEP_MS)] = False
    return scored


def _most_matched(common: npt.NDArray[np.int64]) -> int:
    """The most that can be right when each name is matched with one other at most: by sets of matched columns."""
    rows, columns = common.shape
    if rows > columns:
        return _most_matched(common.T)
    best = {0: 0}
    for row in common:
        extended = dict(best)
        for taken, right in best.items():
            for column in range(columns):
                if row[column] and not taken & 1 << column:
                    matched = taken | 1 << column
                    extended[matched] = max(extended.get(matched, 0), right + int(row[column]))
        best = extended
    return max(best.values())
