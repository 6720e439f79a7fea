from __future__ import annotations

import asyncio
import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bridge.errors import EngineError, InvalidRequestError
from bridge.model.frame import SAMPLE_RATE, Samples
from bridge.model.stream import Leg
from bridge.ports import Decoded, DecodeJob, Urgency
from bridge.recordings.file import Recording, look
from bridge.recordings.transcribe import Done, TranscribeOptions, Transcript, transcribe
from tests.clock import LeapingClock, VirtualClock
from tests.unit.recordings.doubles import ScriptedEngine, said, segmenter, speech, words_of_loudness
from tests.voices import ScriptedVoices

OPTIONS = TranscribeOptions(language="en", segmenter=segmenter)


def recorded(folder: Path, *channels: Samples) -> Recording:
    path = folder / "call.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(len(channels))
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((np.stack(channels, axis=1) * 32767).astype("<i2").tobytes())
    return look(path)


def lines(transcript: Transcript) -> list[tuple[Leg, int, str]]:
    return [(segment.leg, segment.segment, segment.text) for segment in transcript.segments]


async def test_two_legs_by_time(tmp_path: Path, clock: VirtualClock) -> None:
    """What both say comes in the order it was said, in the words of their own pieces."""
    caller = speech((1, 0), (1, 0.1), (4, 0), (1, 0.3), (3, 0))
    agent = speech((4, 0), (1, 0.2), (3, 0), (1, 0.4), (1, 0))
    transcript = await transcribe(recorded(tmp_path, caller, agent), ScriptedEngine(), clock, OPTIONS)
    assert lines(transcript) == [
        (Leg.CALLER, 1, "w10"),
        (Leg.AGENT, 1, "w20"),
        (Leg.CALLER, 2, "w30"),
        (Leg.AGENT, 2, "w40"),
    ]
    assert [word.start_ms for segment in transcript.segments for word in segment.words] == pytest.approx(
        [1000, 4000, 6000, 8000], abs=40
    )
    assert transcript.undecoded == ()


async def test_windows_side_by_side(tmp_path: Path, clock: VirtualClock) -> None:
    """As many windows are in work as was asked for, never more; all of them come back."""
    recording = recorded(tmp_path, speech(*[(17, 0.1), (1, 0)] * 12))
    engine = ScriptedEngine()
    transcript = await transcribe(recording, engine, clock, replace(OPTIONS, at_once=3))
    assert len(transcript.segments) == len(engine.jobs) == 12
    assert engine.most_at_once <= 3


async def test_progress_only_goes_forward(tmp_path: Path, clock: VirtualClock) -> None:
    """What is told as done grows, and ends with the recording."""
    recording = recorded(tmp_path, speech(*[(17, 0.1), (1, 0)] * 6))
    told: list[int] = []
    await transcribe(recording, ScriptedEngine(), clock, OPTIONS, told.append)
    assert told == sorted(set(told))
    assert told[-1] == recording.duration_ms


async def test_the_language_is_found_once(tmp_path: Path, clock: VirtualClock) -> None:
    """Until a leg's language is known its windows are asked for one by one; then it is held for all of them."""

    def german(job: DecodeJob) -> Decoded:
        return replace(words_of_loudness(job), language=job.language or "de")

    engine = ScriptedEngine(german)
    recording = recorded(tmp_path, speech(*[(17, 0.1), (1, 0)] * 4))
    transcript = await transcribe(recording, engine, clock, replace(OPTIONS, language=None))
    assert [job.language for job in engine.jobs] == [None, "de", "de", "de"]
    assert {segment.language for segment in transcript.segments} == {"de"}


async def test_a_stretch_without_a_word_is_asked_for_alone(tmp_path: Path, clock: VirtualClock) -> None:
    """A model that skips a stretch among others gets it once more by itself; a short noise it may skip."""

    def skips_w30(job: DecodeJob) -> Decoded:
        decoded = words_of_loudness(job)
        return said(decoded.words if len(decoded.words) == 1 else tuple(w for w in decoded.words if w.text != "w30"))

    sound = speech((1, 0.1), (2, 0), (2, 0.3), (2, 0), (0.1, 0.5), (2, 0))
    engine = ScriptedEngine(lambda job: said(tuple(w for w in skips_w30(job).words if w.text != "w50")))
    transcript = await transcribe(recorded(tmp_path, sound), engine, clock, OPTIONS)
    assert lines(transcript) == [(Leg.MIXED, 1, "w10"), (Leg.MIXED, 2, "w30")]
    assert len(engine.jobs) == 2


async def test_text_that_nobody_said(tmp_path: Path, clock: VirtualClock) -> None:
    """What the model makes of noise is not taken for speech, together or alone."""
    engine = ScriptedEngine(lambda job: replace(words_of_loudness(job), text="♪♪"))
    transcript = await transcribe(recorded(tmp_path, speech((2, 0.1), (2, 0), (2, 0.3))), engine, clock, OPTIONS)
    assert transcript.segments == ()
    assert transcript.undecoded == ()


async def test_speech_that_cannot_be_decoded_is_named(tmp_path: Path, clock: VirtualClock) -> None:
    """A failing window is tried piece by piece; what fails then too is told with its place, the rest stands."""

    def fails_at_w30(job: DecodeJob) -> Decoded:
        if (np.abs(job.samples - 0.3) < 0.01).any():
            raise EngineError("the model failed")
        return words_of_loudness(job)

    sound = speech((1, 0.1), (2, 0), (2, 0.3), (2, 0), (1, 0.5), (1, 0))
    transcript = await transcribe(recorded(tmp_path, sound), ScriptedEngine(fails_at_w30), clock, OPTIONS)
    assert lines(transcript) == [(Leg.MIXED, 1, "w10"), (Leg.MIXED, 3, "w50")]
    [lost] = transcript.undecoded
    assert lost.position == pytest.approx(3 * SAMPLE_RATE, abs=0.4 * SAMPLE_RATE)


async def test_a_busy_engine_is_waited_for(tmp_path: Path, clock: VirtualClock) -> None:
    """Where live calls come first, a window that was shed is offered again later."""
    answers = iter([None, None])
    engine = ScriptedEngine(lambda job: next(answers, words_of_loudness(job)))
    recording = recorded(tmp_path, speech((1, 0.1)))
    options = replace(OPTIONS, urgency=Urgency.SETTLE)
    work = asyncio.create_task(transcribe(recording, engine, clock, options))
    while not work.done():
        await asyncio.sleep(0.01)  # reading happens in a thread
        await clock.advance(1.0)
    assert lines(await work) == [(Leg.MIXED, 1, "w10")]
    assert {job.urgency for job in engine.jobs} == {Urgency.SETTLE}
    assert len(engine.jobs) == 3


async def test_keywords_are_passed_on(tmp_path: Path, clock: VirtualClock) -> None:
    """Every window is decoded with the words to expect."""
    engine = ScriptedEngine()
    await transcribe(recorded(tmp_path, speech((1, 0.1))), engine, clock, replace(OPTIONS, keywords=("Harbor Lane",)))
    assert [job.keywords for job in engine.jobs] == [("Harbor Lane",)]


async def test_a_file_that_goes_away(tmp_path: Path, clock: VirtualClock) -> None:
    """A recording that cannot be read any more is one clear fault."""
    recording = recorded(tmp_path, speech((1, 0.1)))
    recording.path.unlink()
    with pytest.raises(InvalidRequestError, match="no audio that can be read"):
        await transcribe(recording, ScriptedEngine(), clock, OPTIONS)


async def test_giving_up(tmp_path: Path, clock: VirtualClock) -> None:
    """A cancelled transcription leaves nothing behind that runs."""
    asked, never = asyncio.Event(), asyncio.Event()

    class Stuck(ScriptedEngine):
        async def decode(self, job: DecodeJob) -> Decoded | None:
            asked.set()
            await never.wait()
            return None

    work = asyncio.create_task(transcribe(recorded(tmp_path, speech((1, 0.1))), Stuck(), clock, OPTIONS))
    await asked.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert len(asyncio.all_tasks()) == 1


# -- who said it ---------------------------------------------------------------------------------------------------


def told(transcript: Transcript) -> list[tuple[int, str | None, str]]:
    return [(segment.segment, segment.speaker, segment.text) for segment in transcript.segments]


async def test_speakers_of_one_channel_are_told_apart(tmp_path: Path, clock: VirtualClock) -> None:
    """Two who take turns, and two in one breath."""
    turns = speech((1, 0.11), (1, 0), (1, 0.21), (1, 0), (1, 0.12), (0.2, 0), (1, 0.22), (1, 0))
    options = replace(OPTIONS, voices=ScriptedVoices(LeapingClock()))
    transcript = await transcribe(recorded(tmp_path, turns), ScriptedEngine(), clock, options)
    assert told(transcript) == [(1, "S1", "w11"), (2, "S2", "w21"), (3, "S1", "w12"), (4, "S2", "w22")]


async def test_a_recording_is_named_in_the_order_it_is_heard(tmp_path: Path, clock: VirtualClock) -> None:
    """A first voice, too short to be somebody until the end comes back to it, is the first all the same."""
    turns = speech((0.5, 0.31), (1, 0), (3, 0.21), (1, 0), (3, 0.11), (1, 0), (2, 0.32), (1, 0))
    options = replace(OPTIONS, voices=ScriptedVoices(LeapingClock()))
    transcript = await transcribe(recorded(tmp_path, turns), ScriptedEngine(), clock, options)
    assert [speaker for _, speaker, _ in told(transcript)] == ["S1", "S2", "S3", "S1"]


async def test_each_channel_has_speakers_of_its_own(tmp_path: Path, clock: VirtualClock) -> None:
    caller = speech((1, 0.11), (3, 0), (1, 0.21), (1, 0))
    agent = speech((2, 0), (1, 0.31), (3, 0))
    options = replace(OPTIONS, voices=ScriptedVoices(LeapingClock()))
    transcript = await transcribe(recorded(tmp_path, caller, agent), ScriptedEngine(), clock, options)
    assert [(segment.leg, segment.speaker) for segment in transcript.segments] == [
        (Leg.CALLER, "S1"),
        (Leg.AGENT, "S1"),
        (Leg.CALLER, "S2"),
    ]


async def test_a_recording_taken_up_again_tells_no_piece_twice(tmp_path: Path, clock: VirtualClock) -> None:
    """Its first breath had been told as two segments; numbers go on behind them."""
    turns = speech((1, 0.11), (0.2, 0), (1, 0.21), (2, 0), (1, 0.12), (1, 0))
    options = replace(OPTIONS, voices=ScriptedVoices(LeapingClock()))
    first = await transcribe(recorded(tmp_path, turns), ScriptedEngine(), clock, options)
    done = {Leg.MIXED: Done(segment=2, until_ms=first.segments[1].end_ms, language="en", said=first.segments[:2])}
    transcript = await transcribe(recorded(tmp_path, turns), ScriptedEngine(), clock, replace(options, done=done))
    assert told(transcript) == [(3, "S1", "w12")]
