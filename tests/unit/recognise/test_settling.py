"""Finals merged and decoded once more: right words, right times, right numbers, and never less than was there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bridge.errors import EngineError
from bridge.model.words import Segment
from bridge.ports import Decoded, DecodedWord, DecodeJob, Urgency
from bridge.recognise.heard import AllHeard, Revision
from bridge.recognise.window import LONGEST_S
from tests.engines import ScriptedEngine, read, said, spoken, words_in

OpenLine = Callable[..., Any]


def louder(job: DecodeJob) -> Decoded:
    """Settling hears the same words in capitals; everything else hears them as they are."""
    if job.urgency is not Urgency.SETTLE:
        return read(job)
    return said([replace(word, text=word.text.upper()) for word in words_in(job.samples)])


async def talk(line: Any, *utterances: tuple[int, ...]) -> None:
    for numbers in utterances:
        await line.say(*numbers)
        await line.stop()
        await line.wait(1.0)
    await line.close()
    await line.clock.advance(40.0)


async def test_settled_words_go_back_to_their_own_utterances(open_line: OpenLine, engine: ScriptedEngine) -> None:
    """One decode of all; each segment keeps its number and times and gets its words, where they were said."""
    engine.answer = louder
    line = await open_line(partials=False)
    await talk(line, (11, 22), (33,), (44, 55, 66))
    [job] = engine.asked(Urgency.SETTLE)
    assert [word.text for word in words_in(job.samples)] == ["w11", "w22", "w33", "w44", "w55", "w66"]
    finals = line.heard(Segment)
    [revision] = line.heard(Revision)
    assert revision.replaces == (1, 2, 3)
    assert [(one.segment, one.start_ms, one.end_ms) for one in revision.segments] == [
        (one.segment, one.start_ms, one.end_ms) for one in finals
    ]
    assert [one.text for one in revision.segments] == ["W11 W22", "W33", "W44 W55 W66"]
    for settled, final in zip(revision.segments, finals, strict=True):
        assert [(word.start_ms, word.end_ms) for word in settled.words] == [
            (word.start_ms, word.end_ms) for word in final.words
        ]


async def test_all_is_heard_before_what_is_left_is_settled(open_line: OpenLine, engine: ScriptedEngine) -> None:
    """The call may end; its revision follows."""
    engine.answer = louder
    line = await open_line(partials=False)
    await talk(line, (11,), (22,))
    assert [type(one) for one in line.heard(object)][-2:] == [AllHeard, Revision]


async def test_a_final_that_stands_alone_is_settled_too(open_line: OpenLine, engine: ScriptedEngine) -> None:
    """There is nothing to merge it with, but it too is worth a second look."""
    engine.answer = louder
    line = await open_line(partials=False)
    await talk(line, (11, 22))
    assert [one.text for one in line.heard(Revision)[0].segments] == ["W11 W22"]


async def test_nothing_said_is_nothing_to_settle(open_line: OpenLine, engine: ScriptedEngine) -> None:
    """A silent leg costs no decode."""
    line = await open_line(partials=False)
    await talk(line)
    assert engine.asked(Urgency.SETTLE) == []


async def test_long_talk_is_settled_in_windows(open_line: OpenLine, engine: ScriptedEngine) -> None:
    """Groups fill a window and no more; every final is settled once; each group knows the text before it."""
    engine.answer = louder
    line = await open_line(partials=False)
    await talk(line, *[tuple(range(11 + n, 21 + n)) for n in range(14)])  # 4 s each
    jobs = engine.asked(Urgency.SETTLE)
    assert all(len(job.samples) <= LONGEST_S * 16_000 for job in jobs)
    assert jobs[0].previous_text == ""
    assert jobs[1].previous_text.startswith("W11 W12")
    replaced = [number for revision in line.heard(Revision) for number in revision.replaces]
    assert replaced == list(range(1, 15))


REFUSED = {
    "shed": None,
    "failed": EngineError("scripted"),
    "shrunk": said(words_in(spoken(11))),
    "invented": said([replace(words_in(spoken(11))[0], text="[Music]")]),
}


@pytest.mark.parametrize("settled", REFUSED.values(), ids=REFUSED.keys())
async def test_finals_stay_when_the_settled_text_is_no_better(
    open_line: OpenLine, engine: ScriptedEngine, settled: Decoded | EngineError | None
) -> None:
    """Shed, failed, invented, or with less than its finals had: nothing is revised and the leg ends in order."""

    def answer(job: DecodeJob) -> Decoded | None:
        if job.urgency is not Urgency.SETTLE:
            return read(job)
        if isinstance(settled, EngineError):
            raise settled
        return settled

    engine.answer = answer
    line = await open_line(partials=False)
    await talk(line, (11, 22), (33, 44))
    assert len(engine.asked(Urgency.SETTLE)) == 1
    assert line.heard(Revision) == []
    assert len(line.heard(Segment)) == 2


async def test_text_that_settles_as_it_was_is_not_told_again(open_line: OpenLine, engine: ScriptedEngine) -> None:
    """Subscribers hear of changes only."""
    line = await open_line(partials=False)
    await talk(line, (11, 22), (33, 44))
    assert len(engine.asked(Urgency.SETTLE)) == 1
    assert line.heard(Revision) == []


BUSY = 0.6


def unsure(job: DecodeJob) -> Decoded:
    """Doubts the word w33 as long as it is not settled, and spells it wrong."""
    if job.urgency is Urgency.SETTLE:
        return read(job)
    heard = words_in(job.samples)
    return said([replace(word, text="w3", probability=0.2) if word.text == "w33" else word for word in heard])


async def test_while_the_engine_is_busy_only_doubtful_finals_are_settled(
    open_line: OpenLine, engine: ScriptedEngine
) -> None:
    """One doubted word is enough, for its group, and with less care than there is room for otherwise."""
    engine.answer, engine.load = unsure, BUSY
    line = await open_line(partials=False)
    sure, doubtful = tuple(range(11, 31)), tuple(range(31, 51))  # 8 s each: a group holds one
    await talk(line, sure, doubtful, sure)
    [job] = engine.asked(Urgency.SETTLE)
    assert not job.careful
    assert job.previous_text.startswith("w11 w12")
    [revision] = line.heard(Revision)
    assert revision.replaces == (2,)
    assert "w33" in revision.segments[0].text


async def test_a_busy_engine_settles_in_short_windows(open_line: OpenLine, engine: ScriptedEngine) -> None:
    """A final that comes meanwhile waits half as long."""
    engine.answer = lambda job: replace(louder(job), words=_doubted(louder(job)))
    engine.load = BUSY
    line = await open_line(partials=False)
    await talk(line, *[tuple(range(11 + n, 21 + n)) for n in range(6)])  # 4 s each
    lengths = [len(job.samples) / 16_000 for job in engine.asked(Urgency.SETTLE)]
    assert len(lengths) == 2
    assert max(lengths) <= 14


def _doubted(decoded: Decoded) -> tuple[DecodedWord, ...]:
    return tuple(replace(word, probability=0.1) for word in decoded.words)
