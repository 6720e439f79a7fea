"""Whose turn it is, as a call's events say it: every order they may come in, on a clock moved by hand.

Words are loudnesses; `SAYS` gives them the text that decides. Silence is counted in samples, so each wait is exact.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

from bridge import call as call_module
from bridge.calls import Calls
from bridge.errors import NotFoundError
from bridge.model.call_key import CallKey
from bridge.model.events import (
    Body,
    TranscriptFinal,
    TurnEagerEnded,
    TurnEnded,
    TurnEvent,
    TurnResumed,
    TurnStarted,
)
from bridge.model.frame import Samples
from bridge.model.stream import Leg
from bridge.ports import Decoded, DecodeJob
from tests.clock import VirtualClock
from tests.engines import ScriptedEngine, read, spoken
from tests.http_server import PATIENCE_S, HttpServer
from tests.office import Office, Phone, silence, started
from tests.tones import tone_segmenter

CALLER, AGENT = Leg.CALLER, Leg.AGENT

SAYS: Mapping[str, str] = {
    "w11": "I would like to book a table and",
    "w22": "two chairs, please.",
    "w33": "Can I help you?",
    "w44": "Mm-hm.",
    "w55": "No, that is wrong.",
    "w66": "my number is 555",
}
TURNS = (TurnStarted, TurnEagerEnded, TurnResumed, TurnEnded)


def speaking(job: DecodeJob) -> Decoded:
    """What `read` makes of a job, in the words of `SAYS`."""
    decoded = read(job)
    text = " ".join(SAYS.get(word, word) for word in decoded.text.split())
    return Decoded(
        text=text,
        language="en",
        language_probability=0.99,
        average_log_probability=-0.2,
        no_speech_probability=0.01,
        words=decoded.words,
    )


@pytest.fixture
async def office(clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Office]:
    monkeypatch.setattr(call_module, "Segmenter", tone_segmenter)
    office = Office(clock)
    office.engine.answer = speaking
    yield office
    await office.close()


def said(*parts: float) -> Samples:
    """Words (whole numbers) and silences (seconds), one behind the other."""
    return np.concatenate([spoken(part) if isinstance(part, int) else silence(part) for part in parts])


def turns(office: Office, leg: Leg | None = None) -> list[TurnEvent]:
    return [body for body in office.sink.told["c1"] if isinstance(body, TURNS) and leg in {None, body.leg}]


def kinds(office: Office, leg: Leg | None = None) -> list[str]:
    return [body.type.removeprefix("turn.") for body in turns(office, leg)]


async def bot(office: Office, **parameters: str) -> Phone:
    return await office.ring(started(CALLER, AGENT, call_id="c1", turns="bot", **parameters))


async def test_a_finished_sentence_is_a_turn(office: Office) -> None:
    """Started at its first sample, eager, ended with all its words; the words stand before it ends."""
    phone = await bot(office)
    await phone.play({CALLER: said(0.5, 22, 2.0)})
    assert kinds(office) == ["started", "eager_ended", "ended"]
    begun, eager, ended = turns(office)
    assert isinstance(begun, TurnStarted)
    assert isinstance(eager, TurnEagerEnded)
    assert isinstance(ended, TurnEnded)
    assert begun.at_ms == pytest.approx(500, abs=32)
    assert eager.text == ended.text == "two chairs, please."
    assert ended.at_ms == eager.at_ms == pytest.approx(820, abs=32)
    assert (begun.turn, eager.turn, ended.turn) == (1, 1, 1)
    assert 0 < begun.probability < eager.probability <= ended.probability < 1
    assert ended.reason == "sentence"
    told = office.sink.told["c1"]
    assert told.index(office.sink.of("c1", TranscriptFinal)[0]) < told.index(ended)
    await phone.hang_up()


async def test_who_goes_on_takes_the_eager_end_back(office: Office) -> None:
    """Eager, resumed, and in the end one turn with both texts."""
    phone = await bot(office, eager_eot_threshold="0.3", eot_threshold="0.97")
    await phone.play({CALLER: said(0.2, 22, 0.9, 55, 6.0)})
    assert kinds(office) == ["started", "eager_ended", "resumed", "eager_ended", "ended"]
    first, second = office.sink.of("c1", TurnEagerEnded)
    [resumed] = office.sink.of("c1", TurnResumed)
    [ended] = office.sink.of("c1", TurnEnded)
    assert (first.text, second.text) == ("two chairs, please.", "two chairs, please. No, that is wrong.")
    assert ended.text == second.text
    assert first.at_ms < resumed.at_ms == pytest.approx(1516, abs=32)
    await phone.hang_up()


async def test_half_a_sentence_is_waited_for(office: Office) -> None:
    """The same silence that ends a sentence does not end one that stops at `and`; with its rest it is one turn."""
    phone = await bot(office, eager_eot_threshold="0.7", eot_threshold="0.7")
    await phone.play({CALLER: said(0.2, 11, 0.4, 22, 2.0)})
    assert kinds(office) == ["started", "eager_ended", "ended"]
    [ended] = office.sink.of("c1", TurnEnded)
    assert ended.text == "I would like to book a table and two chairs, please."
    await phone.hang_up()


async def test_silence_ends_what_nothing_else_does(office: Office) -> None:
    """At the call's own time-out, counted from the voice's end, and not before."""
    phone = await bot(office, eot_timeout_ms="2000", eot_threshold="0.99", eager_eot_threshold="0.99")
    await phone.play({CALLER: said(0.2, 66, 1.9)})
    assert kinds(office) == ["started"]
    await phone.play({CALLER: silence(0.2)})
    assert kinds(office) == ["started", "ended"]
    [ended] = office.sink.of("c1", TurnEnded)
    assert (ended.reason, ended.text) == ("timeout", "my number is 555")
    await phone.hang_up()


async def test_a_sign_of_listening_is_no_turn(office: Office) -> None:
    """`Mm-hm` while the agent talks is put into words and is nobody's turn."""
    phone = await bot(office)
    await phone.play({AGENT: said(0.2, 11, 11, 11, 22, 2.0), CALLER: said(0.7, 44, 3.0)})
    assert kinds(office, CALLER) == []
    assert kinds(office, AGENT) == ["started", "eager_ended", "ended"]
    assert [final.text for final in office.sink.of("c1", TranscriptFinal) if final.leg == CALLER] == ["Mm-hm."]
    await phone.hang_up()


async def test_words_of_its_own_beside_the_other_are_a_turn(office: Office) -> None:
    """`No, that is wrong` takes the floor as soon as it is read, from where its voice began."""
    phone = await bot(office)
    await phone.play({AGENT: said(0.2, 11, 11, 11, 22, 2.0), CALLER: said(0.7, 55, 3.0)})
    assert kinds(office, CALLER)[0] == "started"
    begun = turns(office, CALLER)[0]
    assert begun.at_ms == pytest.approx(700, abs=32)
    await phone.hang_up()


async def test_who_listened_and_answers_when_the_other_stops_has_the_floor(office: Office) -> None:
    """Speech that begins over the other's last word becomes a turn when that one falls silent."""
    phone = await bot(office)
    await phone.play({AGENT: said(0.2, 22, 3.0), CALLER: said(0.3, 44, 44, 44, 3.0)})
    assert kinds(office, CALLER) == ["started", "eager_ended", "ended"]
    [begun, *_] = turns(office, CALLER)
    assert begun.at_ms == pytest.approx(300, abs=32)
    await phone.hang_up()


async def test_parties_take_turns(office: Office) -> None:
    """Each leg numbers its own."""
    phone = await bot(office)
    await phone.play({AGENT: said(0.2, 33, 4.0, 33, 2.0), CALLER: said(1.6, 22, 4.0)})
    assert [
        (body.leg, body.turn, body.type) for body in turns(office) if isinstance(body, TurnStarted | TurnEnded)
    ] == [
        (AGENT, 1, "turn.started"),
        (AGENT, 1, "turn.ended"),
        (CALLER, 1, "turn.started"),
        (CALLER, 1, "turn.ended"),
        (AGENT, 2, "turn.started"),
        (AGENT, 2, "turn.ended"),
    ]
    [first, _] = [body for body in office.sink.of("c1", TurnEnded) if body.leg == AGENT]
    assert first.reason == "question"
    await phone.hang_up()


async def test_speech_without_words_begins_and_ends(office: Office) -> None:
    """A cough: whoever was told of a turn is told of its end."""
    office.engine.answer = lambda _job: Decoded.nothing("en")
    phone = await bot(office)
    await phone.play({CALLER: said(0.2, 22, 2.0)})
    assert kinds(office) == ["started", "ended"]
    [ended] = office.sink.of("c1", TurnEnded)
    assert (ended.text, ended.reason) == ("", "no_words")
    await phone.hang_up()


async def test_hanging_up_ends_a_turn_with_its_words(office: Office) -> None:
    """In the middle of a word: the end of the turn comes behind its final and before the end of the call."""
    phone = await bot(office)
    await phone.play({CALLER: said(0.2, 11, 22)})
    await phone.hang_up()
    await office.clock.advance(2.0)
    assert office.sink.kinds("c1")[-3:] == ["transcript.final", "turn.ended", "call.ended"]
    [ended] = office.sink.of("c1", TurnEnded)
    assert (ended.reason, ended.text) == ("call_ended", "I would like to book a table and two chairs, please.")


async def test_who_speaks_again_before_the_words_are_there_begins_another_turn(office: Office) -> None:
    """The recogniser is slow: the first turn's end still comes with its own words, before the second's start."""
    office.engine.takes_s = 1.5
    phone = await bot(office, eot_timeout_ms="600")
    await phone.play({CALLER: said(0.2, 22, 0.8, 55, 6.0)})
    assert kinds(office) == ["started", "ended", "started", "ended"]
    assert [ended.text for ended in office.sink.of("c1", TurnEnded)] == ["two chairs, please.", "No, that is wrong."]
    await phone.hang_up()


@pytest.mark.parametrize("takes_s", [0.1, 0.2, 0.3, 0.5])
async def test_turns_are_told_in_their_order_however_long_the_store_takes(
    office: Office, monkeypatch: pytest.MonkeyPatch, takes_s: float
) -> None:
    """The end is decided when the last words are told, while the eager end may still wait to be told."""
    publish = office.sink.publish

    async def slowly(key: CallKey, body: Body) -> None:
        await office.clock.sleep(takes_s)
        await publish(key, body)

    monkeypatch.setattr(office.sink, "publish", slowly)
    phone = await bot(office)
    await phone.play({CALLER: said(0.2, 22, 6.0)})
    assert kinds(office) == ["started", "eager_ended", "ended"]
    await phone.hang_up()
    await office.clock.advance(6.0)


@pytest.mark.parametrize(
    ("words", "texts"),
    [
        pytest.param(22, ["two chairs, please.", "No, that is wrong."], id="a-sentence"),
        pytest.param(11, ["I would like to book a table and No, that is wrong."], id="half-a-sentence"),
    ],
)
@pytest.mark.parametrize("late_s", [0.95, 1.5])
async def test_a_silence_whose_words_come_late(office: Office, words: int, texts: list[str], late_s: float) -> None:
    """Where the voice goes on before they are there, they still say whether it was the end of a turn."""
    office.engine.takes_s = late_s
    phone = await bot(office)
    await phone.play({CALLER: said(0.2, words, 0.9, 55, 6.0)})
    assert [ended.text for ended in office.sink.of("c1", TurnEnded)] == texts
    told = [kind for kind in kinds(office) if kind in {"started", "ended"}]
    assert told == ["started", "ended"] * len(texts)
    begun = [event.at_ms for event in office.sink.of("c1", TurnStarted)]
    assert begun == pytest.approx([200, 1504][: len(texts)], abs=32)
    await phone.hang_up()


async def test_captions_tell_turns_apart_and_guess_nothing(office: Office) -> None:
    """Without a preset there is no eager end, and speech ends where it always did."""
    phone = await office.ring(started(CALLER, AGENT, call_id="c1"))
    await phone.play({CALLER: said(0.2, 22, 3.0)})
    assert kinds(office) == ["started", "ended"]
    told = office.sink.kinds("c1")
    assert told.index("speech.ended") < told.index("transcript.final") < told.index("turn.ended")
    await phone.hang_up()


async def test_who_wants_no_turns_gets_none(office: Office) -> None:
    """`turns=off`."""
    phone = await office.ring(started(CALLER, AGENT, call_id="c1", turns="off"))
    await phone.play({CALLER: said(0.2, 22, 3.0)})
    assert kinds(office) == []
    await phone.hang_up()


@pytest.mark.parametrize("parameters", [{}, {"turns": "bot"}])
async def test_a_turn_starts_soon_after_its_voice(office: Office, parameters: dict[str, Any]) -> None:
    """Within 200 ms of the first sample, whatever comes."""
    phone = await office.ring(started(CALLER, AGENT, call_id="c1", **parameters))
    await phone.play({CALLER: said(0.5, 22)[: round(0.7 * 16_000)]})
    assert kinds(office) == ["started"]
    await phone.hang_up()


async def kinds_kept(http: HttpServer) -> list[str]:
    """The types of the call's events that are in the store by now."""
    with suppress(NotFoundError):  # not even the call itself
        return [event.type for event in await http.store.events("acme", "c1", after=0, limit=100)]
    return []


async def test_turns_come_over_sse_and_websocket(http: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call is heard, its turns are stored, and both ways of following it tell the same objects."""
    monkeypatch.setattr(call_module, "Segmenter", tone_segmenter)
    engine = ScriptedEngine(http.clock, answer=speaking)
    calls = Calls(
        engine=engine,
        sink=http.journal,
        clock=http.clock,
        max_calls=1,
        language="en",
        languages=frozenset({"en"}),
        hangover_ms=500,
    )
    phone = Phone(http.clock)
    stream = started(CALLER, call_id="c1", turns="bot")
    taking = asyncio.create_task(calls.take(stream, phone.items(), tenant="acme"))
    await phone.play({CALLER: said(0.2, 22)})
    async with asyncio.timeout(PATIENCE_S):
        while "turn.ended" not in await kinds_kept(http):  # the store takes real time, and moves nobody's clock
            await phone.play({CALLER: silence(0.02)})
        await phone.hang_up()
        await taking
    async with http.socket("/v1/calls/c1/live") as live:
        await http.clock.advance(60)
        told = [json.loads(message.data) async for message in live]
    async with http.sse("/v1/calls/c1/events") as reader:
        assert await reader.rest() == told
    of_turns = [event for event in told if event["type"].startswith("turn.")]
    assert [event["type"] for event in of_turns] == ["turn.started", "turn.eager_ended", "turn.ended"]
    assert [event["text"] for event in of_turns[1:]] == ["two chairs, please."] * 2
    assert set(of_turns[2]) == {
        *("id", "seq", "type", "call_id", "time"),
        *("leg", "turn", "at_ms", "probability", "text", "reason"),
    }
    await calls.close()
