"""Hours of one leg: what is held does not grow with them, and names stay."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest

from bridge.model.frame import from_ms
from bridge.model.likeness import Vector
from bridge.model.stream import Leg
from bridge.model.words import Segment, Word
from bridge.speakers import kept
from bridge.speakers.diarizer import Diarizer
from bridge.speakers.encoder import LIKENESS
from bridge.speakers.grouping import directions
from bridge.speakers.windows import VoiceWindow

TURN_MS = 4000
MINUTE = 60_000 // TURN_MS
"""Turns."""

BYTES_A_MINUTE = 20_000
"""It is 12,000, of which words are most. Held as they come, windows and words would be 110,000."""


@pytest.fixture(autouse=True)
def little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """For two minutes of windows: what is bounded is so after these, rather than after half an hour."""
    monkeypatch.setattr(kept, "MOST_ROWS", 240)


class _Leg:
    """Two people in turn, through a noisy line."""

    def __init__(self) -> None:
        self.diarizer = Diarizer(LIKENESS)
        self._random = np.random.default_rng(5)
        self._people = self._random.normal(size=(2, 192))
        self.turns = 0

    def talk(self, turns: int) -> Iterator[tuple[int, str | None]]:
        """Who speaks by the script, and by what is told."""
        for _ in range(turns):
            who, start_ms = self.turns % 2, self.turns * TURN_MS
            for begin_ms in range(start_ms, start_ms + TURN_MS - 999, 500):
                begin = from_ms(begin_ms)
                window = VoiceWindow(
                    start=begin, end=begin + LIKENESS.window, stretch=from_ms(start_ms), samples=np.zeros(0, np.float32)
                )
                self.diarizer.hear(window, self._voice(who))
            self.turns += 1
            for piece in self.diarizer.final(_said(self.turns, start_ms)):
                yield who, piece.speaker

    def _voice(self, who: int) -> Vector:
        noisy = self._people[who] + self._random.normal(size=192) * self._random.uniform(0.2, 0.5)
        return directions(noisy[None].astype(np.float32))[0]


def _said(number: int, start_ms: int) -> Segment:
    words = tuple(
        Word(
            word=f"w{number}-{place}",
            start_ms=start_ms + 380 * place,
            end_ms=start_ms + 380 * place + 300,
            confidence=number / 1e6,
        )
        for place in range(10)
    )
    text = " ".join(word.word for word in words)
    return Segment(
        leg=Leg.MIXED,
        segment=number,
        start_ms=start_ms,
        end_ms=start_ms + 3800,
        text=text,
        language="en",
        confidence=0.9,
        words=words,
    )


def _held() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def test_what_is_held_hardly_grows_with_the_call() -> None:
    leg = _Leg()
    tracemalloc.start()
    try:
        list(leg.talk(4 * MINUTE))
        before = _held()
        list(leg.talk(4 * MINUTE))
        after = _held()
    finally:
        tracemalloc.stop()
    assert 0 < (after - before) / 4 < BYTES_A_MINUTE


def test_who_was_heard_long_ago_keeps_a_name_and_so_does_all_of_it_at_the_end() -> None:
    leg = _Leg()
    told = set(leg.talk(8 * MINUTE))
    assert told == {(0, "S1"), (1, "S2")}
    assert leg.diarizer.settle() == []


def test_words_that_are_settled_late_are_given_to_who_said_them() -> None:
    """Their windows are no longer kept one by one."""
    leg = _Leg()
    list(leg.talk(8 * MINUTE))
    for turn in range(MINUTE):
        recut = leg.diarizer.revision([turn + 1], [_said(turn + 1, turn * TURN_MS)])
        assert [piece.speaker for piece in recut.segments] == [("S1", "S2")[turn % 2]]
