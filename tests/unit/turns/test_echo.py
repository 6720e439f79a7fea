"""What a bot plays comes back on the line: by itself it is nobody's turn, and a voice over it is one."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soxr

from bridge.carrier.audio import read_call
from bridge.model.frame import SAMPLE_RATE, AudioFrame
from bridge.model.speech import SpeechAudio, SpeechBegan, SpeechOver, SpeechPaused, SpeechWentOn
from bridge.model.stream import Leg
from bridge.speech.segmenter import Segmenter, SegmenterOptions
from bridge.turns.echo import Echo
from bridge.turns.options import PRESETS
from bridge.turns.taking import TurnTaker
from callcodecs import g711

AUDIO = Path(__file__).parents[3] / "fixtures" / "audio"
LINE = 8000
FRAME = SAMPLE_RATE // 50
VOICE_AT_S = 2.5

Line = npt.NDArray[np.float64]


@cache
def bot() -> Line:
    """Four seconds of a caller's own story, μ-law at 8 kHz."""
    return read_call(AUDIO / "monologue.wav").legs[Leg.CALLER][LINE : 5 * LINE].astype(float)


@cache
def voice() -> Line:
    """The first words of an agent, another voice."""
    agent = read_call(AUDIO / "two-party.wav").legs[Leg.AGENT]
    return agent[round(0.6 * LINE) : round(1.9 * LINE)].astype(float)


def over_the_line(line: Line) -> Line:
    return g711.decode_ulaw(g711.encode_ulaw(np.clip(np.round(line), -32768, 32767).astype(np.int16))).astype(float)


def echo(delay_ms: int, softer_db: float) -> Line:
    """As a telephone returns it: later, softer, with its own noise, coded twice."""
    late = np.concatenate([np.zeros(delay_ms * LINE // 1000), over_the_line(bot())])[: len(bot())]
    return late * 10 ** (-softer_db / 20) + np.random.default_rng(1).normal(0, 8, len(bot()))


def turns(heard: Line, *, played: Line | None) -> list[float]:
    """When turns are started, in seconds, on a leg that hears this while that is played."""
    segmenter, taker, known = Segmenter(SegmenterOptions()), TurnTaker(Leg.CALLER, PRESETS["bot"]), Echo(0)
    ear, mouth = (
        soxr.resample((line / 32768).astype(np.float32), LINE, SAMPLE_RATE)
        for line in (over_the_line(heard), np.zeros(len(heard)) if played is None else played)
    )
    told = []
    for at in range(0, len(ear), FRAME):
        if played is not None:
            known.play(mouth[at : at + FRAME])
        frame = AudioFrame(leg=Leg.CALLER, position=at, samples=ear[at : at + FRAME])
        known.hear(frame)
        segmenter.alert = known.plays
        events = taker.push(known.sift(segmenter.push(frame)), frame.end, other=False)
        told += [frame.end / SAMPLE_RATE for event in events if event.type == "turn.started"]
    return told


@pytest.mark.parametrize("softer_db", [6, 20, 30])
@pytest.mark.parametrize("delay_ms", [0, 120, 500])
def test_an_echo_is_nobodys_turn(delay_ms: int, softer_db: float) -> None:
    """Whenever it comes back, and however loud; if it is not known that it was played, it is one."""
    assert turns(echo(delay_ms, softer_db), played=bot()) == []
    assert turns(echo(delay_ms, softer_db), played=None)


def test_what_is_played_is_nobodys_turn_where_it_is_streamed_back_as_it_is() -> None:
    """As the agent's track of a carrier that streams both: whoever speaks over it speaks beside nobody."""
    assert turns(over_the_line(bot()), played=bot()) == []


@pytest.mark.parametrize("softer_db", [6, 20, 30])
@pytest.mark.parametrize("delay_ms", [0, 120, 500])
def test_a_voice_over_the_echo_is_heard(delay_ms: int, softer_db: float) -> None:
    """Within 200 ms, and not before it is there."""
    heard, at = echo(delay_ms, softer_db), round(VOICE_AT_S * LINE)
    heard[at : at + len(voice())] += voice()
    [moment] = turns(heard, played=bot())
    assert VOICE_AT_S < moment <= VOICE_AT_S + 0.2


def test_a_voice_while_something_else_is_played_is_found_sooner() -> None:
    """No echo comes back: words at whose beginning the detector hesitates are a turn within 200 ms, too."""
    heard, at = np.random.default_rng(1).normal(0, 8, len(bot())), round(VOICE_AT_S * LINE)
    utterances = json.loads((AUDIO / "digit-groups.json").read_text("utf-8"))["utterances"]
    said = next(said for said in utterances if said["text"].startswith("The card number"))
    begin = said["start_ms"] * LINE // 1000
    heard[at : at + LINE] += read_call(AUDIO / "digit-groups.wav").legs[Leg.CALLER][begin : begin + LINE]
    [played], [quiet] = turns(heard, played=bot()), turns(heard, played=None)
    assert VOICE_AT_S < played <= VOICE_AT_S + 0.2 < quiet


def test_an_echo_that_ends_leaves_what_follows_alone() -> None:
    """Pauses and all; a voice behind the longest echo is not even compared."""
    known = Echo(0)
    known.play(np.ones(FRAME, np.float32))
    for at in range(0, 2 * SAMPLE_RATE, FRAME):
        known.hear(AudioFrame(leg=Leg.CALLER, position=at, samples=np.zeros(FRAME, np.float32)))
    speech = [SpeechBegan(30_000, 31_000), SpeechAudio(30_000, np.zeros(512, np.float32)), SpeechPaused(32_000)]
    assert known.sift(speech) == speech


def test_an_echo_with_a_pause_is_one_echo() -> None:
    """Neither its pause nor its going on is told; that the stretch is over is."""
    known, sound = Echo(0), np.random.default_rng(1).normal(0, 0.1, 4 * FRAME).astype(np.float32)
    known.play(sound)
    known.hear(AudioFrame(leg=Leg.CALLER, position=0, samples=sound))
    assert known.sift([SpeechBegan(0, 0), SpeechAudio(0, sound)]) == []
    assert known.sift([SpeechPaused(100)]) == []
    assert known.sift([SpeechWentOn(200), SpeechAudio(200, sound)]) == []
    assert known.sift([SpeechOver(300)]) == [SpeechOver(300)]
