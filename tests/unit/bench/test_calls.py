from __future__ import annotations

import itertools
import json
import shutil
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bridge.bench.calls import SpokenWord, read_fixture, read_folder
from bridge.errors import InvalidRequestError
from bridge.model.stream import Leg

AUDIO = Path(__file__).parents[3] / "fixtures" / "audio"
FIXTURES = sorted(AUDIO.glob("*.wav"))
FULL_SCALE = 32_768


def tone(path: Path, *, seconds: float = 1.0, rate: int = 8_000, channels: int = 1) -> Path:
    """A 16-bit WAV file with something to hear in it."""
    samples = (np.sin(np.arange(round(seconds * rate)) / 5) * 8_000).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.repeat(samples, channels).tobytes())
    return path


def manifest(folder: Path, *rows: dict[str, Any]) -> None:
    (folder / "manifest.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n", "utf-8")


def row(name: str, **more: Any) -> dict[str, Any]:
    return {
        "id": name,
        "file": f"{name}.wav",
        "kind": "prompt",
        "language": "en-US",
        "channels": [{"role": "ivr", "transcript": "Press one."}],
        "duration_s": 1.0,
        "trust": "high",
    } | more


def level_db(samples: np.ndarray[Any, Any]) -> float:
    return float(10 * np.log10(np.mean((samples / FULL_SCALE) ** 2) + 1e-12))


@pytest.mark.parametrize("wav", FIXTURES, ids=lambda wav: wav.stem)
def test_bundled_references_fit_their_audio(wav: Path) -> None:
    """Utterances and words lie in order inside the call, nobody overlaps himself, and speech is louder than its pauses."""
    call = read_fixture(wav)
    for leg, samples in call.audio.legs.items():
        mine = [said for said in call.utterances if said.leg == leg]
        assert call.texts[leg] == " ".join(said.text or "" for said in mine)
        for said, following in itertools.zip_longest(mine, mine[1:]):
            assert 0 <= said.start_ms < said.end_ms <= call.duration_ms
            assert following is None or said.end_ms <= following.start_ms
            assert " ".join(word.word for word in said.words) == said.text
            times = [ms for word in said.words for ms in (word.start_ms, word.end_ms)]
            assert times == sorted(times)
            assert said.start_ms <= times[0]
            assert times[-1] <= said.end_ms
            spoken = level_db(samples[said.start_ms * 8 : said.end_ms * 8])
            before = level_db(samples[max(said.start_ms - 250, 0) * 8 : max(said.start_ms - 80, 8) * 8])
            assert spoken > before + 8


@pytest.mark.parametrize("wav", FIXTURES, ids=lambda wav: wav.stem)
def test_bundled_calls_are_what_a_carrier_sends(wav: Path) -> None:
    """μ-law at 8 kHz, one channel a leg, left the caller."""
    header = wav.read_bytes()[:26]
    call = read_fixture(wav)
    assert int.from_bytes(header[20:22], "little") == 7
    assert call.audio.sample_rate == 8_000
    assert list(call.audio.legs) == [Leg.CALLER, Leg.AGENT][: len(call.audio.legs)]


def test_the_demo_call_has_everything_it_promises() -> None:
    """Two people, an interruption, a pause and hold music, in 60 to 90 s."""
    call = read_fixture(AUDIO / "two-party.wav")
    pairs = [(one, other) for one in call.utterances for other in call.utterances if one.leg != other.leg]
    music = json.loads((AUDIO / "two-party.json").read_text("utf-8"))["sounds"]
    assert 60_000 <= call.duration_ms <= 90_000
    assert any(one.start_ms < other.start_ms < one.end_ms - 500 for one, other in pairs)
    assert [sound["kind"] for sound in music] == ["hold-music"]
    assert {said.speaker for said in call.utterances} == {"heart", "joe"}


def test_the_hang_up_cuts_a_word() -> None:
    """The recording ends in the middle of a word, which is named and is no part of the text."""
    call = read_fixture(AUDIO / "hang-up.wav")
    last = call.utterances[-1]
    assert last.cut_word == "subscription"
    assert last.text is not None
    assert "subscription" not in last.text
    assert last.end_ms == call.duration_ms


def test_folder_of_fixtures(tmp_path: Path) -> None:
    """A folder without a manifest gives its WAV files, each with the .json beside it."""
    for name in ("short-answers.wav", "short-answers.json", "tones.wav", "tones.json"):
        shutil.copy(AUDIO / name, tmp_path)
    calls = list(read_folder(tmp_path))
    assert [(call.id, call.kind) for call in calls] == [("short-answers", "call"), ("tones", "noise")]
    answer = calls[0].utterances[1]
    assert answer.text == "Yes."
    assert answer.words == (SpokenWord(word="Yes.", start_ms=answer.words[0].start_ms, end_ms=answer.end_ms),)


def test_folder_of_plain_recordings(tmp_path: Path) -> None:
    """A .txt beside a WAV file is its text; without one nothing is known of its words."""
    tone(tmp_path / "known.wav")
    (tmp_path / "known.txt").write_text("Hello there.\n", "utf-8")
    tone(tmp_path / "unknown.wav", channels=2)
    known, unknown = read_folder(tmp_path)
    assert known.texts == {Leg.CALLER: "Hello there."}
    assert unknown.texts == {Leg.CALLER: None, Leg.AGENT: None}


def test_manifest_names_files_legs_and_texts(tmp_path: Path) -> None:
    """The 8 kHz version of a recording is taken where there is one; channels are caller and agent in order."""
    tone(tmp_path / "wide.wav", rate=16_000)
    tone(tmp_path / "wide.8k.wav")
    tone(tmp_path / "both.wav", channels=2)
    channels = [{"role": "left", "transcript": "One."}, {"role": "right", "transcript": None}]
    manifest(tmp_path, row("wide", file_8k="wide.8k.wav"), row("both", channels=channels))
    wide, both = read_folder(tmp_path)
    assert wide.audio.sample_rate == 8_000
    assert wide.texts == {Leg.CALLER: "Press one."}
    assert both.texts == {Leg.CALLER: "One.", Leg.AGENT: None}
    assert wide.utterances == ()


def test_manifest_turns_come_from_itself_or_from_rttm(tmp_path: Path) -> None:
    """Turns with words win over an RTTM file, which knows only when somebody spoke."""
    tone(tmp_path / "call.wav", channels=2)
    roles = [{"role": "caller", "transcript": None}, {"role": "agent", "transcript": None}]
    (tmp_path / "call.rttm").write_text(
        "SPEAKER call 1 0.350 0.500 <NA> <NA> agent <NA> <NA>\nSPEAKER call 1 0.100 0.200 <NA> <NA> caller <NA> <NA>\n"
    )
    turn = {"start": 0.2, "end": 0.4, "speaker": "agent", "text": "Hi."}
    manifest(
        tmp_path,
        row("call", channels=roles, rttm="call.rttm"),
        row("call", channels=roles, rttm="call.rttm", turns=[turn]),
    )
    spans, words = read_folder(tmp_path)
    assert [(said.leg, said.start_ms, said.end_ms, said.text) for said in spans.utterances] == [
        (Leg.CALLER, 100, 300, None),
        (Leg.AGENT, 350, 850, None),
    ]
    assert [(said.leg, said.start_ms, said.text) for said in words.utterances] == [(Leg.AGENT, 200, "Hi.")]


def test_manifest_is_read_by_kind_and_language(tmp_path: Path) -> None:
    """What is not wanted is not even opened."""
    tone(tmp_path / "wanted.wav")
    manifest(tmp_path, row("absent", kind="music"), row("missing", language="fr-CA"), row("wanted"))
    assert [call.id for call in read_folder(tmp_path, kinds={"prompt"}, language="en")] == ["wanted"]


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        pytest.param({}, "neither manifest.jsonl nor any .wav", id="empty-folder"),
        pytest.param({"a.json": "{"}, "a.json: no reference", id="reference-no-json"),
        pytest.param({"a.json": "[]"}, "a.json: no reference of a call (not an object)", id="reference-no-object"),
        pytest.param({"a.json": '{"id": "a"}'}, "a.json: no reference of a call (KeyError('legs'))", id="no-legs"),
        pytest.param({"a.json": '{"legs": ["boss"], "utterances": []}'}, "'boss' is not a valid Leg", id="leg-unknown"),
        pytest.param(
            {"a.json": '{"legs": ["caller", "agent"], "utterances": []}'},
            "1 channels, but legs caller, agent",
            id="leg-too-many",
        ),
    ],
)
def test_what_is_no_folder_of_calls(tmp_path: Path, files: dict[str, str], fault: str) -> None:
    """A fault names the file and what is wrong with it."""
    for name, text in files.items():
        tone((tmp_path / name).with_suffix(".wav"))
        (tmp_path / name).write_text(text, "utf-8")
    with pytest.raises(InvalidRequestError) as caught:
        list(read_folder(tmp_path))
    assert fault in caught.value.message


def test_a_text_for_two_legs_is_refused(tmp_path: Path) -> None:
    """A .txt cannot say which leg speaks."""
    tone(tmp_path / "two.wav", channels=2)
    (tmp_path / "two.txt").write_text("Hello", "utf-8")
    with pytest.raises(InvalidRequestError, match="which leg"):
        list(read_folder(tmp_path))
