"""A bot's audio on its way to a carrier, in seconds that a test counts."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bridge.audio.decode import decoder_for
from bridge.carrier.side import Dialled
from bridge.dialects import DIALECTS, Dialect
from bridge.ingest.asterisk import WORDS
from bridge.ingest.conversation import Handshake
from bridge.ingest.freeswitch import FORK, STREAM_MODULE, STREAMING
from bridge.model.stream import Encoding, Leg, MarkReached, MediaFormat, StreamStarted
from bridge.talk.playback import FULL_S, STALLED_S, MarkDone, Playback
from bridge.talk.replies import AHEAD_S, LINE, REPLIES, Message, Reply, reply_on
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
    token = json.loads(sent[-1][1])["mark"]["name"]
    assert playback.reached("greeting") == []
    assert playback.reached(token) == [MarkDone("greeting")]
    assert playback.reached(token) == []


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
    before, _ = run(playback, 0.1)
    playback.clear(0.1)
    playback.push(bytes(160), 0.1)
    playback.mark("second")
    after, _ = run(playback, 0.5, start=0.1)
    first, second = (json.loads(sent[-1][1])["mark"]["name"] for sent in (before, after))
    assert playback.reached(first) == [MarkDone("first", cleared=True)]
    assert playback.reached(second) == [MarkDone("second")]


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


EVERY_FORMAT = [
    pytest.param(dialect, each, id=f"{dialect.name}-{each.encoding}-{each.sample_rate}")
    for dialect in DIALECTS.values()
    if dialect.name in REPLIES
    for each in dialect.speak(Dialled(legs=(Leg.CALLER,))).offered
    if each.encoding is not Encoding.L16_BE  # Telnyx names no byte order: it is sent the usual one
]


@pytest.mark.parametrize(("dialect", "line"), EVERY_FORMAT)
def test_every_carrier_plays_what_the_bot_says(dialect: Dialect, line: MediaFormat) -> None:
    """In its own form and codec: its half of the conversation hears all of it, and says when."""
    side = dialect.speak(Dialled(legs=(Leg.CALLER,), media_format=line))
    hearing = dialect.hear(Handshake(url="", headers={"Sec-WebSocket-Protocol": FORK}, query={}))
    spoken = [*side.opening(), *side.media(0, {Leg.CALLER: bytes(320)})]
    [start] = [item for said in spoken for item in hearing.receive(said) if isinstance(item, StreamStarted)]
    reply = reply_on(start)
    assert reply is not None
    playback = Playback(reply, ULAW)
    playback.push(bytes([0x55, 0xD5]) * 4000, 0.0)
    playback.mark("end")
    sent, done = run(playback, 2.0)
    answers = [answer for _, message in sent for answer in side.hear(message)]
    reached = [item.name for answer in answers for item in hearing.receive(answer) if isinstance(item, MarkReached)]
    told = [mark for token in reached for mark in playback.reached(token)] + [mark for _, mark in done]
    assert told == [MarkDone("end")]
    decoder = decoder_for(line, Leg.AGENT)
    heard = sum(len(decoder.decode(payload)) for payload in side.answer)
    assert heard / line.sample_rate == pytest.approx(1, abs=reply.frame_ms / 1000)


def test_asterisk_is_told_in_words_where_it_speaks_in_words() -> None:
    """As its channel is set up; what is passed through has neither marks nor a way to clear."""
    reply = reply_on(replace(started("asterisk"), variant=WORDS))
    assert reply is not None
    assert reply.mark is not None
    assert (reply.mark("7-1"), reply.clear) == ("MARK_MEDIA 7-1", "FLUSH_MEDIA")
    opus = reply_on(started("asterisk", MediaFormat(encoding=Encoding.OPUS, sample_rate=48_000)))
    assert opus is not None
    assert (opus.mark, opus.clear) == (None, None)


@pytest.mark.parametrize(("module", "said"), [(FORK, "playAudio"), (STREAM_MODULE, "streamAudio")])
def test_freeswitchs_modules_are_told_each_in_its_own_words(module: str, said: str) -> None:
    """A file's worth in one message; jambonz's build of the one plays samples as they come."""
    reply = reply_on(replace(started("freeswitch", WIDE), variant=module))
    assert reply is not None
    message = reply.audio(b"ab")
    assert isinstance(message, str)
    assert json.loads(message)["type"] == said
    streaming = reply_on(replace(started("freeswitch", WIDE), variant=STREAMING))
    assert streaming is not None
    assert streaming.audio(b"ab") == b"ab"


def test_a_carrier_without_a_queue_is_sent_each_frame_when_it_is_due() -> None:
    """None before its time. After a moment in which nothing could be sent the beat is caught up with; a longer one is
    not made up for.
    """
    playback = Playback(replace(twilio(), ahead_s=0), ULAW)
    playback.push(bytes(16_000), 0.0)
    sent, _ = run(playback, 0.2)
    assert [at for at, _ in sent] == [pytest.approx(0.02 * number, abs=0.011) for number in range(10)]
    assert len(playback.due(0.25)[0]) == 3
    assert len(playback.due(5.0)[0]) == 6
    assert playback.wait_s(5.0) == pytest.approx(0.02)


def test_what_comes_after_a_pause_is_not_late() -> None:
    """Nothing was to be played meanwhile: the next frame goes alone."""
    playback = Playback(replace(twilio(), ahead_s=0), ULAW)
    playback.push(bytes(160), 0.0)
    playback.due(0.0)
    playback.push(bytes(1600), 0.05)
    assert len(playback.due(0.05)[0]) == 1


def test_a_carrier_that_takes_no_more_is_sent_none() -> None:
    """Until it does again; then no burst makes up for the time."""
    playback = Playback(twilio(), ULAW)
    playback.push(bytes(16_000), 0.0)
    playback.hold(True)
    assert run(playback, 1.0) == ([], [])
    assert playback.wait_s(1.0) is None
    playback.hold(False)
    assert len(playback.due(1.0)[0]) == AHEAD_S / 0.02 + 1


def test_marks_that_a_carrier_drops_are_told_at_once() -> None:
    """Asterisk says nothing of those that it has flushed."""
    playback = Playback(replace(twilio(), clear_returns_marks=False), ULAW)
    playback.push(bytes(160), 0.0)
    playback.mark("first")
    run(playback, 0.1)
    assert playback.clear(0.1)[1] == [MarkDone("first", cleared=True)]


def test_a_sample_that_would_set_off_a_mark_is_not_sent_to_jambonz() -> None:
    """−1 becomes 0, all others stay."""
    reply = reply_on(started("jambonz", WIDE))
    assert reply is not None
    assert reply.audio(np.array([-1, 1, -2, 300], "<i2").tobytes()) == np.array([0, 1, -2, 300], "<i2").tobytes()


def test_what_cannot_be_answered_is_not_in_the_table() -> None:
    """A recording session has nobody to talk to."""
    assert reply_on(started("siprec")) is None
