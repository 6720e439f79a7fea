"""How each carrier is spoken to on the stream that it sends: the one table. Sources: as the dialects in `ingest/`.

A carrier plays what it is sent in order. Some say when a mark has been played and forget what is queued when told to;
for others our own clock says when, and they are never sent more than a moment ahead. Those without a queue (RTP,
AudioSocket) are sent each frame when it is due.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from bridge.ingest.asterisk import WORDS
from bridge.ingest.audiosocket import KINDS, packet
from bridge.ingest.freeswitch import STREAM_MODULE, STREAMING
from bridge.model.stream import Encoding, MediaFormat, StreamStarted

Message: TypeAlias = str | bytes

LINE: Final = MediaFormat(encoding=Encoding.PCMU, sample_rate=8000)
FRAME_MS: Final = 20
AHEAD_S: Final = 0.08
"""What may wait at a carrier that has a queue: against the network's jitter."""
PIECE_MS: Final = 400
"""What FreeSWITCH's modules make a file of: its application starts them one by one."""
EXOTEL_BYTES: Final = 3200
"""The least that Exotel takes in one message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What is sent on one stream."""

    media_format: MediaFormat
    """One leg's, encoded so."""
    audio: Callable[[bytes], Message]
    mark: Callable[[str], Message] | None = None
    """Comes back once what was sent before it has been played. None: the carrier has no marks."""
    clear: Message | None = None
    """What is queued at the carrier is not played. None: it is."""
    clear_returns_marks: bool = True
    """Those that were queued, too; otherwise they are never heard of again."""
    frame_ms: int = FRAME_MS
    ahead_s: float = AHEAD_S
    """How much may be sent before it is played. 0: each frame when it is due."""


def reply_on(started: StreamStarted) -> Reply | None:
    """How a stream's carrier is spoken to; None where it cannot be."""
    reply = REPLIES.get(started.carrier)
    return None if reply is None else reply(started)


def _text(**body: Any) -> str:
    return json.dumps(body, separators=(",", ":"))


def _base64(payload: bytes) -> str:
    return base64.b64encode(payload).decode()


def _known_order(media_format: MediaFormat) -> MediaFormat:
    """L16 whose byte order nobody says is little-endian with all who speak it over WebSockets."""
    little = Encoding.L16_LE if media_format.encoding is Encoding.L16 else media_format.encoding
    return replace(media_format, encoding=little, channels=1)


def _twilio(started: StreamStarted) -> Reply:
    """`<Connect><Stream>`; on a `<Start><Stream>` anything that is sent is an error (31924)."""
    stream = started.stream_id
    return Reply(
        media_format=_known_order(started.media_format),
        audio=lambda payload: _text(event="media", streamSid=stream, media={"payload": _base64(payload)}),
        mark=lambda name: _text(event="mark", streamSid=stream, mark={"name": name}),
        clear=_text(event="clear", streamSid=stream),
    )


def _telnyx(started: StreamStarted) -> Reply:
    """With `stream_bidirectional_mode: rtp`, in the codec of the call."""
    return Reply(
        media_format=_known_order(started.media_format),
        audio=lambda payload: _text(event="media", media={"payload": _base64(payload)}),
        mark=lambda name: _text(event="mark", mark={"name": name}),
        clear=_text(event="clear"),
    )


def _plivo(started: StreamStarted) -> Reply:
    stream, line = started.stream_id, _known_order(started.media_format)
    kind = "audio/x-mulaw" if line.encoding is Encoding.PCMU else "audio/x-l16"

    def audio(payload: bytes) -> str:
        media = {"contentType": kind, "sampleRate": line.sample_rate, "payload": _base64(payload)}
        return _text(event="playAudio", media=media)

    return Reply(
        media_format=line,
        audio=audio,
        mark=lambda name: _text(event="checkpoint", streamId=stream, name=name),
        clear=_text(event="clearAudio", streamId=stream),
    )


def _vonage(started: StreamStarted) -> Reply:
    """Binary messages of exactly 20 ms."""
    return Reply(media_format=_known_order(started.media_format), audio=bytes, clear=_text(action="clear"))


def _exotel(started: StreamStarted) -> Reply:
    """The Voicebot applet: no message shorter than 3.2 kB, all of them multiples of 320 bytes."""
    stream, line = started.stream_id, _known_order(started.media_format)
    width = 1 if line.encoding is Encoding.PCMU else 2
    return Reply(
        media_format=line,
        audio=lambda payload: _text(event="media", stream_sid=stream, media={"payload": _base64(payload)}),
        mark=lambda name: _text(event="mark", stream_sid=stream, mark={"name": name}),
        clear=_text(event="clear", stream_sid=stream),
        frame_ms=1000 * EXOTEL_BYTES // (width * line.sample_rate),
    )


def _bandwidth(_started: StreamStarted) -> Reply:
    """`mode="bidirectional"`."""
    return Reply(
        media_format=LINE,
        audio=lambda payload: _text(
            eventType="playAudio", media={"contentType": "audio/pcmu", "payload": _base64(payload)}
        ),
        clear=_text(eventType="clear"),
    )


def _audiosocket(started: StreamStarted) -> Reply:
    """Asterisk's application has no queue; what `web/audiosocket.py` sends for silence gives way."""
    kind = KINDS[started.media_format.sample_rate]
    return Reply(media_format=started.media_format, audio=lambda payload: packet(kind, payload), ahead_s=0)


def _asterisk(started: StreamStarted) -> Reply:
    """Commands in words or as JSON, as the channel's events come. What has frames of any length (Opus) is passed
    through: there are neither marks nor a way to clear.
    """
    line = started.media_format
    if line.encoding is Encoding.OPUS:
        return Reply(media_format=line, audio=bytes)
    if started.variant == WORDS:
        return Reply(
            media_format=line,
            audio=bytes,
            mark=lambda name: f"MARK_MEDIA {name}",
            clear="FLUSH_MEDIA",
            clear_returns_marks=False,
        )
    return Reply(
        media_format=line,
        audio=bytes,
        mark=lambda name: _text(command="MARK_MEDIA", correlation_id=name),
        clear=_text(command="FLUSH_MEDIA"),
        clear_returns_marks=False,
    )


def _freeswitch(started: StreamStarted) -> Reply:
    """The mod_audio_fork of jambonz plays what it is streamed. Other modules make a file of each message and tell their
    application with an event (`mod_audio_fork::play_audio`, `mod_audio_stream::play`), which starts it, and stops it
    at `killAudio`.
    """
    if started.variant == STREAMING:
        return _jambonz(started)
    line = started.media_format

    def forked(payload: bytes) -> str:
        content = {"audioContentType": "raw", "sampleRate": line.sample_rate, "audioContent": _base64(payload)}
        return _text(type="playAudio", data=content)

    def streamed(payload: bytes) -> str:
        content = {"audioDataType": "raw", "sampleRate": line.sample_rate, "audioData": _base64(payload)}
        return _text(type="streamAudio", data=content)

    return Reply(
        media_format=line,
        audio=streamed if started.variant == STREAM_MODULE else forked,
        clear=_text(type="killAudio"),
        frame_ms=PIECE_MS,
    )


def _jambonz(started: StreamStarted) -> Reply:
    """`bidirectionalAudio` with `streaming`, at the rate of what comes.

    Marks lie in its buffer as samples of −1: such a sample would set one off.
    """

    def audio(payload: bytes) -> bytes:
        samples = memoryview(payload).cast("h")
        return b"".join(b"\0\0" if sample == -1 else sample.to_bytes(2, "little", signed=True) for sample in samples)

    return Reply(
        media_format=_known_order(started.media_format),
        audio=audio,
        mark=lambda name: _text(type="mark", data={"name": name}),
        clear=_text(type="killAudio"),
    )


def _packets(started: StreamStarted) -> Reply:
    """RTP: one party's voice, whatever comes; `PacketsBack` of `web/` makes packets of it."""
    return Reply(media_format=replace(started.media_format, channels=1), audio=bytes, ahead_s=0)


REPLIES: Final[Mapping[str, Callable[[StreamStarted], Reply]]] = {
    "twilio": _twilio,
    "telnyx": _telnyx,
    "signalwire": _twilio,
    "plivo": _plivo,
    "vonage": _vonage,
    "exotel": _exotel,
    "bandwidth": _bandwidth,
    "jambonz": _jambonz,
    "freeswitch": _freeswitch,
    "asterisk": _asterisk,
    "audiosocket": _audiosocket,
    "rtp": _packets,
    "webrtc": _packets,
}
"""By the name of the dialect."""
