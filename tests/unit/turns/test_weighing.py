"""How sure it is, and how much silence is enough."""

from __future__ import annotations

import math

import pytest

from bridge.turns.prosody import Prosody
from bridge.turns.text import Cues, cues
from bridge.turns.weighing import WEIGHTS, Evidence, main_reason, patience, probability

DONE = Evidence(cues=cues("I'd like to book a table for two people."), prosody=Prosody(energy_fall=6, pitch_fall=2))
HALF = Evidence(cues=cues("I'd like to book a table and"), prosody=Prosody(energy_fall=6, pitch_fall=2))


def test_longer_silence_is_surer() -> None:
    """For any words, each bit of silence adds."""
    for evidence in (DONE, HALF, Evidence()):
        sure = [probability(evidence, silence_s) for silence_s in (0.1, 0.2, 0.5, 1.0, 3.0)]
        assert sure == sorted(sure)
        assert len(set(sure)) == len(sure)


@pytest.mark.parametrize("evidence", [DONE, HALF, Evidence()])
@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7, 0.9])
def test_patience_is_where_the_threshold_is_reached(evidence: Evidence, threshold: float) -> None:
    """Just before it, the turn goes on; from it on, it is over."""
    enough = patience(evidence, threshold)
    assert probability(evidence, enough + 1e-6) >= threshold
    if enough > 0:
        assert probability(evidence, enough * 0.99) < threshold


def test_a_finished_sentence_needs_less_silence_than_half_of_one() -> None:
    """The same voice, other words."""
    assert patience(DONE, 0.7) < patience(HALF, 0.7) / 2


def test_nobody_is_ever_certain() -> None:
    """A threshold of 1 waits for the time-out."""
    assert patience(DONE, 1.0) == math.inf


@pytest.mark.parametrize(
    ("evidence", "reason"),
    [
        (Evidence(cues=Cues(question=True)), "question"),
        (Evidence(cues=Cues(sentence=True)), "sentence"),
        (Evidence(cues=Cues(trailing=True)), "silence"),
        (Evidence(other=True), "other"),
    ],
)
def test_the_reason_is_what_spoke_most_for_the_end(evidence: Evidence, reason: str) -> None:
    """Silence, where nothing else did."""
    assert main_reason(evidence) == reason


def test_every_cue_has_its_weight_and_no_other_has() -> None:
    """A cue that is added without being fitted is found here."""
    assert set(Evidence().features()) | {"silence"} == set(WEIGHTS)
