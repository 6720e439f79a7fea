"""Fit the weights of `bridge/turns/weighing.py` to the tuned part of `callbridge bench turns --json FILE`.

`.venv/bin/python -m scripts.fit_turns FILE…` prints them, ready to be put there. Logistic regression over the pauses,
each seen at several lengths of silence for as long as it lasts; where the recordings say little (nobody in them
promises an address), what a person would say stands: the penalty pulls towards `EXPECTED`, not towards zero.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bridge.turns.prosody import Prosody
from bridge.turns.text import cues
from bridge.turns.weighing import WEIGHTS, Evidence, silence_feature

EXPECTED: Final = {
    "always": -3.5,
    "silence": 1.5,
    "sentence": 1.0,
    "question": 2.0,
    "cut_off": -0.8,
    "trailing": -1.8,
    "filler": -2.0,
    "promised": -2.5,
    "digits": -0.4,
    "half_number": -1.2,
    "short": 0.0,
    "answer": 2.0,
    "length": 1.0,
    "pitch_fall": 0.08,
    "energy_fall": 0.04,
    "last_sound_s": 0.0,
    "other": 2.0,
}
PENALTY: Final = 4.0
"""How hard it pulls: a cue that is seen in twenty pauses is half what they say, half what is expected."""
GRID_S: Final = (0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.5, 2.0)
STEPS: Final = 50
SMALLEST: Final = 1e-6

Floats = npt.NDArray[np.float64]


def main(paths: list[Path]) -> None:
    pauses = [json.loads(line) for path in paths for line in path.read_text("utf-8").splitlines()]
    rows, ends, counts = design([pause for pause in pauses if pause["tuned"]])
    fitted = fit(rows, ends, counts)
    print(f"# {len({p['take'] for p in pauses if p['tuned']})} turns, {sum(p['tuned'] for p in pauses)} pauses")
    for name, value in zip(WEIGHTS, fitted, strict=True):
        print(f'    "{name}": {value:.2f},')


def features_of(pause: dict[str, Any]) -> dict[str, float]:
    """The cues are read again, so that a changed list of words needs no new trial."""
    heard = Prosody(**{name: pause["features"][name] for name in Prosody.__slots__})
    return Evidence(cues=cues(pause["text"], pause["language"]), prosody=heard).features()


def design(pauses: list[dict[str, Any]]) -> tuple[Floats, Floats, Floats]:
    """A row for each pause and length of silence that it reached: features, whether it is the end, and its weight."""
    rows, ends, counts = [], [], []
    for pause in pauses:
        reached = [s for s in GRID_S if pause["lasted_s"] is None or s < pause["lasted_s"]]
        for silence_s in reached:
            found = features_of(pause) | {"silence": silence_feature(silence_s)}
            rows.append([found[name] for name in WEIGHTS])
            ends.append(float(pause["at_end"]))
            counts.append(1 / len(reached))
    return np.array(rows), np.array(ends), np.array(counts)


def fit(rows: Floats, ends: Floats, counts: Floats) -> Floats:
    """Newton's method, each step cut until it helps; the constant is left free."""
    expected = np.array([EXPECTED[name] for name in WEIGHTS])
    penalty = np.where(np.array(list(WEIGHTS)) == "always", 0.0, PENALTY)

    def loss(weights: Floats) -> float:
        odds = rows @ weights
        misfit = counts @ (np.logaddexp(0, odds) - ends * odds)
        return float(misfit + 0.5 * penalty @ np.square(weights - expected))

    weights = expected.copy()
    for _ in range(STEPS):
        sure = 1 / (1 + np.exp(-np.clip(rows @ weights, -30, 30)))
        slope = rows.T @ (counts * (ends - sure)) - penalty * (weights - expected)
        curve = (rows * (counts * sure * (1 - sure))[:, None]).T @ rows + np.diag(penalty + 1e-9)
        step = np.linalg.solve(curve, slope)
        while np.abs(step).max() > SMALLEST and loss(weights + step) > loss(weights):
            step /= 2
        weights = weights + step
    return weights


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
