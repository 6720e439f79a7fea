"""Diarization error rates, counted by hand."""

from __future__ import annotations

import math
import wave
from pathlib import Path

import pytest

from bridge.bench.diarization import DiarizationErrors, OverlapFound, diarization_errors, overlap_found
from bridge.bench.speakers import SpeakerCall, score_rttm, speaker_calls
from bridge.errors import InvalidRequestError
from bridge.rttm import SpokenTurn


def _turns(*turns: tuple[int, int, str]) -> list[SpokenTurn]:
    return [SpokenTurn(start_ms=start, end_ms=end, speaker=speaker) for start, end, speaker in turns]


REFERENCE = _turns((0, 4000, "ann"), (4000, 8000, "bob"))
"""With the collar 0.25–3.75 s and 4.25–7.75 s are scored: 7 s."""


@pytest.mark.parametrize(
    ("told", "missed", "false_alarm", "confused"),
    [
        pytest.param([(0, 4000, "S2"), (4000, 8000, "S1")], 0, 0, 0, id="names-are-matched"),
        pytest.param([(0, 4200, "S1"), (4200, 8000, "S2")], 0, 0, 0, id="a-boundary-may-be-off-by-the-collar"),
        pytest.param([(0, 5000, "S1"), (5000, 8000, "S2")], 0, 0, 750, id="beyond-it-is-confused"),
        pytest.param([(0, 4000, "S1")], 3500, 0, 0, id="silence-is-missed"),
        pytest.param([(0, 8000, "S1")], 0, 0, 3500, id="one-name-for-both"),
        pytest.param([(0, 4000, "S1"), (4000, 8000, "S2"), (9000, 9500, "S1")], 0, 500, 0, id="nobody-speaks"),
        pytest.param([(0, 8000, "S1"), (4000, 8000, "S2")], 0, 3500, 0, id="two-where-one-speaks"),
        pytest.param([(0, 2000, "S1"), (2000, 4000, "S3"), (4000, 8000, "S2")], 0, 0, 1750, id="one-as-two-names"),
    ],
)  # fmt: skip
def test_errors_are_counted_in_time(
    told: list[tuple[int, int, str]], missed: int, false_alarm: int, confused: int
) -> None:
    errors = diarization_errors(REFERENCE, _turns(*told))
    assert errors == DiarizationErrors(missed=missed, false_alarm=false_alarm, confused=confused, spoken=7000)
    assert errors.rate == (missed + false_alarm + confused) / 7000


def test_where_two_speak_each_of_them_counts() -> None:
    """Ann 0–4 s, Bob 2–6 s; scored are 0.25–1.75, 2.25–3.75 (twice) and 4.25–5.75 s: 6 s."""
    reference = _turns((0, 4000, "ann"), (2000, 6000, "bob"))
    one_at_a_time = _turns((0, 4000, "S1"), (4000, 6000, "S2"))
    assert diarization_errors(reference, one_at_a_time) == DiarizationErrors(missed=1500, spoken=6000)
    assert diarization_errors(reference, one_at_a_time, overlap=False) == DiarizationErrors(spoken=3000)


def test_without_a_collar_all_is_scored() -> None:
    late = _turns((0, 4100, "S1"), (4100, 8000, "S2"))
    assert diarization_errors(REFERENCE, late, collar_ms=0) == DiarizationErrors(confused=100, spoken=8000)


def test_the_matching_that_is_best_for_all_is_taken() -> None:
    """S1 has most of Ann, yet giving it to Bob, whom nobody else has, is better."""
    reference = _turns((0, 5000, "ann"), (5000, 9000, "bob"))
    told = _turns((0, 2600, "S1"), (2600, 5000, "S2"), (5000, 9000, "S1"))
    assert diarization_errors(reference, told, collar_ms=0) == DiarizationErrors(confused=2600, spoken=9000)


def test_overlaps_are_counted_whoever_speaks() -> None:
    reference = _turns((0, 4000, "ann"), (2000, 6000, "bob"))
    found = overlap_found(reference, _turns((0, 6000, "S1"), (3000, 4500, "S2")))
    assert found == OverlapFound(spoken=2000, told=1500, right=1000)
    assert (found.recall, found.precision) == (0.5, 1000 / 1500)
    assert math.isnan(overlap_found(reference, reference[:1]).precision)


def test_nobody_speaks_is_no_rate() -> None:
    assert math.isnan(diarization_errors([], []).rate)


def _kept(folder: Path, name: str, channels: int) -> None:
    with wave.open(str(folder / f"{name}.wav"), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(1600 * channels))
    (folder / f"{name}.rttm").write_text(f"SPEAKER {name} 1 0.0 2.0 <NA> <NA> ann <NA> <NA>\n")


def test_recordings_of_one_channel_with_a_reference_are_found(tmp_path: Path) -> None:
    _kept(tmp_path, "mono", 1)
    _kept(tmp_path, "stereo", 2)
    (tmp_path / "alone.rttm").touch()
    [call] = speaker_calls(tmp_path)
    assert (call.name, call.turns) == ("mono", (SpokenTurn(start_ms=0, end_ms=2000, speaker="ann"),))


def test_a_folder_without_any_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequestError, match=r"no NAME\.wav"):
        speaker_calls(tmp_path)


def test_what_another_diarizer_wrote_is_scored_by_the_same_rules(tmp_path: Path) -> None:
    (tmp_path / "a.rttm").write_text("SPEAKER a 1 0.0 8.0 <NA> <NA> x <NA> <NA>\n")
    score = score_rttm(SpeakerCall(name="a", path=tmp_path / "a.wav", turns=tuple(REFERENCE)), tmp_path)
    assert (score.speakers, score.found, score.whole.rate) == (2, 1, 0.5)
