"""Recordings of the project's own through the real recogniser: the words that were said, where they were said."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import av
import pytest
from click.testing import CliRunner

from bridge.bench.calls import read_fixture
from bridge.bench.score import word_errors
from bridge.cli import main
from bridge.clock import SystemClock
from bridge.model.stream import Leg
from bridge.recognise.local import LocalEngine
from bridge.recordings.file import look
from bridge.recordings.transcribe import TranscribeOptions, Transcript, transcribe

pytestmark = pytest.mark.model

FIXTURES = Path(__file__).parents[2] / "fixtures" / "audio"
MOST_WRONG = 0.06
ANY_LANGUAGE = TranscribeOptions()

with_one_engine = pytest.mark.asyncio(loop_scope="session")


def words_of(transcript: Transcript, leg: Leg) -> str:
    return " ".join(segment.text for segment in transcript.segments if segment.leg == leg)


@with_one_engine
@pytest.mark.parametrize("name", ["two-party", "crosstalk", "questions"])
async def test_both_parties_are_understood(engine: LocalEngine, name: str) -> None:
    """Each leg has its own words, in its own time, and its language was found out."""
    wav = FIXTURES / f"{name}.wav"
    call = read_fixture(wav)
    transcript = await transcribe(look(wav), engine, SystemClock(), ANY_LANGUAGE)
    for leg, reference in call.texts.items():
        assert word_errors(reference or "", words_of(transcript, leg)).rate <= MOST_WRONG, words_of(transcript, leg)
    assert {segment.language for segment in transcript.segments} == {"en"}
    assert transcript.undecoded == ()
    for segment in transcript.segments:
        begins = [said.start_ms for said in call.utterances if said.leg == segment.leg]
        inside = [
            said
            for said in call.utterances
            if said.leg == segment.leg and said.start_ms - 400 <= segment.start_ms < said.end_ms
        ]
        assert inside, f"{segment.text!r} at {segment.start_ms}, where nobody of {begins} speaks"


@with_one_engine
@pytest.mark.parametrize("name", ["hold-music", "silence", "tones"])
async def test_what_is_no_speech_has_no_text(engine: LocalEngine, name: str) -> None:
    """Music, silence and signals are passed over."""
    transcript = await transcribe(look(FIXTURES / f"{name}.wav"), engine, SystemClock(), ANY_LANGUAGE)
    assert transcript.segments == ()


@with_one_engine
async def test_one_window_at_a_time_says_the_same(engine: LocalEngine) -> None:
    """What is decoded side by side does not rub off."""
    recording = look(FIXTURES / "questions.wav")
    together = await transcribe(recording, engine, SystemClock(), ANY_LANGUAGE)
    alone = await transcribe(recording, engine, SystemClock(), replace(ANY_LANGUAGE, at_once=1))
    assert [segment.text for segment in together.segments] == [segment.text for segment in alone.segments]


def test_files_on_the_command_line(tmp_path: Path) -> None:
    """Each file's text under its name; one that cannot be read makes status 1 and keeps nobody else from being heard."""
    mp3 = tmp_path / "speaker.mp3"
    with av.open(str(FIXTURES / "quiet-speaker.wav")) as source, av.open(str(mp3), "w") as target:
        stream = target.add_stream("libmp3lame", rate=44100, layout="mono")
        to_codec = av.AudioResampler(format="fltp", layout="mono", rate=44100, frame_size=stream.frame_size)
        for frame in [*source.decode(audio=0), None]:
            for converted in to_codec.resample(frame):
                target.mux(stream.encode(converted))
        target.mux(stream.encode(None))
    (tmp_path / "notes.txt").write_text("no sound")
    result = CliRunner().invoke(
        main, ["transcribe", str(tmp_path / "notes.txt"), str(mp3), str(FIXTURES / "silence.wav")]
    )
    assert result.exit_code == 1
    none, spoken, quiet = [part.partition(" <==\n") for part in result.stdout.split("==> ")[1:]]
    assert none[0].endswith("notes.txt")
    assert none[2].strip() == ""
    assert quiet[2].strip() == ""
    [reference] = read_fixture(FIXTURES / "quiet-speaker.wav").texts.values()
    assert word_errors(reference or "", spoken[2]).rate <= MOST_WRONG
    assert result.stderr.splitlines() == [
        f"callbridge: {tmp_path}/notes.txt: no audio that can be read (Invalid data found when processing input)",
        f"{FIXTURES}/silence.wav: nobody speaks",
    ]


def test_json_and_subtitles() -> None:
    """A line of JSON with the segments as webhooks have them; subtitles as players read them, nothing else in the pipe."""
    wav = str(FIXTURES / "crosstalk.wav")
    told = json.loads(CliRunner().invoke(main, ["transcribe", "--format", "json", wav]).stdout)
    assert told["legs"] == ["caller", "agent"]
    assert told["text"] == "\n".join(segment["text"] for segment in told["segments"])
    assert {"leg", "segment", "speaker", "start_ms", "end_ms", "text", "language", "confidence", "words"} == set(
        told["segments"][0]
    )
    subtitles = CliRunner().invoke(main, ["transcribe", "--format", "srt", "--language", "en", wav]).stdout
    assert subtitles.startswith("1\n00:00:00,")
    assert subtitles.count(" --> ") >= len(told["segments"])
