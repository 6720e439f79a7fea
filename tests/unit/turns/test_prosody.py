"""How the end of a voice is measured, on voices made for it."""

from __future__ import annotations

import time

import numpy as np
import pytest

from bridge.model.frame import SAMPLE_RATE, Samples
from bridge.turns.prosody import HEARD, Prosody, prosody


def voice(first_hz: float, last_hz: float, *, seconds: float = 1.5, fade_db: float = 0.0) -> Samples:
    """Harmonics of a pitch that moves, behind a line that passes 300 Hz and more: the pitch itself is not there."""
    count = round(seconds * SAMPLE_RATE)
    phase = 2 * np.pi * np.cumsum(np.geomspace(first_hz, last_hz, count)) / SAMPLE_RATE
    wave = sum(np.sin(n * phase) / n for n in range(3, 16))
    return (0.1 * wave * 10 ** (np.linspace(0, -fade_db, count) / 20)).astype(np.float32)


def test_a_falling_pitch_is_measured_in_semitones() -> None:
    """Five semitones from begin to end: the last 200 ms lie well below the median before; rising is negative."""
    falling, rising = prosody(voice(200, 150)), prosody(voice(150, 200))
    assert 1.5 < falling.pitch_fall < 4
    assert -4 < rising.pitch_fall < -1.5
    assert abs(prosody(voice(180, 180)).pitch_fall) < 0.3


def test_a_fading_voice_is_measured_in_decibels() -> None:
    """20 dB over all."""
    assert prosody(voice(180, 180, fade_db=20)).energy_fall == pytest.approx(10, abs=2)
    assert abs(prosody(voice(180, 180)).energy_fall) < 1


def test_the_last_sound_is_as_long_as_it_is() -> None:
    """400 ms behind a hole."""
    run = np.concatenate([voice(180, 180, seconds=0.8), np.zeros(3200, np.float32), voice(180, 180, seconds=0.4)])
    assert prosody(run).last_sound_s == pytest.approx(0.4, abs=0.06)


def test_too_little_is_no_evidence() -> None:
    """Nor is noise a pitch."""
    assert prosody(np.zeros(0, np.float32)) == Prosody()
    assert prosody(np.zeros(HEARD, np.float32)).pitch_fall == 0
    noise = np.random.default_rng(1).normal(0, 0.05, HEARD).astype(np.float32)
    assert prosody(noise).pitch_fall == 0


def test_a_look_at_a_voice_takes_less_than_ten_milliseconds() -> None:
    """Of one core, whatever else the machine does; the best of a few tries."""
    run = voice(200, 150)
    taken = []
    for _ in range(5):
        begun = time.thread_time()
        prosody(run)
        taken.append(time.thread_time() - begun)
    assert min(taken) < 0.010
