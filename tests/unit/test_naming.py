"""Whole calls whose speakers are told apart: what is told, when, and what it costs a call that does not ask."""

from __future__ import annotations

import asyncio
from itertools import groupby

import numpy as np
import pytest

from bridge.model.events import SpeakerUpdated, TranscriptFinal, TranscriptPartial, TranscriptRevised
from bridge.model.frame import Samples, from_ms
from bridge.model.speech import SpeechAudio, SpeechBegan
from bridge.model.stream import Leg
from bridge.naming import Naming, nobody_known
from bridge.ports import Decoded, DecodeJob, Urgency
from tests.engines import read, said, words_in
from tests.office import Office, Phone, after, silence, started
from tests.voices import ScriptedVoices

MIXED = Leg.MIXED


@pytest.fixture
def voices(office: Office) -> ScriptedVoices:
    return ScriptedVoices(office.clock)


async def _told(office: Office, voices: ScriptedVoices, *heard: Samples, **parameters: str) -> None:
    """A whole call on one mixed line, until it is settled."""
    office.calls = office.of(max_calls=3, voices=voices)
    phone = await office.ring(started(MIXED, call_id="c1", **{"diarize": "true", **parameters}))
    await phone.play({MIXED: np.concatenate([*heard, silence(1.0)])})
    await _over(office, phone)


async def _over(office: Office, phone: Phone) -> None:
    await phone.hang_up()
    await office.clock.advance(2.0)
    await office.calls.close()  # what all of the call says is worked out in a thread


def _finals(office: Office) -> list[tuple[int, str | None, str]]:
    return [(final.segment, final.speaker, final.text) for final in office.sink.of("c1", TranscriptFinal)]


async def test_a_mixed_line_says_who_speaks(office: Office, voices: ScriptedVoices) -> None:
    await _told(office, voices, after(0.2, 11, 12, 13), after(1.0, 21, 22, 23), after(1.0, 14, 15, 16))
    assert _finals(office) == [(1, "S1", "w11 w12 w13"), (2, "S2", "w21 w22 w23"), (3, "S1", "w14 w15 w16")]
    assert office.sink.of("c1", SpeakerUpdated) == []


async def test_two_in_one_breath_are_told_as_two_finals_with_numbers_of_their_own(
    office: Office, voices: ScriptedVoices
) -> None:
    await _told(office, voices, after(0.2, 11, 12, 13, 14, 21, 22, 23, 24), after(1.0, 15, 16, 17))
    assert _finals(office) == [(1, "S1", "w11 w12 w13 w14"), (2, "S2", "w21 w22 w23 w24"), (3, "S1", "w15 w16 w17")]
    numbers = [number for number, _ in groupby(partial.segment for partial in office.sink.of("c1", TranscriptPartial))]
    assert numbers == [1, 3]


async def test_a_call_that_does_not_ask_costs_nothing_and_names_nobody(office: Office, voices: ScriptedVoices) -> None:
    await _told(office, voices, after(0.2, 11, 12, 13), after(1.0, 21, 22, 23), diarize="no")
    assert {speaker for _, speaker, _ in _finals(office)} == {None}
    assert voices.heard == 0


async def test_a_final_does_not_wait_longer_than_it_may_for_a_slow_voice(
    office: Office, voices: ScriptedVoices
) -> None:
    """Its name comes as a changed mind."""
    voices.takes_s = 3.0
    office.calls = office.of(max_calls=3, voices=voices)
    phone = await office.ring(started(MIXED, call_id="c1", diarize="true"))
    await phone.play({MIXED: np.concatenate([after(0.2, 11, 12, 13), silence(1.0)])})
    assert _finals(office) == [(1, None, "w11 w12 w13")]
    await office.clock.advance(10.0)
    await _over(office, phone)
    assert office.sink.of("c1", SpeakerUpdated) == [SpeakerUpdated(leg=MIXED, segment=1, speaker="S1")]


async def test_an_encoder_that_fails_leaves_a_call_without_names_and_whole(
    office: Office, voices: ScriptedVoices
) -> None:
    voices.broken = True
    await _told(office, voices, after(0.2, 11, 12, 13), after(1.0, 21, 22, 23))
    assert _finals(office) == [(1, None, "w11 w12 w13"), (2, None, "w21 w22 w23")]
    assert office.sink.kinds("c1")[-1] == "call.ended"


async def test_settled_text_is_cut_and_named_like_finals(office: Office, voices: ScriptedVoices) -> None:
    office.engine.answer = lambda job: _louder(job) if job.urgency is Urgency.SETTLE else read(job)
    await _told(office, voices, after(0.2, 11, 12, 13, 14, 21, 22, 23, 24), after(1.0, 15, 16, 17))
    [revision] = office.sink.of("c1", TranscriptRevised)
    assert revision.replaces == (1, 2, 3)
    assert [(one.segment, one.speaker, one.text) for one in revision.segments] == [
        (1, "S1", "W11 W12 W13 W14"),
        (2, "S2", "W21 W22 W23 W24"),
        (3, "S1", "W15 W16 W17"),
    ]


async def test_words_that_two_say_at_once_are_told_so(office: Office, voices: ScriptedVoices) -> None:
    """The last word of one and the first of the other: a word every 416 ms."""
    voices.together = lambda samples: [(from_ms(1248), from_ms(1984))] if len(samples) > from_ms(2000) else []
    await _told(office, voices, after(0.2, 11, 12, 13), after(1.0, 21, 22, 23, 24, 15, 16, 17, 18))
    told = [(final.speaker, [word.overlap for word in final.words]) for final in office.sink.of("c1", TranscriptFinal)]
    assert told == [
        ("S1", [None, None, None]),
        ("S2", [None, None, None, "S1"]),
        ("S1", ["S2", None, None, None]),
    ]
    assert office.sink.of("c1", TranscriptRevised) == []


async def test_a_call_that_comes_faster_than_it_is_heard_waits_for_its_voices(
    office: Office, voices: ScriptedVoices
) -> None:
    """One that nobody is waiting for; a live call loses windows rather than its carrier."""
    naming = Naming(MIXED, voices, office.clock, asyncio.Queue(), live=False, known=nobody_known)
    step = silence(0.1)
    naming.offer([SpeechBegan(0, 0), *(SpeechAudio(n * len(step), step) for n in range(250))])
    running = asyncio.create_task(naming.run(lambda: asyncio.sleep(0)))
    room = asyncio.create_task(naming.room())
    await office.clock.advance(0.05)
    assert not room.done()
    await office.clock.advance(1.0)
    assert room.done()
    naming.close()
    await office.clock.advance(1.0)
    await running
    assert voices.heard == 76  # all of 25 s, one every 320 ms


async def test_each_leg_of_two_has_its_own_speakers(office: Office, voices: ScriptedVoices) -> None:
    office.calls = office.of(max_calls=3, voices=voices)
    phone = await office.ring(started(call_id="c1", diarize="true"))
    await phone.play({Leg.CALLER: after(0.2, 11, 12, 13), Leg.AGENT: after(2.5, 21, 22, 23)})
    await phone.play({Leg.CALLER: after(0.5, 31, 32, 33), Leg.AGENT: silence(3.0)})
    await _over(office, phone)
    finals = office.sink.of("c1", TranscriptFinal)
    assert [(final.leg, final.speaker) for final in finals] == [
        (Leg.CALLER, "S1"),
        (Leg.AGENT, "S1"),
        (Leg.CALLER, "S2"),
    ]


def _louder(job: DecodeJob) -> Decoded:
    decoded = said(words_in(job.samples))
    words = tuple(type(word)(**{**_fields(word), "text": word.text.upper()}) for word in decoded.words)
    return said(words)


def _fields(word: object) -> dict[str, object]:
    return {name: getattr(word, name) for name in word.__slots__}  # type: ignore[attr-defined]
