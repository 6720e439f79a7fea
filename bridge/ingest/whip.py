"""WHIP (RFC 9725) without its HTTP: which offers are taken, and how they are answered.

One audio track in one codec, the first of the offer that is known here, and telephone-event beside it. Video is
declined, not refused: OBS offers it whatever it is set to (a strict reading of §4.4 would refuse the whole offer).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from bridge.errors import CarrierProtocolError, InvalidRequestError, UnsupportedMediaError
from bridge.ingest.sdp import SETUP, Codec, Peer, Role, Section, audio_section, with_candidates, written
from bridge.model.stream import Encoding, Leg, MediaFormat

CARRIER: Final = "webrtc"


class Channels(StrEnum):
    """Whose voices a track carries; the words are those of FreeSWITCH's mod_audio_fork."""

    MONO = "mono"
    """The caller's."""
    MIXED = "mixed"
    """All parties' in one."""
    STEREO = "stereo"
    """The caller's on the left, the agent's on the right."""


LEGS: Final[Mapping[Channels, tuple[Leg, ...]]] = {
    Channels.MONO: (Leg.CALLER,),
    Channels.MIXED: (Leg.MIXED,),
    Channels.STEREO: (Leg.CALLER, Leg.AGENT),
}

FORMATS: Final[Mapping[tuple[str, int], MediaFormat]] = {
    ("OPUS", 48_000): MediaFormat(encoding=Encoding.OPUS, sample_rate=48_000),
    ("G722", 8_000): MediaFormat(encoding=Encoding.G722, sample_rate=16_000),
    ("PCMU", 8_000): MediaFormat(encoding=Encoding.PCMU, sample_rate=8_000),
    ("PCMA", 8_000): MediaFormat(encoding=Encoding.PCMA, sample_rate=8_000),
}
"""By name and RTP clock."""

KEYS: Final = "TELEPHONE-EVENT"
"""RFC 4733."""

OPUS_ANSWER: Final = "minptime=10;useinbandfec=0;usedtx=0;stereo={stereo};sprop-stereo=0"
"""RFC 7587 §6.1. No redundancy and no pauses: what is lost is said to be, and silence is heard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """What an offer comes down to."""

    sections: tuple[Section, ...]
    audio: Section
    codec: Codec
    keys: Codec | None
    """How keys are told, where they can be."""
    media_format: MediaFormat
    legs: tuple[Leg, ...]
    peer: Peer
    role: Role
    """Ours."""
    both_ways: bool = False
    """The publisher hears us, too."""

    @property
    def codecs(self) -> tuple[Codec, ...]:
        return (self.codec,) if self.keys is None else (self.codec, self.keys)

    def answer(self, us: Peer, *, session: int) -> str:
        """The answer. Its sections are those of the offer, in their order (RFC 3264 §6)."""
        direction = "sendrecv" if self.both_ways else "recvonly"
        ours = audio_section(us, self.codecs, mid=self.audio.mid, direction=direction, setup=SETUP[self.role])
        sections = [ours if each is self.audio else each.refused for each in self.sections]
        return written(sections, session=session, bundled=self.audio.mid or None)


def agree(sections: tuple[Section, ...], channels: str, *, both_ways: bool = False) -> Agreed:
    """`both_ways`: an offer of `sendrecv` is taken at its word, which RFC 9725 §4.2 does not foresee.

    Raises InvalidRequestError for `channels` that are none, UnsupportedMediaError, CarrierProtocolError.
    """
    wanted = _channels(channels)
    audio = _audio(sections)
    codec, media_format = _codec(audio, wanted)
    keys = [each for each in audio.codecs if each.name.upper() == KEYS and each.clock_rate == codec.clock_rate]
    return Agreed(
        sections=sections,
        audio=audio,
        codec=codec,
        keys=keys[0] if keys else None,
        media_format=media_format,
        legs=LEGS[wanted],
        peer=with_candidates(audio.peer, [each.peer for each in sections]),
        role="client" if audio.setup == "passive" else "server",
        both_ways=both_ways and audio.direction == "sendrecv",
    )


def _channels(given: str) -> Channels:
    try:
        return Channels(given)
    except ValueError:
        known = ", ".join(Channels)
        raise InvalidRequestError("no such channels", fields={"channels": f"one of {known}"}) from None


def _audio(sections: tuple[Section, ...]) -> Section:
    found = [section for section in sections if section.kind == "audio"]
    if len(found) != 1:
        raise UnsupportedMediaError(f"{len(found)} audio tracks in the offer; one is taken (RFC 9725 §4.4.1)")
    (audio,) = found
    if audio.direction not in {"sendonly", "sendrecv"}:
        raise UnsupportedMediaError(f"an offer to be {audio.direction}, where only sending makes sense (RFC 9725 §4.2)")
    if not audio.muxed:
        raise UnsupportedMediaError("an offer without rtcp-mux (RFC 9725 §4.4)")
    if not (audio.peer.ufrag and audio.peer.password and audio.peer.fingerprints and audio.setup):
        raise CarrierProtocolError("an offer without ICE credentials, fingerprint or setup")
    return audio


def _codec(audio: Section, wanted: Channels) -> tuple[Codec, MediaFormat]:
    stereo = wanted is Channels.STEREO
    for codec in audio.codecs:
        media_format = FORMATS.get((codec.name.upper(), codec.clock_rate))
        if media_format is None or (stereo and media_format.encoding is not Encoding.OPUS):
            continue
        if media_format.encoding is not Encoding.OPUS:
            return replace(codec, parameters=""), media_format
        answered = replace(codec, parameters=OPUS_ANSWER.format(stereo=int(stereo)))
        return answered, replace(media_format, channels=2 if stereo else 1)
    known = "opus" if stereo else ", ".join(name for name, _ in FORMATS)
    offered = ", ".join(ascii(codec.name) for codec in audio.codecs)[:200]
    raise UnsupportedMediaError(f"none of {offered or 'no codecs'} is decoded here{' in stereo' * stereo}; {known} is")
