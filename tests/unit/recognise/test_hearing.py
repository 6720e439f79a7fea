"""One leg's speech into words, on an engine that reads them without fault and time moved by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from bridge.errors import EngineError
from bridge.model.speech import SpeechAudio, SpeechBegan, SpeechOver
from bridge.model.stream import Leg
from bridge.model.words import Partial, Segment
from bridge.ports import Decoded, DecodeJob, Urgency
from bridge.recognise.heard import (
    AllHeard,
    Concluded,
    Flushed,
    Heard,
    Supposed,
    Thinned,
    Undecoded,
    VoiceEnded,
    VoiceStarted,
)
from bridge.recognise.hearing import BACKLOG, CUT_WAITS_MS, MOST_MARKS, Hearing, HearingOptions
from bridge.recognise.pace import BRISK_LONGEST, LONGEST
from bridge.recognise.utterance import TRAIL
from tests.clock import VirtualClock
from tests.engines import GAP, WORD, ScriptedEngine, read, said, spoken, words_in

OpenLine = Callable[..., Any]

EIGHT = (11, 22, 33, 44, 55, 66, 77, 88)
"""Words 416 ms apart."""


def text(*numbers: int) -> str:
    return " ".join(f"w{n}" for n in numbers)


# -- finals --------------------------------------------------------------------------------------------------------


async def test_an_utterance_becomes_one_final_with_words_in_their_places(open_line: OpenLine) -> None:
    """Text, number, times and words of what was said, on the leg's own clock."""
    line = await open_line()
    await line.wait(1.024)
    await line.say(11, 22)
    await line.stop()
    [segment] = line.heard(Segment)
    assert (segment.leg, segment.segment, segment.text, segment.language) == (Leg.CALLER, 1, "w11 w22", "en")
    assert (segment.start_ms, segment.end_ms) == (1024, 1024 + 320 + 96 + 320)
    assert [(word.word, word.start_ms, word.end_ms) for word in segment.words] == [
        ("w11", 1024, 1344),
        ("w22", 1440, 1760),
    ]
    assert segment.confidence == 0.9


async def test_what_is_told_comes_in_the_order_of_the_talk(open_line: OpenLine) -> None:
    """Started, partials, what it says should it end here, ended, final; and at last that all is heard."""
    line = await open_line()
    await line.say(*EIGHT)
    await line.stop()
    await line.close()
    await line.clock.settle()
    kinds = [type(one) for one in line.heard(object)]
    assert kinds[0] is VoiceStarted
    assert kinds[-5:] == [Supposed, VoiceEnded, Segment, Concluded, AllHeard]
    assert set(kinds[1:-5]) == {Partial}


async def test_finals_come_in_order_and_each_once(open_line: OpenLine, engine: ScriptedEngine) -> None:
    """A slow engine delays finals; it does not mix them up or lose one."""
    engine.takes_s = 1.5
    line = await open_line()
    for number in range(11, 21):
        await line.say(number)
        await line.stop()
    await line.clock.advance(20.0)
    assert [(segment.segment, segment.text) for segment in line.heard(Segment)] == [
        (n, f"w{n + 10}") for n in range(1, 11)
    ]


async def test_the_final_is_ready_when_the_person_stops(open_line: OpenLine, engine: ScriptedEngine) -> None:
    """It is decoded in the pause, held back until the hang-over has ended, and told at that moment."""
    line = await open_line(partials=False)
    await line.say(11)
    await line.pause()
    await line.clock.advance(0.2)
    assert [job.urgency for job in engine.jobs] == [Urgency.SPECULATIVE]
    assert line.heard(Segment) == []
    before = line.clock.monotonic()
    line.over()
    await line.clock.settle()
    assert [segment.text for segment in line.heard(Segment)] == ["w11"]
    assert line.clock.monotonic() == before
    assert len(engine.jobs) == 1


async def test_a_speculation_is_due_when_the_hang_over_ends(open_line: OpenLine, engine: ScriptedEngine) -> None:
    """Its deadline is the moment at which it would be told."""
    line = await open_line(partials=False, speculate_ms=288)
    await line.say(11)
    await line.pause()
    assert engine.jobs[0].deadline == pytest.approx(line.clock.monotonic() + 0.288)


async def test_a_pause_that_was_not_the_end_wastes_one_decode(open_line: OpenLine, engine: ScriptedEngine) -> None:
    """Speech resumes: the final is thrown away and counted, and the next one has all of it."""
    line = await open_line()
    await line.say(11)
    await line.pause()
    await line.clock.advance(0.15)
    await line.say(22)
    await line.stop()
    assert [segment.text for segment in line.heard(Segment)] == ["w11 w22"]
    assert line.hearing.wasted == 1


async def test_a_speculation_still_in_work_is_taken_back_when_speech_resumes(
    open_line: OpenLine, engine: ScriptedEngine
) -> None:
    """The engine need not finish what nobody will see."""
    engine.takes_s = 5.0
    line = await open_line(partials=False)
    await line.say(11)
    await line.pause()
    await line.say(22)
    assert engine.taken_back == engine.jobs
    engine.takes_s = 0.1
    await line.stop()
    assert [segment.text for segment in line.heard(Segment)] == ["w11 w22"]


async def test_a_line_that_dies_in_the_middle_of_a_word_yields_that_word(open_line: OpenLine) -> None:
    """No pause, no hang-over: over, closed, and the final is still told before the leg is done."""
    line = await open_line()
    await line.say(11, 22)
    line.over()
    await line.close()
    await line.clock.advance(1.0)
    assert [segment.text for segment in line.heard(Segment)] == ["w11 w22"]
    assert isinstance(line.told[-1], AllHeard)


async def test_closing_ends_speech_that_is_still_open(open_line: OpenLine) -> None:
    """A leg whose segmenter has failed cannot say that speech is over; what was heard is decoded all the same."""
    line = await open_line()
    await line.say(11, 22)
    await line.close()
    await line.clock.advance(1.0)
    assert [segment.text for segment in line.heard(Segment)] == ["w11 w22"]
    assert len(line.heard(VoiceEnded)) == 1


@pytest.mark.parametrize("turns", range(6))
async def test_no_moment_of_hanging_up_is_missed(clock: VirtualClock, engine: ScriptedEngine, turns: int) -> None:
    """The end is noticed even when it comes while the leg is just about to wait for it."""
    out: asyncio.Queue[Heard] = asyncio.Queue()
    hearing = Hearing(Leg.CALLER, engine, clock, out, HearingOptions(language="en"))
    task = asyncio.create_task(hearing.run())
    await clock.settle()
    hearing.offer([SpeechBegan(0, 0), SpeechAudio(0, spoken(11))])
    for _ in range(turns):
        await asyncio.sleep(0)
    hearing.offer([SpeechOver(WORD)])
    hearing.close()
    await clock.advance(1.0)
    assert task.done()
    assert [one.text for one in _all(out) if isinstance(one, Segment)] == ["w11"]


async def test_the_final_carries_what_was_said_before(open_line: OpenLine, engine: ScriptedEngine) -> None:
    """Earlier speech goes in front of the new with its text forced; the words keep their own places."""
    line = await open_line(partials=False)
    for number in (11, 22):
        await line.say(number)
        await line.stop()
    first, second = engine.asked(Urgency.SPECULATIVE)
    assert (first.prefix_text, second.prefix_text) == ("", "w11")
    assert words_in(second.samples[: second.known])[0].text == "w11"
    assert [word.text for word in words_in(second.samples)] == ["w11", "w22"]
    segments = line.heard(Segment)
    assert [segment.text for segment in segments] == ["w11", "w22"]
    assert segments[1].words[0].start_ms == segments[1].start_ms


async def test_a_final_that_hears_nothing_behind_its_context_is_decoded_alone(
    open_line: OpenLine, engine: ScriptedEngine
) -> None:
    """Forced text can end a decode early; speech is not lost to it."""
    engine.answer = lambda job: said([]) if job.prefix_text else read(job)
    line = await open_line(partials=False)
    for number in (11, 22):
        await line.say(number)
        await line.stop()
    assert [segment.text for segment in line.heard(Segment)] == ["w11", "w22"]


async def test_an_echo_of_the_context_is_no_final(open_line: OpenLine, engine: ScriptedEngine) -> None:
    """A decode that says again what it was told to go by is done once more without it."""
    engine.answer = lambda job: said(words_in(job.samples)[:3]) if job.prefix_text else read(job)
    line = await open_line(partials=False)
    await line.say(11, 22, 33)
    await line.stop()
    await line.say(44)
    await line.stop()
    assert [segment.text for segment in line.heard(Segment)] == ["w11 w22 w33", "w44"]


@pytest.mark.parametrize("sure", [-0.2, -3.2], ids=["sure", "hopeless"])
async def test_a_final_that_skips_speech_behind_its_context_is_decoded_alone(
    open_line: OpenLine, engine: ScriptedEngine, sure: float
) -> None:
    """Four seconds of speech do not say one word, least of all one that is as good as guessed; the fuller of both counts."""

    def skip(job: DecodeJob) -> Decoded:
        return replace(said(read(job).words[:1]), average_log_probability=sure) if job.prefix_text else read(job)

    engine.answer = skip
    line = await open_line(partials=False)
    await line.say(11)
    await line.stop()
    await line.say(*range(21, 31))
    await line.stop()
    assert line.heard(Segment)[1].text == " ".join(f"w{number}" for number in range(21, 31))


async def test_without_a_context_there_is_no_second_try(open_line: OpenLine, engine: ScriptedEngine) -> None:
    """It would say the same."""
    engine.answer = lambda job: said(read(job).words[:1])
    line = await open_line(partials=False)
    await line.say(*range(21, 31))
    await line.stop()
    assert [segment.text for segment in line.heard(Segment)] == ["w21"]
    assert len(engine.asked(Urgency.SPECULATIVE)) == 1


async def test_long_speech_is_cut_and_nothing_of_it_is_lost(open_line: OpenLine, engine: ScriptedEngine) -> None:
    """Nobody pauses for a minute: finals come all the same, cut between words, every word in one of them."""
    line = await open_line(partials=False)
    numbers = [11 + n % 80 for n in range(144)]  # 59.9 s
    await line.say(*numbers)
    await line.stop()
    segments = line.heard(Segment)
    assert len(segments) == 4
    assert " ".join(segment.text for segment in segments) == text(*numbers)
    assert all(segment.end_ms - segment.start_ms <= LONGEST // 16 for segment in segments)
    assert all(before.end_ms == after.start_ms for before, after in pairwise(segments))
    assert len(line.heard(VoiceStarted)) == len(line.heard(VoiceEnded)) == 1


async def test_a_call_may_choose_how_long_a_segment_is(open_line: OpenLine, engine: ScriptedEngine) -> None:
    """Speech that goes on is cut sooner than the engine would have it, between words, and all of it is told."""
    line = await open_line(partials=False, segment_ms=2000)
    await line.say(*EIGHT, *EIGHT)
    await line.stop()
    await line.clock.advance(2.0)
    segments = line.heard(Segment)
    assert len(segments) > 3
    assert " ".join(segment.text for segment in segments) == text(*EIGHT, *EIGHT)
    assert all(segment.end_ms - segment.start_ms <= 2000 for segment in segments)


# -- partials ------------------------------------------------------------------------------------------------------


async def test_under_load_long_speech_is_cut_earlier_and_its_finals_have_time(
    open_line: OpenLine, engine: ScriptedEngine
) -> None:
    """What is left at the end is short, and due at once; what came before nobody waits for that much."""
    engine.load = 0.6
    line = await open_line(partials=False)
    numbers = [11 + n % 80 for n in range(60)]  # 25 s
    await line.say(*numbers)
    came = [job.deadline - at for job, at in zip(engine.jobs, engine.at, strict=True)]
    assert came == pytest.approx([CUT_WAITS_MS / 1000] * len(came))
    line.over()
    await line.clock.settle()
    await line.clock.advance(1.0)
    segments = line.heard(Segment)
    assert " ".join(segment.text for segment in segments) == text(*numbers)
    assert all(segment.end_ms - segment.start_ms <= BRISK_LONGEST // 16 for segment in segments)
    assert engine.jobs[-1].deadline == pytest.approx(engine.at[-1])


async def test_only_a_first_partial_does_without_times(open_line: OpenLine, engine: ScriptedEngine) -> None:
    """None of its words can be confirmed; those of the later ones are placed."""
    line = await open_line()
    await line.say(*range(11, 23))
    asked = [job.want_words for job in engine.asked(Urgency.PARTIAL)]
    assert len(asked) >= 3
    assert asked == [False] + [True] * (len(asked) - 1)


async def test_partials_come_while_somebody_speaks(open_line: OpenLine, engine: ScriptedEngine) -> None:
    """The first is asked for after half a second of voice, then one for about every 0.8 s of it."""
    line = await open_line()
    began = line.clock.monotonic()
    await line.say(*EIGHT, *EIGHT)
    asked = [at - began for at in engine.at]
    assert asked[0] == pytest.approx(0.5, abs=0.05)
    assert all(later - sooner == pytest.approx(0.8, abs=0.1) for sooner, later in pairwise(asked))
    assert len(asked) == 8
    assert {job.urgency for job in engine.jobs} == {Urgency.PARTIAL}


async def test_partials_are_superseded_and_never_queued(open_line: OpenLine, engine: ScriptedEngine) -> None:
    """An engine slower than speech has one partial of a leg at a time, each with all that was heard by then."""
    engine.takes_s = 1.5
    line = await open_line()
    await line.say(*EIGHT, *EIGHT)
    assert all(later - sooner >= 1.5 for sooner, later in pairwise(engine.at))
    for partial in line.heard(Partial):
        assert partial.end_ms == pytest.approx(1000 * (line.clock.monotonic()), abs=7000)


async def test_stable_text_is_never_taken_back(open_line: OpenLine, engine: ScriptedEngine) -> None:
    """Each partial begins with its own stable text and with that of every one before it."""
    line = await open_line()
    await line.say(*EIGHT, *EIGHT, *EIGHT)
    partials = line.heard(Partial)
    assert len(partials) > 8
    for sooner, later in pairwise(partials):
        assert later.text.startswith(later.stable_text)
        assert later.stable_text.startswith(sooner.stable_text)
    assert partials[-1].stable_text.split() == [f"w{n}" for n in (EIGHT * 3)[: len(partials[-1].stable_text.split())]]
    assert len(partials[-1].stable_text.split()) > 16


async def test_stable_text_survives_an_engine_that_changes_its_mind(
    open_line: OpenLine, engine: ScriptedEngine
) -> None:
    """Words that the engine hears differently every time are never called stable."""
    hearings = iter(range(100))

    def unsure(job: DecodeJob) -> Decoded:
        words = words_in(job.samples)[len(job.prefix_text.split()) :]
        again = next(hearings)
        return said([_renamed(word, f"{word.text}v{again}") if n else word for n, word in enumerate(words)])

    engine.answer = unsure
    line = await open_line()
    await line.say(*EIGHT)
    for partial in line.heard(Partial):
        assert all("v" not in word for word in partial.stable_text.split())


async def test_partials_of_long_speech_look_back_only_so_far(open_line: OpenLine, engine: ScriptedEngine) -> None:
    """What is confirmed is not decoded again and again: the window stays near five seconds, the text stays whole."""
    line = await open_line()
    numbers = [11 + n for n in range(40)]  # 16.6 s
    await line.say(*numbers)
    jobs = engine.asked(Urgency.PARTIAL)
    assert max(len(job.samples) for job in jobs) < 6 * 16_000
    last = line.heard(Partial)[-1]
    assert last.text == text(*numbers[: len(last.text.split())])
    assert last.end_ms > 15_500


async def test_a_call_that_wants_no_partials_gets_none(open_line: OpenLine, engine: ScriptedEngine) -> None:
    """Only finals are asked for, and nothing is called degraded."""
    line = await open_line(partials=False)
    await line.say(*EIGHT)
    await line.stop()
    assert [job.urgency for job in engine.jobs] == [Urgency.SPECULATIVE]
    assert line.heard(Partial) == line.heard(Thinned) == []


async def test_thinning_is_told_once_an_episode(open_line: OpenLine, engine: ScriptedEngine) -> None:
    """Partials stop under pressure, come back by themselves, and each time they stop it is said once."""
    line = await open_line()
    for load, thinned in [(0.0, 0), (1.0, 1), (0.0, 1), (1.0, 2)]:
        engine.load = load
        before = len(line.heard(Partial))
        await line.say(*EIGHT)
        assert len(line.heard(Thinned)) == thinned
        more = len(line.heard(Partial)) - before
        assert more <= 1 if load else more >= 2  # one may have been on its way
    await line.stop()
    assert len(line.heard(Segment)) >= 1


@pytest.mark.parametrize(
    "decoded",
    [
        pytest.param(None, id="shed"),
        pytest.param(Decoded.nothing("en"), id="nothing heard"),
        pytest.param(EngineError("scripted"), id="failed"),
    ],
)
async def test_a_partial_that_does_not_come_is_no_harm(
    open_line: OpenLine, engine: ScriptedEngine, decoded: Decoded | EngineError | None
) -> None:
    """Shed, empty or failed: nothing is shown and the final comes as ever."""
    engine.answer = lambda job: _given(decoded) if job.urgency is Urgency.PARTIAL else read(job)
    line = await open_line()
    await line.say(*EIGHT)
    await line.stop()
    assert line.heard(Partial) == []
    assert [segment.text for segment in line.heard(Segment)] == [text(*EIGHT)]


# -- what goes wrong -----------------------------------------------------------------------------------------------


async def test_speech_that_cannot_be_decoded_is_named_and_the_leg_goes_on(
    open_line: OpenLine, engine: ScriptedEngine
) -> None:
    """An engine that fails on one utterance costs that utterance, with its place and length."""
    engine.answer = lambda job: _given(EngineError("scripted"))
    line = await open_line(partials=False)
    await line.say(11)
    await line.stop()
    await line.clock.advance(1.0)
    engine.answer = read
    await line.say(22)
    await line.stop()
    [undecoded] = line.heard(Undecoded)
    assert (undecoded.position, undecoded.samples) == (0, WORD + TRAIL)
    assert [(segment.segment, segment.text) for segment in line.heard(Segment)] == [(2, "w22")]


async def test_a_speculation_that_was_shed_is_decoded_as_a_final(open_line: OpenLine, engine: ScriptedEngine) -> None:
    """The port lets an engine shed speculations. The words are wanted all the same."""
    engine.answer = lambda job: None if job.urgency is Urgency.SPECULATIVE else read(job)
    line = await open_line(partials=False)
    await line.say(11)
    await line.stop()
    await line.clock.advance(1.0)
    assert [segment.text for segment in line.heard(Segment)] == ["w11"]


async def test_invented_text_is_not_told_and_does_not_choose_the_language(
    open_line: OpenLine, engine: ScriptedEngine
) -> None:
    """Hold music heard as Norwegian thanks leaves no final, and the caller who then speaks is understood."""
    line = await open_line(language=None, partials=False)
    engine.answer = lambda job: Decoded(
        text="[Music]", language="nn", language_probability=0.9, average_log_probability=-0.3, no_speech_probability=0.1
    )
    for _ in range(5):
        await line.say(11, 22, 33)
        await line.stop()
    engine.answer = read
    await line.say(44)
    await line.stop()
    assert engine.jobs[-1].language is None
    assert [segment.text for segment in line.heard(Segment)] == ["w44"]


async def test_a_leg_without_a_language_holds_the_first_it_is_sure_of(
    open_line: OpenLine, engine: ScriptedEngine
) -> None:
    """Detected once in a second of speech, then given with every job."""
    engine.answer = lambda job: said(words_in(job.samples)[len(job.prefix_text.split()) :], language="de", sure=0.9)
    line = await open_line(language=None, partials=False)
    for numbers in ((11,), (22, 33, 44), (55,)):
        await line.say(*numbers)
        await line.stop()
    assert [job.language for job in engine.asked(Urgency.SPECULATIVE)] == [None, None, "de"]


async def test_a_leg_far_behind_makes_its_carrier_wait(open_line: OpenLine, engine: ScriptedEngine) -> None:
    """With more than a minute undecoded `room` blocks; it opens again as finals are told."""
    engine.takes_s = 1000.0
    line = await open_line(partials=False)
    for _ in range(BACKLOG // (20 * (WORD + GAP)) + 2):
        await line.say(*range(11, 31))
        await line.stop()
    waiting = asyncio.create_task(line.hearing.room())
    await line.clock.settle()
    assert not waiting.done()
    engine.takes_s = 0.1
    await line.clock.advance(1100.0)
    assert waiting.done()
    assert len(line.heard(Segment)) == 9


async def test_marks_without_end_make_the_carrier_wait(open_line: OpenLine, engine: ScriptedEngine) -> None:
    """Behind speech that is not decoded yet they wait, up to a bound; once it is told, so are they, each of them."""
    engine.takes_s = 10.0
    line = await open_line(partials=False)
    await line.say(11)
    await line.stop()
    for _ in range(MOST_MARKS + 1):
        line.hearing.mark(line.position)
    waiting = asyncio.create_task(line.hearing.room())
    await line.clock.settle()
    assert not waiting.done()
    await line.clock.advance(20.0)
    assert waiting.done()
    assert len(line.heard(Flushed)) == MOST_MARKS + 1


async def test_keywords_and_numbering_are_passed_on(open_line: OpenLine, engine: ScriptedEngine) -> None:
    """Every job has the call's keywords; a call taken up again goes on counting."""
    line = await open_line(keywords=("Kaczmarek",), first_segment=7)
    await line.say(*EIGHT)
    await line.stop()
    assert {job.keywords for job in engine.jobs} == {("Kaczmarek",)}
    assert [segment.segment for segment in line.heard(Segment)] == [7]


async def test_what_was_told_before_is_not_told_again(open_line: OpenLine, engine: ScriptedEngine) -> None:
    """A leg heard again from its beginning asks for no decode up to where it was told; then it goes on."""

    async def three(line: Any) -> list[Segment]:
        for words in ((11, 22), (33, 44), (55, 66)):
            await line.say(*words)
            await line.stop()
        return line.heard(Segment)

    before = await three(await open_line(partials=False))
    engine.jobs.clear()
    again = await three(await open_line(partials=False, told_ms=before[1].end_ms, first_segment=3))
    assert again == before[2:]
    assert {words_in(job.samples)[-1].text for job in engine.jobs} == {"w66"}


async def test_of_an_utterance_told_in_part_the_rest_is_told(open_line: OpenLine) -> None:
    """It was cut off behind its first word before; its words are neither lost nor told twice."""
    line = await open_line(partials=False, told_ms=320, first_segment=2)
    await line.say(11, 22, 33)
    await line.stop()
    await line.wait(1.0)
    [rest] = line.heard(Segment)
    assert (rest.segment, rest.text, rest.start_ms) == (2, text(22, 33), 320)
    assert [word.start_ms for word in rest.words] == [416, 832]


async def test_quiet_behind_what_was_told_is_told_as_nothing(open_line: OpenLine) -> None:
    """A tape that breaks off in a pause ends the utterance later than it had ended live."""
    line = await open_line(partials=False, told_ms=320)
    await line.say(11)
    await line.wait(0.128)
    line.over()
    await line.close()
    assert line.heard(Segment) == []


def _given(decoded: Decoded | EngineError | None) -> Decoded | None:
    if isinstance(decoded, EngineError):
        raise decoded
    return decoded


def _renamed(word: Any, name: str) -> Any:
    return type(word)(text=name, start=word.start, end=word.end, probability=word.probability)


def _all(out: asyncio.Queue[Heard]) -> list[Heard]:
    return [out.get_nowait() for _ in range(out.qsize())]
