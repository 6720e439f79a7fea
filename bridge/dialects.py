"""The one table of dialects: routes, `callbridge play --dialect` and the documents are made from it.

A new carrier is a file in `ingest/`, a file in `carrier/`, and a row here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from bridge.carrier.asterisk import AsteriskSide
from bridge.carrier.audiosocket import AudioSocketSide
from bridge.carrier.bandwidth import BandwidthSide
from bridge.carrier.exotel import ExotelSide
from bridge.carrier.freeswitch import FreeSwitchSide
from bridge.carrier.genesys import GenesysSide
from bridge.carrier.jambonz import JambonzSide
from bridge.carrier.plivo import PlivoSide
from bridge.carrier.side import SideMaker
from bridge.carrier.signalwire import SignalWireSide
from bridge.carrier.telnyx import TelnyxSide
from bridge.carrier.twilio import TwilioSide
from bridge.carrier.vonage import VonageSide
from bridge.carrier.websocket import WebSocketSide
from bridge.ingest import genesys_signature, plivo_signature, twilio_signature, vonage_signature
from bridge.ingest.asterisk import SUBPROTOCOLS as MEDIA
from bridge.ingest.asterisk import AsteriskStream
from bridge.ingest.audiosocket import AudioSocketStream
from bridge.ingest.bandwidth import BandwidthStream
from bridge.ingest.conversation import Conversation, Handshake
from bridge.ingest.exotel import ExotelStream
from bridge.ingest.forked import SUBPROTOCOLS as FORKED
from bridge.ingest.freeswitch import FreeSwitchStream
from bridge.ingest.genesys import GenesysStream
from bridge.ingest.jambonz import JambonzStream
from bridge.ingest.plivo import PlivoStream
from bridge.ingest.signalwire import SignalWireStream
from bridge.ingest.signatures import OneUse
from bridge.ingest.telnyx import TelnyxStream
from bridge.ingest.twilio import TwilioStream
from bridge.ingest.vonage import VonageStream
from bridge.ingest.websocket import WebSocketStream
from bridge.settings import Settings

AUDIOSOCKET_PORT: Final = Settings.model_fields["audiosocket_port"].default


class Frames(StrEnum):
    """What a dialect's messages are: a WebSocket's, but for one."""

    TEXT = "text"
    BINARY = "binary"
    BOTH = "text and binary"
    TCP = "TCP packets"
    """No WebSocket: a port of its own."""


class Proof(StrEnum):
    """How a carrier shows that it may call."""

    SIGNATURE = "signature"
    """The carrier signs its upgrade; checked, and then required, once its secret is set."""
    BEARER = "Authorization: Bearer"
    BARE = "Authorization"
    """With or without `Bearer`."""
    BASIC = "Authorization: Basic"
    """The credential is the password; the user's name is of no account."""
    API_KEY = genesys_signature.API_KEY
    QUERY = "?token="
    PARAMETER = "token parameter"
    """A custom parameter of the stream's start: nothing is heard before it has been checked."""
    SOURCE = "source address"
    ANNOUNCED = "announced UUID"
    """One that was told over HTTP before the call."""
    NETWORK = "network"
    """Any call from there: `CALLBRIDGE_AUDIOSOCKET_NETWORKS`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One way in which carriers send calls."""

    name: str
    title: str
    summary: str
    frames: Frames
    proofs: tuple[Proof, ...]
    """What the dialect can carry, the strongest first."""
    hear: Callable[[Handshake], Conversation]
    """Our half of a conversation."""
    speak: SideMaker
    """The carrier's half."""
    signed: Callable[[Handshake, Settings, float], OneUse | bool | None] = lambda _handshake, _settings, _now: None
    """Whether the upgrade's signature is right at a Unix time, as a OneUse when it is so once; None where no secret is
    set to check it with.
    """
    subprotocols: tuple[str, ...] = ()
    """All names the carrier may offer; the one it does is answered, and none is required."""

    @property
    def path(self) -> str:
        """Of its WebSocket."""
        return f"/v1/media/{self.name}"

    @property
    def place(self) -> str:
        """Where calls come in, for people."""
        return f"TCP `:{AUDIOSOCKET_PORT}`" if self.frames is Frames.TCP else f"`{self.path}`"


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherWay:
    """One way in which calls come that is no WebSocket: its row for people, whatever its code is."""

    name: str
    title: str
    path: str
    """What is asked for, or where it is sent."""
    summary: str
    proofs: tuple[Proof, ...]

    @property
    def place(self) -> str:
        """Where calls come in, for people."""
        return f"`{self.path}`"


class Row(Protocol):
    """What both have to show."""

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def place(self) -> str: ...
    @property
    def summary(self) -> str: ...
    @property
    def proofs(self) -> tuple[Proof, ...]: ...


def _twilio_signed(handshake: Handshake, settings: Settings, _now: float) -> bool | None:
    secret = settings.twilio_auth_token
    if secret is None:
        return None
    return twilio_signature.upgrade_is_signed(secret.get_secret_value(), handshake.url, handshake.headers)


def _plivo_signed(handshake: Handshake, settings: Settings, _now: float) -> bool | None:
    secret = settings.plivo_auth_token
    if secret is None:
        return None
    return plivo_signature.upgrade_is_signed(secret.get_secret_value(), handshake.url, handshake.headers)


def _vonage_signed(handshake: Handshake, settings: Settings, now: float) -> OneUse | bool | None:
    secret = settings.vonage_signature_secret
    if secret is None:
        return None
    authorization = handshake.headers.get("Authorization", "")
    return vonage_signature.signed_once(secret.get_secret_value(), authorization, now=now) or False


def _genesys_signed(handshake: Handshake, settings: Settings, now: float) -> OneUse | bool | None:
    secret = settings.genesys_client_secret
    if secret is None:
        return None
    key = secret.get_secret_value()
    return genesys_signature.signed_once(key, handshake.url, handshake.headers, now=now) or False


def in_markdown(rows: Iterable[Row], *, page: str = "{title}") -> str:
    """The table for people; `page` is how a title is written, with `{title}` and `{name}`."""
    cells = [
        (
            page.format(title=row.title, name=row.name),
            row.place,
            row.summary.replace("<", "\\<"),
            ", ".join(
                f"`{proof}`" if proof.startswith(("Authorization", "X-", "?")) else proof for proof in row.proofs
            ),
        )
        for row in rows
    ]
    head = "| carrier | where | what comes | how it is let in |\n|---|---|---|---|\n"
    return head + "".join(f"| {' | '.join(row)} |\n" for row in cells)


DIALECTS: Final[Mapping[str, Dialect]] = {
    dialect.name: dialect
    for dialect in (
        Dialect(
            name="twilio",
            title="Twilio Media Streams",
            summary="<Start><Stream> and <Connect><Stream>: both parties as tracks of their own, μ-law at 8 kHz",
            frames=Frames.TEXT,
            proofs=(Proof.SIGNATURE, Proof.BEARER, Proof.PARAMETER),
            hear=lambda _handshake: TwilioStream(),
            speak=TwilioSide,
            signed=_twilio_signed,
        ),
        Dialect(
            name="telnyx",
            title="Telnyx media streaming",
            summary="TeXML <Stream> and streaming_start: both parties, in the call's own codec",
            frames=Frames.TEXT,
            proofs=(Proof.BEARER, Proof.BARE, Proof.QUERY, Proof.PARAMETER),
            hear=lambda handshake: TelnyxStream(handshake.query),
            speak=TelnyxSide,
        ),
        Dialect(
            name="signalwire",
            title="SignalWire streams",
            summary="cXML <Stream> and SWML stream: both parties, μ-law or L16",
            frames=Frames.TEXT,
            proofs=(Proof.BEARER, Proof.PARAMETER),
            hear=lambda _handshake: SignalWireStream(),
            speak=SignalWireSide,
        ),
        Dialect(
            name="plivo",
            title="Plivo audio streaming",
            summary="XML <Stream>: both parties, μ-law or L16",
            frames=Frames.TEXT,
            proofs=(Proof.SIGNATURE, Proof.QUERY, Proof.PARAMETER),
            hear=lambda handshake: PlivoStream(handshake.query),
            speak=PlivoSide,
            signed=_plivo_signed,
        ),
        Dialect(
            name="vonage",
            title="Vonage Voice API WebSocket",
            summary="NCCO connect to a websocket endpoint: the mix of all parties, L16",
            frames=Frames.BOTH,
            proofs=(Proof.SIGNATURE, Proof.BEARER, Proof.QUERY, Proof.PARAMETER),
            hear=lambda handshake: VonageStream(handshake.query),
            speak=VonageSide,
            signed=_vonage_signed,
        ),
        Dialect(
            name="exotel",
            title="Exotel Stream and Voicebot applets",
            summary="the caller, L16 (or μ-law)",
            frames=Frames.TEXT,
            proofs=(Proof.BASIC, Proof.QUERY, Proof.PARAMETER),
            hear=lambda handshake: ExotelStream(handshake.query),
            speak=ExotelSide,
        ),
        Dialect(
            name="bandwidth",
            title="Bandwidth StartStream",
            summary="BXML <StartStream>: both parties, μ-law at 8 kHz",
            frames=Frames.TEXT,
            proofs=(Proof.QUERY, Proof.PARAMETER),
            hear=lambda handshake: BandwidthStream(handshake.query),
            speak=BandwidthSide,
        ),
        Dialect(
            name="genesys",
            title="Genesys Cloud AudioHook",
            summary="AudioHook Monitor: the customer and the agent in stereo, or one of them, μ-law at 8 kHz",
            frames=Frames.BOTH,
            proofs=(Proof.SIGNATURE, Proof.BEARER, Proof.API_KEY, Proof.QUERY),
            hear=GenesysStream,
            speak=GenesysSide,
            signed=_genesys_signed,
        ),
        Dialect(
            name="freeswitch",
            title="FreeSWITCH mod_audio_fork and mod_audio_stream",
            summary="uuid_audio_fork and uuid_audio_stream: both parties in stereo, the caller alone or the mix, L16",
            frames=Frames.BOTH,
            proofs=(Proof.BEARER, Proof.BASIC, Proof.QUERY, Proof.PARAMETER),
            hear=lambda handshake: FreeSwitchStream(
                handshake.query, offered=handshake.headers.get("Sec-WebSocket-Protocol", "")
            ),
            speak=FreeSwitchSide,
            subprotocols=FORKED,
        ),
        Dialect(
            name="jambonz",
            title="jambonz listen",
            summary="the verb listen: both parties in stereo, the caller alone or the mix, L16",
            frames=Frames.BOTH,
            proofs=(Proof.BASIC, Proof.QUERY, Proof.PARAMETER),
            hear=lambda handshake: JambonzStream(handshake.query),
            speak=JambonzSide,
            subprotocols=FORKED[::-1],
        ),
        Dialect(
            name="asterisk",
            title="Asterisk WebSocket channels",
            summary="Dial(WebSocket/…) and ARI's externalMedia: one leg, in any codec of the channel's",
            frames=Frames.BOTH,
            proofs=(Proof.BASIC, Proof.QUERY, Proof.PARAMETER),
            hear=lambda handshake: AsteriskStream(handshake.query),
            speak=AsteriskSide,
            subprotocols=MEDIA,
        ),
        Dialect(
            name="audiosocket",
            title="Asterisk AudioSocket",
            summary="AudioSocket() and ARI's externalMedia: one leg, L16 at 8 to 192 kHz",
            frames=Frames.TCP,
            proofs=(Proof.ANNOUNCED, Proof.NETWORK),
            hear=lambda _handshake: AudioSocketStream(),
            speak=AudioSocketSide,
        ),
        Dialect(
            name="websocket",
            title="A WebSocket of your own",
            summary="programs, and pages in browsers: both parties in stereo, one or the mix, L16 at 8 to 48 kHz",
            frames=Frames.BOTH,
            proofs=(Proof.BEARER, Proof.QUERY, Proof.PARAMETER),
            hear=lambda handshake: WebSocketStream(handshake.query),
            speak=WebSocketSide,
        ),
    )
}

OTHER_WAYS: Final[Mapping[str, OtherWay]] = {
    way.name: way
    for way in (
        OtherWay(
            name="rtp",
            title="Plain RTP",
            path="POST /v1/rtp",
            summary="Asterisk externalMedia, rtpengine, anything that sends RTP: a leg a port, or the mix",
            proofs=(Proof.BEARER, Proof.SOURCE),
        ),
        OtherWay(
            name="webrtc",
            title="WebRTC (WHIP)",
            path="POST /v1/whip",
            summary="browsers, OBS, GStreamer, any WHIP publisher: one party, the mix, or both in stereo Opus",
            proofs=(Proof.BEARER, Proof.QUERY),
        ),
        OtherWay(
            name="siprec",
            title="SIPREC",
            path="sip: CALLBRIDGE_SIP_PORT",
            summary="session border controllers and PBXs that record over SIP: both parties with their names",
            proofs=(Proof.SOURCE,),
        ),
    )
}
"""By name; `callbridge play` speaks those that it can."""


def all_rows() -> list[Row]:
    """Every way in which calls come, WebSockets first."""
    return [*DIALECTS.values(), *OTHER_WAYS.values()]
