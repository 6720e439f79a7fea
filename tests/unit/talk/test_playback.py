"""A bot's audio on its way to a carrier, in seconds that a test counts."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bridge.model.stream import Encoding, Leg, MediaFormat, StreamStarted
from bridge.talk.playback import AHEAD_S, FULL_S, STALLED_S, MarkDone, Playback
from bridge.talk.replies import LINE, REPLIES, Message, Reply, reply_on
from callcodecs import g711

ULAW = MediaFormat(encoding=Encoding.PCMU, sample_rate=8000)
WIDE = MediaFormat(encoding=Encoding.L16_LE, sample_rate=16_000)


def started(carrier: str = "twilio", media_format: MediaFormat = LINE) -> StreamStarted:
    return StreamStarted(
        carrier=carrier, carrier_call_id="CA1", stream_id="MZ1", legs=(Leg.CALLER,), media_format=media_format
    )


def twilio() -> Reply:
    reply = reply_on(started())
    assert reply is not None
    return reply


def spoken(messages: list[Message]) -> bytes:
    """The audio of Twilio's messages."""
    bodies = [json.loads(message) for message in messages]
    return b"".join(base64.b64decode(body["media"]["payload"]) for body in bodies if body["event"] == "media")


def run(playback: Playback, seconds: float, *, start: float = 0.0) -> tuple[list[tuple[float, Message]], list[Any]]:
    """Every message with the moment at which it was sent, and the marks reached."""
    sent, done = [], []
    for tick in range(round(seconds * 100)):
        now = start + tick / 100
        messages, marks = playback.due(now)
        sent += [(now, message) for message in messages]
        done += [(now, mark) for mark in marks]
    return sent, done


def test_what_the_bot_says_is_what_is_played() -> None:
    """μ-law in, μ-law out: sample for sample, however it was cut."""
    said = bytes(np.random.default_rng(1).integers(0, 256, 8000, dtype=np.uint8))
    playback = Playback(twilio(), ULAW)
    for at in range(0, len(said), 333):
        playback.push(said[at : at + 333], 0.0)
    sent, _ = run(playback, 2.0)
    heard = spoken([message for _, message in sent])
    assert np.array_equal(g711.decode_ulaw(heard), g711.decode_ulaw(said))


def test_it_goes_at_the_pace_of_speech() -> None:
    """Never more than a moment ahead of what is played, and never behind it."""
    playback = Playback(twilio(), ULAW)
    playback.push(bytes(16_000), 0.0)
    sent, _ = run(playback, 3.0)
    assert len(sent) == 100
    for number, (at, _) in enumerate(sent):
        assert number * 0.02 - AHEAD_S - 0.03 <= at <= number * 0.02 + 1e-9


def test_another_rate_is_changed_on_the_way() -> None:
    """A tone of 440 Hz at 16 kHz is one at 8 kHz."""
    tone = (8000 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)).astype("<i2").tobytes()
    playback = Playback(twilio(), WIDE)
    playback.push(tone, 0.0)
    playback.mark("end")
    sent, _ = run(playback, 2.0)
    heard = g711.decode_ulaw(spoken([message for _, message in sent])).astype(float)
    assert len(heard) == pytest.approx(8000, abs=160)
    assert np.argmax(np.abs(np.fft.rfft(heard[:8000]))) == pytest.approx(440, abs=1)


def test_a_mark_comes_behind_its_audio_and_back_when_the_carrier_says_so() -> None:
    """Twilio gives it back; a name that nobody sent is nobody's."""
    playback = Playback(twilio(), ULAW)
    playback.push(bytes(1600), 0.0)
    playback.mark("greeting")
    sent, _ = run(playback, 1.0)
    assert json.loads(sent[-1][1])["mark"] == {"name": "greeting"}
    assert playback.reached("another") == []
    assert playback.reached("greeting") == [MarkDone("greeting")]
    assert playback.reached("greeting") == []


def test_a_carrier_without_marks_is_counted_for() -> None:
    """The mark is reached when 200 ms have been played, not when they were sent."""
    playback = Playback(replace(twilio(), mark=None), ULAW)
    playback.push(bytes(1600), 0.0)
    playback.mark("greeting")
    _, done = run(playback, 1.0)
    assert done == [(pytest.approx(0.2, abs=0.011), MarkDone("greeting"))]


def test_clear_leaves_next_to_nothing_to_be_heard() -> None:
    """The queue is gone at once, the carrier is told, and what it has is less than a tenth of a second."""
    playback = Playback(twilio(), ULAW)
    playback.push(bytes(16_000), 0.0)
    playback.mark("end")
    before, _ = run(playback, 0.5)
    assert len(before) * 0.02 - 0.49 <= 0.1
    messages, done = playback.clear(0.5)
    assert [json.loads(message) for message in messages] == [{"event": "clear", "streamSid": "MZ1"}]
    assert done == [MarkDone("end", cleared=True)]
    assert not playback.playing(0.5)
    assert run(playback, 1.0, start=0.5) == ([], [])


def test_a_mark_that_is_cleared_at_the_carrier_comes_back_as_cleared() -> None:
    """One that was sent before the clear; a later one is played."""
    playback = Playback(twilio(), ULAW)
    playback.push(bytes(160), 0.0)
    playback.mark("first")
    run(playback, 0.1)
    playback.clear(0.1)
    playback.push(bytes(160), 0.1)
    playback.mark("second")
    run(playback, 0.5, start=0.1)
    assert playback.reached("first") == [MarkDone("first", cleared=True)]
    assert playback.reached("second") == [MarkDone("second")]


def test_the_end_of_a_sound_is_played_without_being_asked_for() -> None:
    """Less than a frame is filled with silence once nothing follows it."""
    playback = Playback(twilio(), ULAW)
    playback.push(bytes(100), 0.0)
    assert playback.due(STALLED_S / 2) == ([], [])
    messages, _ = playback.due(STALLED_S)
    assert len(spoken(messages)) == 160


def test_a_bot_that_is_far_ahead_is_told_to_wait() -> None:
    """Half a minute waits; when some of it has been played there is room."""
    playback = Playback(twilio(), ULAW)
    playback.push(bytes(round(FULL_S * 8000) + 8000), 0.0)
    assert playback.full
    run(playback, 2.0)
    assert not playback.full


@pytest.mark.parametrize("carrier", REPLIES)
def test_every_carrier_is_spoken_to_in_its_own_form(carrier: str) -> None:
    """Text or binary as it takes them, in its codec, in frames that it takes."""
    line = WIDE if carrier in {"vonage", "jambonz", "exotel"} else ULAW
    reply = reply_on(started(carrier, line))
    assert reply is not None
    playback = Playback(reply, ULAW)
    playback.push(bytes([0x55]) * 8000, 0.0)
    playback.mark("end")
    sent, done = run(playback, 2.0)
    audio = [message for _, message in sent if message != (reply.mark("end") if reply.mark else None)]
    assert len(audio) == pytest.approx(1000 / reply.frame_ms, abs=1)
    if carrier in {"vonage", "jambonz"}:
        assert all(isinstance(message, bytes) and len(message) == 640 for message in audio)
    else:
        payloads = [body.get("media", {}).get("payload") for body in map(json.loads, audio)]
        sizes = {len(base64.b64decode(payload)) for payload in payloads}
        assert sizes == ({3200} if carrier == "exotel" else {160})
    assert bool(done) == (reply.mark is None)


def test_a_sample_that_would_set_off_a_mark_is_not_sent_to_jambonz() -> None:
    """−1 becomes 0, all others stay."""
    reply = reply_on(started("jambonz", WIDE))
    assert reply is not None
    assert reply.audio(np.array([-1, 1, -2, 300], "<i2").tobytes()) == np.array([0, 1, -2, 300], "<i2").tobytes()


def test_what_cannot_be_answered_is_not_in_the_table() -> None:
    """A recording session has nobody to talk to."""
    assert reply_on(started("siprec")) is None
