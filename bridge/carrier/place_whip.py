"""Placing a call over WebRTC: an offer to a WHIP endpoint (RFC 9725), then RTP packets, each when it is due."""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Final

import aiohttp
import numpy as np
import soxr

from bridge.carrier.audio import FRAME_MS, CallAudio, EncodedAudio, encode
from bridge.carrier.faults import disturb
from bridge.carrier.place import ORDINARY, CallReport, Manner, paced
from bridge.carrier.rtp import KEYS_TYPE, TYPES, RtpSide
from bridge.carrier.side import Dialled, Timed, chosen_format, conversation
from bridge.errors import CallRefusedError, CarrierProtocolError
from bridge.ingest.sdp import Codec, Peer, Role, audio_section, written
from bridge.ingest.webrtc import RtpLine, read_description
from bridge.ingest.whip import FORMATS, Channels
from bridge.model.stream import Encoding, Leg, MediaFormat
from bridge.ports import Clock
from callcodecs.opus import FRAME, SAMPLE_RATE, OpusEncoder

NAME: Final = "whip"
"""Of the dialect, for people."""

CONNECTED_WITHIN_S: Final = 15.0

OFFERED: Final[tuple[MediaFormat, ...]] = tuple(FORMATS.values())
"""The usual one first."""

STEREO_BIT_RATE: Final = 64_000


@dataclass(frozen=True, slots=True, kw_only=True)
class WhipSide:
    """A call as one track: what is sent, and as what it is offered."""

    rtp: RtpSide
    audio: EncodedAudio
    codecs: tuple[Codec, ...]
    channels: Channels
    hears: bool = False
    """Asks to be answered."""

    @classmethod
    def of(cls, call: Dialled, recording: CallAudio, *, hears: bool = False) -> WhipSide:
        """Two parties go side by side in stereo Opus, or mixed in a codec that has but one channel.

        Raises InvalidRequestError for a format that WebRTC does not have.
        """
        media_format = chosen_format(call, OFFERED)
        stereo = len(call.legs) > 1 and media_format.encoding is Encoding.OPUS
        channels = Channels.STEREO if stereo else Channels.MIXED if len(call.legs) > 1 else Channels.MONO
        rtp = RtpSide(replace(call, legs=(Leg.CALLER,), media_format=media_format))
        if stereo:
            audio = encode_stereo(recording)
        else:
            mixed = recording.on_line((Leg.MIXED,) if channels is Channels.MIXED else call.legs)
            audio = encode(CallAudio({Leg.CALLER: next(iter(mixed.legs.values()))}, mixed.sample_rate), media_format)
        name, clock_rate = next(key for key, known in FORMATS.items() if known == media_format)
        parameters = "stereo=1;sprop-stereo=1" if stereo else ""
        opus = media_format.encoding is Encoding.OPUS
        codec = Codec(
            payload_type=TYPES[media_format],
            name=name.lower() if opus else name,
            clock_rate=clock_rate,
            channels=2 if opus else 1,
            parameters=parameters,
        )
        keys = Codec(payload_type=KEYS_TYPE, name="telephone-event", clock_rate=clock_rate)
        return cls(rtp=rtp, audio=audio, codecs=(codec, keys), channels=channels, hears=hears)

    def offer(self, us: Peer) -> str:
        """RFC 9725 §4.2: one track, only sent unless an answer is to be heard."""
        direction = "sendrecv" if self.hears else "sendonly"
        section = audio_section(us, self.codecs, mid="0", direction=direction, setup="actpass")
        return written([section], session=secrets.randbits(62), bundled="0")


def encode_stereo(recording: CallAudio) -> EncodedAudio:
    """The caller left and the agent right, in one payload: it stands as the caller's."""
    parties = [recording.legs[leg] for leg in (Leg.CALLER, Leg.AGENT)]
    both = soxr.resample(np.stack(parties, axis=1), recording.sample_rate, SAMPLE_RATE)
    both = np.pad(both, ((0, -len(both) % FRAME), (0, 0)))
    encoder = OpusEncoder(STEREO_BIT_RATE, channels=2)
    packets = [encoder.encode(both[at : at + FRAME].reshape(-1)) for at in range(0, len(both), FRAME)]
    return EncodedAudio([{Leg.CALLER: packet} for packet in packets], FRAME_MS, (Leg.CALLER,))


async def place_whip_call(
    url: str,
    side: WhipSide,
    *,
    parameters: Mapping[str, str],
    token: str | None = None,
    clock: Clock,
    manner: Manner = ORDINARY,
    progress: Callable[[float], None] | None = None,
) -> CallReport:
    """Be a publisher for one call, from the offer to the DELETE. Cut off (`Faults.hang_up_at_ms`) it asks for no end.

    Raises CallRefusedError when the offer is refused, or no audio would get through. `close_code` is 1000 for a call
    that was taken to its end, as a WebSocket's would be.
    """
    report = CallReport(side.audio)
    lost = asyncio.Event()
    line = RtpLine(heard=side.rtp.hear_packet, lost=lost.set, controlling=True)
    headers = {} if token is None else {aiohttp.hdrs.AUTHORIZATION: f"Bearer {token}"}
    await clock.sleep(manner.delay_s)
    try:
        async with aiohttp.ClientSession(headers=headers) as session:
            answer, where = await _offered(session, url, side, await line.gather(), parameters)
            await _connected(line, answer, side)
            messages = disturb(conversation(side.rtp, side.audio, manner.keys), manner.faults)
            async for timed in paced(messages, manner.speed, clock, report):
                if lost.is_set() or not await _send(line, timed, clock, report):
                    lost.set()
                    break
                if progress is not None:
                    progress(timed.due_ms)
            if not math.isfinite(manner.faults.hang_up_at_ms):
                async with session.delete(where) as deleted:
                    ended = deleted.status == HTTPStatus.OK and not lost.is_set()
                report.close_code = aiohttp.WSCloseCode.OK if ended else None
    finally:
        await line.close()
    report.ended_at = clock.now()
    return report


async def _offered(
    session: aiohttp.ClientSession, url: str, side: WhipSide, us: Peer, parameters: Mapping[str, str]
) -> tuple[str, str]:
    """The answer, and where the session is."""
    asked = {**parameters, "channels": side.channels.value, **({"talk": "on"} if side.hears else {})}
    try:
        async with session.post(
            url, data=side.offer(us), params=asked, headers={"Content-Type": "application/sdp"}
        ) as response:
            text = await response.text()
            if response.status != HTTPStatus.CREATED:
                raise CallRefusedError(f"HTTP {response.status} {response.reason}", status=response.status)
            where = response.url.join(type(response.url)(response.headers.get(aiohttp.hdrs.LOCATION, "")))
            return text, str(where)
    except (aiohttp.ClientError, OSError, ValueError) as error:  # ValueError: an address that is none
        raise CallRefusedError(str(error), status=None) from None


async def _connected(line: RtpLine, answer: str, side: WhipSide) -> None:
    try:
        sections = read_description(answer)
        (section,) = [each for each in sections if each.kind == "audio"]
        role: Role = "server" if section.setup == "active" else "client"
        async with asyncio.timeout(CONNECTED_WITHIN_S):
            await line.connect(section.peer, role=role, codecs=side.codecs)
    except (CarrierProtocolError, TimeoutError, ValueError) as error:
        reason = str(error) or f"no way to the server within {CONNECTED_WITHIN_S:g} s: is UDP blocked?"
        raise CallRefusedError(reason, status=None) from None


async def _send(line: RtpLine, timed: Timed, clock: Clock, report: CallReport) -> bool:
    """False when nobody is there any more."""
    if timed.frame is not None and math.isnan(report.sent[timed.frame]):
        report.sent[timed.frame] = clock.now()
    try:
        await line.send(timed.message.encode() if isinstance(timed.message, str) else timed.message)
    except ConnectionError:
        return False
    report.messages_sent += 1
    return True
