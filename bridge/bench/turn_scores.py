"""How well turns' ends are found: rules beside each other on the same pauses. Pure.

A rule says after how much silence it ends the turn at a pause. A turn is cut falsely when that happens at a pause
inside it; its delay is counted from where its voice truly ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import mean, median
from typing import Final

import numpy as np

from bridge.bench.turn_trial import ASKED_AFTER, Pause
from bridge.model.frame import SAMPLE_RATE
from bridge.turns.options import PRESETS
from bridge.turns.weighing import enough_silence, log_odds

Rule = Callable[[Pause], float]
"""Seconds of silence at which the turn is ended, if it lasts."""

TIMEOUT_S: Final = 3.0
"""What the preset `bot`, and Smart Turn's makers, wait when nothing is sure."""
ALLOWED: Final = 0.05
STEPS: Final = 300
LOOKS_S: Final = (0.3, 0.6)
SURE: Final = 0.5
"""Smart Turn's own threshold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A rule over all turns."""

    cut: float
    """Share of turns cut falsely."""
    median_s: float
    p90_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One system. At each of `LOOKS_S`: turns cut falsely, and ends found, by so much silence."""

    name: str
    cut: tuple[float, ...]
    found: tuple[float, ...]
    at_five: Outcome | None
    """With the threshold that cuts 5 % of turns at most; None where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Eagerness:
    """How the preset `bot` fares with its two thresholds."""

    cut: float
    median_s: float
    earlier_s: float
    """Median, from the eager end to the end."""
    taken_back: float
    """Share of eager ends that were no ends."""


def vad(silence_s: float) -> Rule:
    """Plain silence."""
    return lambda _: silence_s


def smart_turn(sure: float) -> Rule:
    """The model is asked once, behind 200 ms; when it is not sure, silence has to do."""
    asked_s = ASKED_AFTER / SAMPLE_RATE
    return lambda pause: asked_s + pause.smart_s if (pause.smart or 0.0) >= sure else TIMEOUT_S


def ours(threshold: float, *, decoding: bool = True) -> Rule:
    """Words and voice. Without `decoding`, words are there as soon as the pause is noticed."""

    def rule(pause: Pause) -> float:
        words_s = pause.noticed_s + (pause.decode_s if decoding else 0.0) + pause.check_s
        return min(max(enough_silence(log_odds(pause.features), threshold), words_s), TIMEOUT_S)

    return rule


def outcome(pauses: Iterable[Pause], rule: Rule) -> Outcome:
    """The delay counts every true end, cut before or not."""
    cut, delays = [], []
    for turn in _turns(pauses):
        cut.append(any(_ends(pause, rule) for pause in turn if not pause.at_end))
        delays += [max(rule(pause), pause.noticed_s) + pause.late_s for pause in turn if pause.at_end]
    return Outcome(cut=mean(cut), median_s=median(delays), p90_s=float(np.quantile(delays, 0.9)))


def rows(pauses: Sequence[Pause]) -> list[Row]:
    """The systems side by side; Smart Turn only where it was asked."""
    found = [_row("plain VAD", pauses, [vad(s) for s in np.linspace(0.15, TIMEOUT_S, STEPS)], vad(0.0))]
    thresholds = np.linspace(0.02, 0.995, STEPS)
    if all(pause.smart is not None for pause in pauses):
        found.append(_row("Smart Turn 3.2", pauses, [smart_turn(sure) for sure in thresholds], smart_turn(SURE)))
    usual = PRESETS["bot"].threshold
    found.append(_row("callbridge", pauses, [ours(t) for t in thresholds], ours(usual, decoding=False)))
    instant = [ours(t, decoding=False) for t in thresholds]
    found.append(_row("callbridge, words at once", pauses, instant, ours(usual, decoding=False)))
    return found


def eagerness(pauses: Sequence[Pause]) -> Eagerness:
    """What whoever takes the preset `bot` lives with."""
    bot = PRESETS["bot"]
    end, eager = ours(bot.threshold), ours(bot.eager_threshold or bot.threshold)
    whole = outcome(pauses, end)
    earlier = [end(pause) - eager(pause) for pause in pauses if pause.at_end]
    guessed = [pause for pause in pauses if pause.at_end or _ends(pause, eager)]
    back = [pause for pause in guessed if not pause.at_end and not _ends(pause, end)]
    return Eagerness(
        cut=whole.cut, median_s=whole.median_s, earlier_s=median(earlier), taken_back=len(back) / len(guessed)
    )


def _row(name: str, pauses: Sequence[Pause], sweep: Sequence[Rule], usual: Rule) -> Row:
    outcomes = [outcome(pauses, rule) for rule in sweep]
    allowed = [one for one in outcomes if one.cut <= ALLOWED]
    return Row(
        name=name,
        cut=tuple(_cut_by(pauses, usual, look) for look in LOOKS_S),
        found=tuple(_found_by(pauses, usual, look) for look in LOOKS_S),
        at_five=min(allowed, key=lambda one: one.median_s, default=None),
    )


def _cut_by(pauses: Iterable[Pause], rule: Rule, look_s: float) -> float:
    return mean(
        any(not p.at_end and rule(p) <= look_s < (p.lasted_s or math.inf) for p in turn) for turn in _turns(pauses)
    )


def _found_by(pauses: Iterable[Pause], rule: Rule, look_s: float) -> float:
    return mean(rule(pause) <= look_s for pause in pauses if pause.at_end)


def _ends(pause: Pause, rule: Rule) -> bool:
    return rule(pause) < (math.inf if pause.lasted_s is None else pause.lasted_s)


def _turns(pauses: Iterable[Pause]) -> list[list[Pause]]:
    return [list(turn) for _, turn in groupby(pauses, key=lambda pause: pause.take)]
