from __future__ import annotations

import itertools

import numpy as np
import pytest

from bridge.model.frame import SAMPLE_RATE, Samples, to_ms
from bridge.model.stream import Leg
from bridge.recognise.window import LONGEST_S
from bridge.recordings.pieces import Cutter, Window
from tests.unit.recordings.doubles import segmenter, speech


def cut(samples: Samples, *, block: int) -> list[Window]:
    cutter = Cutter(Leg.CALLER, segmenter())
    blocks = [samples[begin : begin + block] for begin in range(0, len(samples), block)]
    return [window for run in blocks for window in cutter.push(run)] + list(cutter.flush())


def test_stretches_are_put_together() -> None:
    """Neighbouring stretches share a window, each with its own place and number; silence between them goes."""
    [window] = cut(speech((1, 0), (2, 0.1), (5, 0), (3, 0.2), (1, 0)), block=16000)
    assert [piece.segment.segment for piece in window.pieces] == [1, 2]
    assert [piece.segment.start_ms for piece in window.pieces] == pytest.approx([1000, 8000], abs=40)
    assert [piece.segment.end_ms for piece in window.pieces] == pytest.approx([3000, 11000], abs=40)
    assert sum(len(piece) for piece in window.pieces) < 6.2 * SAMPLE_RATE


def test_no_window_is_too_long_for_the_model() -> None:
    """Ten stretches of seven seconds take more than one window, and no window more than the model takes."""
    windows = cut(speech(*[(7, 0.1), (1, 0)] * 10), block=160000)
    assert [len(window.pieces) for window in windows] == [3, 3, 3, 1]
    assert [piece.segment.segment for window in windows for piece in window.pieces] == list(range(1, 11))
    for window in windows:
        assert sum(len(piece) for piece in window.pieces) <= LONGEST_S * SAMPLE_RATE


def test_a_speaker_without_a_pause() -> None:
    """A minute of speech without silence is cut, at the quietest places, with nothing lost between the cuts."""
    samples = speech((60, 0.2))
    for dip in (17.0, 35.5):
        samples[round(dip * SAMPLE_RATE) : round((dip + 0.1) * SAMPLE_RATE)] = 0.02
    pieces = [piece for window in cut(samples, block=160000) for piece in window.pieces]
    assert len(pieces) >= 3
    assert max(len(piece) for piece in pieces) <= LONGEST_S * SAMPLE_RATE
    assert np.abs(to_ms(pieces[1].start) - 17050) <= 50
    assert np.abs(to_ms(pieces[2].start) - 35550) <= 50
    for before, after in itertools.pairwise(pieces):
        assert before.start + len(before.samples) == after.start


@pytest.mark.parametrize("block", [160, 5120, 7777, 160000])
def test_how_it_is_read_does_not_matter(block: int) -> None:
    """Blocks of any length give the same pieces, to a third of a second's step."""
    samples = speech((0.5, 0), (2, 0.1), (0.7, 0), (1, 0.3), (9, 0), (4, 0.2))
    found = [piece.segment for window in cut(samples, block=block) for piece in window.pieces]
    assert [segment.start_ms for segment in found] == pytest.approx([500, 3200, 13200], abs=40)
    assert [segment.end_ms for segment in found] == pytest.approx([2500, 4200, 17200], abs=40)


def test_silence() -> None:
    """Nothing is nothing to decode."""
    assert cut(speech((30, 0)), block=16000) == []
    assert cut(speech((0, 0)), block=16000) == []
