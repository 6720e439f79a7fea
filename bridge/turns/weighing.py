"""How sure it is that a turn is over: cues of words and voice weighed, and the silence that is enough.

One logistic sum. Given the words, the voice and whether the other party speaks, it grows with the silence alone; so a
threshold is the same as a length of silence, and `patience` says which.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from bridge.turns.prosody import Prosody
from bridge.turns.text import Cues

WEIGHTS: Final[Mapping[str, float]] = {
    "always": -4.68,
    "silence": 1.59,
    "sentence": 0.99,
    "question": 2.02,
    "cut_off": -0.96,
    "trailing": -1.75,
    "filler": -1.83,
    "promised": -2.50,
    "digits": -0.32,
    "half_number": -1.07,
    "short": -0.76,
    "answer": 1.81,
    "length": 1.33,
    "pitch_fall": 0.04,
    "energy_fall": 0.07,
    "last_sound_s": -0.19,
    "other": 2.00,
}
"""What a cue adds to the log-odds that the turn is over: yes or no for words, per semitone, decibel or second for the
voice, per doubling of the silence beyond `SHORTEST_S`. Fitted by `scripts/fit_turns.py` on turns that are no part of
the test: docs/turns.md has both.
"""

SHORTEST_S: Final = 0.1
"""Silence that says nothing yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that is known at a pause, but for how long it has lasted."""

    cues: Cues = field(default_factory=Cues)
    prosody: Prosody = field(default_factory=Prosody)
    other: bool = False
    """The other party speaks."""

    def features(self) -> dict[str, float]:
        """By the names of `WEIGHTS`."""
        seen = {name: float(getattr(self.cues, name)) for name in Cues.__slots__}
        heard = {name: getattr(self.prosody, name) for name in Prosody.__slots__}
        return {"always": 1.0, **seen, **heard, "other": float(self.other)}


def silence_feature(silence_s: float) -> float:
    """Doublings of the shortest silence."""
    return math.log2(max(silence_s, SHORTEST_S) / SHORTEST_S)


def log_odds(features: Mapping[str, float]) -> float:
    """Before any silence."""
    return sum(WEIGHTS[name] * value for name, value in features.items())


def probability(evidence: Evidence, silence_s: float) -> float:
    """That the turn is over, 0–1, once the silence has lasted so long."""
    total = log_odds(evidence.features()) + WEIGHTS["silence"] * silence_feature(silence_s)
    return 1 / (1 + math.exp(-total))


def patience(evidence: Evidence, threshold: float) -> float:
    """Seconds of silence after which `probability` reaches `threshold`; infinite for a threshold of 1."""
    return enough_silence(log_odds(evidence.features()), threshold)


def enough_silence(odds: float, threshold: float) -> float:
    """`patience` for log-odds that are known already."""
    if threshold >= 1:
        return math.inf
    missing = math.log(threshold / (1 - threshold)) - odds
    doublings = missing / WEIGHTS["silence"]
    return 0.0 if doublings <= 0 else SHORTEST_S * 2.0 ** min(doublings, 20.0)


def main_reason(evidence: Evidence) -> str:
    """What spoke most for the end: `question`, `sentence`, `voice`, `other`, or `silence` when nothing else did."""
    added = {name: WEIGHTS[name] * value for name, value in evidence.features().items() if name != "always"}
    voice = added.pop("pitch_fall") + added.pop("energy_fall") + added.pop("last_sound_s")
    reasons = {name: added[name] for name in ("question", "sentence", "other")} | {"voice": voice}
    best = max(reasons, key=reasons.__getitem__)
    return best if reasons[best] > 0 else "silence"
