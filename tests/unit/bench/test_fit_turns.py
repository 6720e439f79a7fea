"""Fitting the weights of turns' ends."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.turns.weighing import WEIGHTS
from scripts.fit_turns import EXPECTED, design, fit

NAMES = list(WEIGHTS)


def test_what_made_the_data_is_found_and_the_rest_stays_as_expected() -> None:
    """Ten thousand pauses drawn from known weights; a cue that is in none of them keeps what a person would say."""
    random = np.random.default_rng(1)
    true = np.array([{**EXPECTED, "sentence": 3.0, "trailing": -3.0, "always": -2.0}[name] for name in NAMES])
    rows = random.integers(0, 2, (10_000, len(NAMES))).astype(float)
    rows[:, NAMES.index("always")] = 1
    rows[:, NAMES.index("promised")] = 0
    ends = (random.random(10_000) < 1 / (1 + np.exp(-rows @ true))).astype(float)
    fitted = dict(zip(NAMES, fit(rows, ends, np.ones(10_000)), strict=True))
    assert fitted["sentence"] == pytest.approx(3.0, abs=0.3)
    assert fitted["trailing"] == pytest.approx(-3.0, abs=0.3)
    assert fitted["promised"] == pytest.approx(EXPECTED["promised"])


def test_a_pause_counts_once_however_long_it_lasts() -> None:
    """It is seen at each length of silence that it reached, and all of them weigh one."""
    features = dict.fromkeys(("pitch_fall", "energy_fall", "last_sound_s"), 0.0)
    pause = {"text": "one and", "language": "en", "features": features}
    rows, ends, counts = design(
        [{**pause, "lasted_s": 0.35, "at_end": False}, {**pause, "lasted_s": None, "at_end": True}]
    )
    assert (len(rows), ends.sum()) == (13, 10)
    assert counts.sum() == pytest.approx(2)
    assert rows[0, NAMES.index("trailing")] == 1
