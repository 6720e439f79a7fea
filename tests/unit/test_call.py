"""One call on an engine that reads loudness as words: what is told, in which order, and how it ends."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import groupby

import numpy as np
import pytest

from bridge import call as call_module
from bridge.errors import CarrierFloodError, CarrierProtocolError
from bridge.model.events import (
    Body,
    CallEnded,
    CallStarted,
    DtmfReceived,
    MediaGap,
    SpeechFlushed,
    SpeechStarted,
    TranscriptFinal,
    TranscriptPartial,
    TranscriptRevised,
)
from bridge.model.frame import AudioFrame
from bridge.model.speech import Speech
from bridge.model.stream import Discarded, DtmfDigit, Flush, Leg, MarkReached, StreamStopped
from bridge.ports import Decoded, DecodeJob, Urgency
from tests.engines import WORD, read, said
from tests.office import Office, after, silence, started
from tests.tones import tone_segmenter

CALLER, AGENT = Leg.CALLER, Leg.AGENT

# -- the story of a call -------------------------------------------------------------------------------------------


async def test_a_call_of_two_legs_is_told_from_start_to_end(office: Office) -> None:
    """Start first; each leg's speech, partials and finals in order; the end last, once, and then it is settled."""
    phone = await office.ring(started(call_id="c1", metadata__order="447"))
    await phone.play({CALLER: after(0.2, 11, 22, 33), AGENT: after(4.0, 44, 55)})
    phone.send(StreamStopped())
    await phone.hang_up()
    await office.clock.advance(1.0)
    assert [kind for kind, _ in groupby(office.sink.kinds("c1"))] == [
        "call.started",
        *["speech.started", "turn.started", "transcript.partial", "speech.ended", "transcript.final", "turn.ended"] * 2,
        "call.ended",
    ]
    [start] = office.sink.of("c1", CallStarted)
    assert (start.carrier, start.carrier_call_id, start.legs) == ("twilio", "CA1", (CALLER, AGENT))
    assert (start.codec, start.sample_rate, start.metadata) == ("L16LE", 16_000, {"order": "447"})
    assert [(final.leg, final.text) for final in office.sink.of("c1", TranscriptFinal)] == [
        (CALLER, "w11 w22 w33"),
        (AGENT, "w44 w55"),
    ]
    [end] = office.sink.of("c1", CallEnded)
    assert (end.reason, end.error) == ("hangup", None)
    assert end.duration_ms == pytest.approx(4000 + 832 + 1000, abs=20)
    assert office.sink.finished == ["c1"]
    assert office.sink.tenants == {"c1": "acme"}


async def test_what_is_said_when_the_line_dies_is_told_before_the_end(office: Office) -> None:
    """Both legs are cut off in the middle of a word: both finals come, then the one end."""
    phone = await office.ring()
    await phone.play(
        {CALLER: after(0.1, 11, 22, then=0)[: -WORD // 2], AGENT: after(0.1, 33, 44, then=0)[: -WORD // 2]}
    )
    await phone.hang_up()
    await office.clock.advance(2.0)
    finals = office.sink.of("c1", TranscriptFinal)
    assert {(final.leg, final.text) for final in finals} == {(CALLER, "w11 w22"), (AGENT, "w33 w44")}
    assert office.sink.kinds("c1").count("call.ended") == 1
    assert office.sink.kinds("c1")[-1] == "call.ended"


async def test_a_disk_that_fails_behind_the_end_is_not_told(office: Office) -> None:
    """All that the call said is told by then: a crash could take nothing from it."""
    office.engine.answer = lambda job: _louder(job) if job.urgency is Urgency.SETTLE else read(job)
    phone = await office.ring()
    await phone.play({CALLER: np.concatenate([after(0.1, 11), after(0.5, 22)])})
    [active] = office.calls._active.values()
    await phone.hang_up()
    while not active.call.ended.is_set():
        await office.clock.advance(0.01)
    active.call.unspool()
    await office.clock.advance(60.0)
    assert office.sink.kinds("c1")[-2:] == ["call.ended", "transcript.revised"]


async def test_settled_text_follows_the_end_and_the_call_is_settled_after_it(office: Office) -> None:
    """`call.ended` does not wait for settling; what is revised comes before the call is settled."""
    office.engine.answer = lambda job: _louder(job) if job.urgency is Urgency.SETTLE else read(job)
    phone = await office.ring()
    await phone.play({CALLER: np.concatenate([after(0.1, 11), after(0.5, 22)])})
    await phone.hang_up()
    await office.clock.advance(2.0)
    assert office.sink.kinds("c1")[-2:] == ["call.ended", "transcript.revised"]
    [revision] = office.sink.of("c1", TranscriptRevised)
    assert revision.replaces == (1, 2)
    assert [segment.text for segment in revision.segments] == ["W11", "W22"]
    assert office.sink.finished == ["c1"]


@pytest.mark.parametrize("reason", ["hangup", "idle", "drained"])
async def test_the_carriers_reason_is_the_calls(office: Office, reason: str) -> None:
    """What the stream says about its stop stands in `call.ended`."""
    phone = await office.ring()
    phone.send(StreamStopped(reason=reason))
    await phone.hang_up()
    [end] = office.sink.of("c1", CallEnded)
    assert end == CallEnded(reason=reason, duration_ms=0)


async def test_a_line_that_just_ends_is_closed(office: Office) -> None:
    """No word of goodbye: the reason is `closed`."""
    phone = await office.ring()
    await phone.hang_up()
    assert office.sink.kinds("c1") == ["call.started", "call.ended"]
    assert office.sink.of("c1", CallEnded)[0].reason == "closed"


async def test_media_behind_the_stop_still_counts(office: Office) -> None:
    """A carrier may say stop before its last frames."""
    phone = await office.ring()
    phone.send(StreamStopped())
    await phone.play({CALLER: after(0.1, 11)})
    await phone.hang_up()
    assert [final.text for final in office.sink.of("c1", TranscriptFinal)] == ["w11"]
    assert office.sink.of("c1", CallEnded)[0].reason == "hangup"


async def test_a_flush_in_the_middle_of_speech(office: Office) -> None:
    """What is open is cut and told at once, then the flush of every leg; the call goes on, and times stay true."""
    phone = await office.ring(started(call_id="c1"))
    await phone.play({CALLER: after(0.1, 11, 22, then=0)})
    phone.send(Flush())
    await office.clock.advance(0.5)
    assert [final.text for final in office.sink.of("c1", TranscriptFinal)] == ["w11 w22"]
    flushes = office.sink.of("c1", SpeechFlushed)
    assert {flush.leg for flush in flushes} == {CALLER, AGENT}
    kinds = office.sink.kinds("c1")
    assert kinds.index("transcript.final") < len(kinds) - 1 - kinds[::-1].index("speech.flushed")
    before_ms = max(flush.at_ms for flush in flushes)
    await phone.play({CALLER: after(1.0, 33)})
    await phone.hang_up()
    await office.clock.advance(1.0)
    [_, last] = office.sink.of("c1", TranscriptFinal)
    assert last.text == "w33"
    assert last.start_ms == pytest.approx(before_ms + 1000, abs=70)


async def test_a_flush_of_nothing_is_answered_at_once(office: Office) -> None:
    """Nobody speaks: every leg says so, and no word is made up."""
    phone = await office.ring(started(call_id="c1"))
    await phone.play({CALLER: silence(1.0)})
    phone.send(Flush())
    await office.clock.settle()
    assert [flush.leg for flush in office.sink.of("c1", SpeechFlushed)] == [CALLER, AGENT]
    await phone.hang_up()
    assert office.sink.of("c1", TranscriptFinal) == []


@pytest.mark.parametrize("error", [CarrierProtocolError("a start twice"), CarrierFloodError("too much")])
async def test_a_carriers_fault_ends_the_call_with_its_code(
    office: Office, error: CarrierProtocolError | CarrierFloodError
) -> None:
    """What was heard before the fault is decoded and told."""
    phone = await office.ring()
    await phone.play({CALLER: after(0.1, 11, 22, then=0)})
    await phone.fail(error)
    await office.clock.advance(1.0)
    assert [final.text for final in office.sink.of("c1", TranscriptFinal)] == ["w11 w22"]
    [end] = office.sink.of("c1", CallEnded)
    assert (end.reason, end.error) == ("error", error.code)


async def test_audio_of_an_unannounced_leg_is_the_carriers_fault(office: Office) -> None:
    """Such a call ends with a protocol error, and does not crash."""
    phone = await office.ring(started(CALLER, call_id="c1"))
    await phone.play({AGENT: silence(0.02)})
    assert office.sink.of("c1", CallEnded)[0].error == "carrier_protocol"


# -- positions -----------------------------------------------------------------------------------------------------


async def test_keys_and_gaps_stand_where_they_were(office: Office) -> None:
    """A digit comes at the leg's position; lost chunks are a gap of their length, and speech behind it keeps its time."""
    phone = await office.ring(started(CALLER, call_id="c1"))
    await phone.play({CALLER: silence(1.0)})
    phone.send(DtmfDigit(leg=CALLER, digit="7"))
    await office.clock.settle()
    phone.lose(CALLER, 10)
    await phone.play({CALLER: after(0.72, 11)})
    phone.send(Discarded(leg=CALLER, missing_ms=500, reason="paused"))
    phone.send(MarkReached(name="played"))
    await phone.hang_up()
    await office.clock.advance(1.0)
    [key] = office.sink.of("c1", DtmfReceived)
    assert (key.digit, key.at_ms) == ("7", 1000)
    lost, paused = office.sink.of("c1", MediaGap)
    assert (lost.at_ms, lost.missing_ms, lost.reason) == (1000, 200, "lost")
    assert (paused.missing_ms, paused.reason) == (500, "paused")
    assert office.sink.of("c1", SpeechStarted)[0].at_ms == 1920
    assert office.sink.of("c1", CallEnded)[0].duration_ms == paused.at_ms + 500


# -- what breaks ---------------------------------------------------------------------------------------------------


async def test_a_leg_that_crashes_ends_the_call_once_with_an_error(office: Office) -> None:
    """An engine that raises what no engine may: one end, reason `error`, and the next call is taken."""
    phone = await office.ring()
    office.engine.answer = _crash
    await phone.play({CALLER: after(0.1, 11), AGENT: silence(0.1)})
    await office.clock.advance(1.0)
    assert office.sink.kinds("c1").count("call.ended") == 1
    assert office.sink.kinds("c1")[-1] == "call.ended"
    [end] = office.sink.of("c1", CallEnded)
    assert (end.reason, end.error) == ("error", "internal")
    office.engine.answer = read
    phone = await office.ring(started(call_id="c2"))
    await phone.play({CALLER: after(0.1, 11)})
    await phone.hang_up()
    assert [final.text for final in office.sink.of("c2", TranscriptFinal)] == ["w11"]


async def test_an_engine_that_fails_costs_the_piece_and_not_the_call(office: Office) -> None:
    """Speech that could not be decoded is a gap with that reason; the call ends as it would have."""
    office.engine.answer = lambda job: None
    phone = await office.ring()
    await phone.play({CALLER: after(0.2, 11)})
    phone.send(StreamStopped())
    await phone.hang_up()
    await office.clock.advance(1.0)
    [gap] = office.sink.of("c1", MediaGap)
    assert gap.reason == "undecoded"
    assert office.sink.of("c1", CallEnded)[0].reason == "hangup"


@pytest.mark.parametrize("at", ["push", "flush"])
async def test_a_fault_of_ours_while_listening_ends_the_call_and_frees_its_place(
    office: Office, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """A segmenter that breaks: what was heard is told, the end says `error`, and no place is lost for good."""
    monkeypatch.setattr(call_module, "Segmenter", lambda options: _Broken(tone_segmenter(options), at))
    phone = await office.ring(started(CALLER, call_id="c1"))
    await phone.play({CALLER: after(0.1, 11, 22, then=0)})
    await phone.hang_up()
    await office.clock.advance(2.0)
    assert [final.text for final in office.sink.of("c1", TranscriptFinal)] == ["w11 w22"]
    [end] = office.sink.of("c1", CallEnded)
    assert (end.reason, end.error) == ("error", "internal")
    assert office.calls.active() == 0


async def test_messages_that_end_in_a_surprise_end_the_call_with_an_error(office: Office) -> None:
    """Whatever a socket's adapter raises, the call is ended once and its place is free."""
    phone = await office.ring()
    await phone.fail(RuntimeError("not a carrier's fault"))
    assert [(end.reason, end.error) for end in office.sink.of("c1", CallEnded)] == [("error", "internal")]
    assert office.calls.active() == 0


async def test_a_cancelled_socket_is_an_ordinary_hang_up(office: Office) -> None:
    """The task that carries the socket is cancelled: what was heard is told and the call ends as closed."""
    phone = await office.ring()
    await phone.play({CALLER: after(0.1, 11, 22, then=0)})
    office.takes[0].cancel()
    await office.clock.advance(1.0)
    assert office.takes[0].cancelled()
    assert [final.text for final in office.sink.of("c1", TranscriptFinal)] == ["w11 w22"]
    assert [end.reason for end in office.sink.of("c1", CallEnded)] == ["closed"]


async def test_a_slow_engine_slows_its_carrier_and_loses_nothing(office: Office) -> None:
    """With a minute of speech undecoded the call stops reading; every word comes in the end."""
    office.engine.takes_s = 300.0
    phone = await office.ring(started(CALLER, call_id="c1"))
    utterance = after(0.1, *range(11, 51))
    for _ in range(6):
        await phone.play({CALLER: utterance})
    unread = phone._queue.qsize()
    office.engine.takes_s = 0.1
    await office.clock.advance(600.0)
    await phone.hang_up()
    await office.clock.advance(10.0)
    assert unread > 0
    words = " ".join(final.text for final in office.sink.of("c1", TranscriptFinal)).split()
    assert words == [f"w{n}" for n in range(11, 51)] * 6


async def test_partials_carry_the_leg_and_the_number_of_their_final(office: Office) -> None:
    """A view replaces a segment's partials by its final."""
    phone = await office.ring()
    await phone.play({CALLER: after(0.1, 11, 22, 33, 44), AGENT: after(0.1, 55, 66, 77, 88)})
    await phone.hang_up()
    partials = {(one.leg, one.segment) for one in office.sink.of("c1", TranscriptPartial)}
    finals = {(one.leg, one.segment) for one in office.sink.of("c1", TranscriptFinal)}
    assert partials == finals == {(CALLER, 1), (AGENT, 1)}


class _Broken:
    """A segmenter that fails from its 40th push on, or when flushed."""

    def __init__(self, inner: object, at: str) -> None:
        self._inner = inner
        self._at = at
        self._pushes = 0

    def push(self, frame: AudioFrame) -> list[Speech]:
        self._pushes += 1
        if self._at == "push" and self._pushes > 40:
            raise RuntimeError("broken")
        return self._inner.push(frame)  # type: ignore[attr-defined,no-any-return]

    def flush(self) -> list[Speech]:
        raise RuntimeError("broken")


def _crash(job: DecodeJob) -> Decoded | None:
    raise RuntimeError("no engine may raise this")


def _louder(job: DecodeJob) -> Decoded:
    decoded = read(job)
    return said([replace(word, text=word.text.upper()) for word in decoded.words])


# -- a store that is away ------------------------------------------------------------------------------------------


async def test_a_key_that_is_pressed_holds_up_no_audio(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the store is away the call still listens; the key is told with the rest, where it was pressed."""
    away = asyncio.Event()
    publish = office.sink.publish

    async def later(call_id: str, body: Body) -> None:
        await away.wait()
        await publish(call_id, body)

    monkeypatch.setattr(office.sink, "publish", later)
    phone = await office.ring()
    phone.send(DtmfDigit(leg=CALLER, digit="5"))
    await phone.play({CALLER: after(0.2, 11)})
    [active] = office.calls._active.values()
    assert active.call.duration > 16_000
    away.set()
    await phone.hang_up()
    await office.clock.advance(2.0)
    assert [key.digit for key in office.sink.of("c1", DtmfReceived)] == ["5"]
    assert [final.text for final in office.sink.of("c1", TranscriptFinal)] == ["w11"]


async def test_keys_without_end_make_the_carrier_wait(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """A carrier that sends nothing but keys while the store is away fills no memory; each is told in the end."""
    monkeypatch.setattr(call_module, "MOST_UNTOLD", 4)
    away = asyncio.Event()
    publish = office.sink.publish

    async def later(call_id: str, body: Body) -> None:
        await away.wait()
        await publish(call_id, body)

    monkeypatch.setattr(office.sink, "publish", later)
    phone = await office.ring()
    for _ in range(50):
        phone.send(DtmfDigit(leg=CALLER, digit="5"))
    await office.clock.settle()
    [active] = office.calls._active.values()
    assert active.call._heard.qsize() <= 4
    away.set()
    await phone.hang_up()
    await office.clock.advance(2.0)
    assert len(office.sink.of("c1", DtmfReceived)) == 50


async def test_a_store_that_is_away_for_long_makes_the_carrier_wait(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is heard and not told has a bound; once the store is back everything is told."""
    monkeypatch.setattr(call_module, "MOST_UNTOLD", 4)
    away = asyncio.Event()
    publish = office.sink.publish

    async def later(call_id: str, body: Body) -> None:
        await away.wait()
        await publish(call_id, body)

    monkeypatch.setattr(office.sink, "publish", later)
    phone = await office.ring()
    for number in range(11, 31):
        await phone.play({CALLER: after(0.1, number, then=0.8)})
    [active] = office.calls._active.values()
    assert active.call._heard.qsize() < 10
    away.set()
    await phone.hang_up()
    await office.clock.advance(60.0)
    assert len(office.sink.of("c1", TranscriptFinal)) == 20
