"""Stretches of speech cut into what an encoder hears."""

from __future__ import annotations

import numpy as np

from bridge.model.frame import from_ms
from bridge.model.speech import Speech, SpeechAudio, SpeechBegan, SpeechOver, SpeechPaused, SpeechWentOn
from bridge.speakers.windows import VoiceWindow, voice_windows
from tests.voices import LIKENESS

STEP = 512
RAMP = np.arange(400_000, dtype=np.float32)
"""Each sample says where it is."""


def _audio(begin: int, end: int) -> list[Speech]:
    return [SpeechAudio(at, RAMP[at : min(at + STEP, end)]) for at in range(begin, end, STEP)]


def _stretch(begin: int, end: int) -> list[Speech]:
    """As a segmenter tells it: the pause is noticed 200 ms late, and counts as the end 300 ms later."""
    noticed = end + from_ms(200)
    return [
        SpeechBegan(begin, begin),
        *_audio(begin, noticed),
        SpeechPaused(end),
        *_audio(noticed, noticed + from_ms(300)),
        SpeechOver(end),
    ]


def _ms(windows: list[VoiceWindow]) -> list[tuple[int, int]]:
    return [(window.start * 1000 // 16_000, window.end * 1000 // 16_000) for window in windows]


def _heard(*speech: Speech) -> list[VoiceWindow]:
    return voice_windows(LIKENESS).push(speech)


def test_a_stretch_is_heard_in_overlapping_windows_up_to_where_the_voice_ends() -> None:
    begin, end = from_ms(1000), from_ms(2500)
    windows = _heard(*_stretch(begin, end))
    assert _ms(windows) == [(1000, 1640), (1320, 1960), (1640, 2280), (1860, 2500)]


def test_windows_hold_the_samples_of_their_place() -> None:
    begin, end = 3200, 40_000
    told = [SpeechBegan(0, begin), *_audio(0, begin), *_stretch(begin, end)[1:]]
    for window in _heard(*told):
        assert np.array_equal(window.samples, RAMP[window.start : window.end])


def test_a_short_stretch_is_one_window_and_a_very_short_one_is_none() -> None:
    assert _ms(_heard(*_stretch(0, from_ms(480)))) == [(0, 480)]
    assert _heard(*_stretch(0, from_ms(300))) == []


def test_no_window_reaches_into_a_pause_and_speech_goes_on_where_it_was() -> None:
    windows = voice_windows(LIKENESS)
    before = windows.push([SpeechBegan(0, 0), *_audio(0, from_ms(800)), SpeechPaused(from_ms(600))])
    assert before == []
    after = windows.push([*_audio(from_ms(800), from_ms(1000)), SpeechWentOn(from_ms(1000))])
    assert _ms(after) == [(0, 640)]


def test_an_hour_of_speech_without_a_pause_is_not_kept() -> None:
    windows = voice_windows(LIKENESS)
    windows.push([SpeechBegan(0, 0)])
    for _ in range(200):
        windows.push([SpeechAudio(0, RAMP[:16_000])])
    assert sum(map(len, windows._held)) < 3 * LIKENESS.window


def test_each_stretch_is_cut_by_itself() -> None:
    windows = _heard(*_stretch(0, from_ms(640)), *_stretch(from_ms(2000), from_ms(2500)))
    assert _ms(windows) == [(0, 640), (2000, 2500)]
