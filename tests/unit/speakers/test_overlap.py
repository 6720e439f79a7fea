"""Where two speak at once: what a model's windows say, put together."""

from __future__ import annotations

import numpy as np

from bridge.model.frame import from_ms
from bridge.model.words import Word
from bridge.speakers.overlap import HOP, WINDOW, Overlaps, spans_of
from bridge.speakers.windows import OverlapWindow


def _window(start_ms: int, end_ms: int, *, stretch: int = 0) -> OverlapWindow:
    return OverlapWindow(start=from_ms(start_ms), end=from_ms(end_ms), stretch=stretch, samples=np.zeros(0, np.float32))


def _ms(overlaps: Overlaps) -> list[tuple[int, int]]:
    return [(start // 16, end // 16) for start, end in overlaps.spans()]


def test_likely_frames_become_spans_and_short_ones_none() -> None:
    likely = np.zeros(100, np.float32)
    likely[10:30] = 0.9
    likely[50:60] = 0.9  # 0.16 s
    assert (
        spans_of(likely, first_middle=495, frame=270)
        == [
            (495 - 135 + 10 * 270, 495 - 135 + 30 * 270),
            (495 - 135 + 90 * 270, 495 - 135 + 100 * 270),
        ][:1]
    )


def test_an_overlap_may_last_to_the_end_of_a_window() -> None:
    likely = np.ones(40, np.float32)
    assert spans_of(likely, first_middle=495, frame=270) == [(360, 360 + 40 * 270)]


def test_a_later_window_of_a_stretch_decides_behind_its_first_quarter() -> None:
    overlaps = Overlaps()
    overlaps.add(_window(0, 10_000), [(from_ms(6000), from_ms(9500))])
    since = overlaps.add(_window(5000, 15_000), [(from_ms(1000), from_ms(3000)), (from_ms(9000), from_ms(9400))])
    assert since == from_ms(7500) == from_ms(5000) + (WINDOW - HOP) // 2
    assert _ms(overlaps) == [(6000, 8000), (14_000, 14_400)]


def test_a_window_of_another_stretch_says_all_of_its_own() -> None:
    overlaps = Overlaps()
    overlaps.add(_window(0, 4000), [(from_ms(1000), from_ms(2000))])
    overlaps.add(_window(5000, 7000, stretch=from_ms(5000)), [(0, from_ms(500))])
    assert _ms(overlaps) == [(1000, 2000), (5000, 5500)]


def test_what_is_shared_of_a_word_is_counted_over_all_spans() -> None:
    overlaps = Overlaps()
    overlaps.add(_window(0, 10_000), [(from_ms(1000), from_ms(1300)), (from_ms(1500), from_ms(3000))])
    times = [(0, 900), (800, 1200), (1000, 2000), (2900, 3400), (4000, 5000)]
    words = [Word(word="w", start_ms=start, end_ms=end, confidence=1.0) for start, end in times]
    assert [overlaps.shared_ms(word) for word in words] == [0, 200, 800, 100, 0]
