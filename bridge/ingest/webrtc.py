"""WebRTC, as far as a call needs it: one peer's audio as RTP packets. The only file that imports aiortc.

ICE, DTLS and SRTP are aiortc's, put together here by hand. Its `RTCPeerConnection` would decode, too: in a thread a
call, behind a jitter buffer of 16 packets that drops what comes 320 ms late and keeps the last 80 ms of a call to
itself. Packets go through `LegAudio` instead, as every other carrier's chunks do: in order, gaps named, to the end.

`RTCDtlsTransport` takes whoever has the three methods of a receiver and hands it packets; that, and the role in the
handshake, are all that is used here of what aiortc does not call public. tests/flow/test_whip.py holds it to them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from aiortc import (
    RTCCertificate,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
    RTCIceCandidate,
    RTCIceGatherer,
    RTCIceParameters,
    RTCIceServer,
    RTCIceTransport,
    RTCRtpCodecParameters,
)
from aiortc.rtcrtpparameters import RTCRtpReceiveParameters
from aiortc.rtcrtpreceiver import StreamStatistics
from aiortc.rtp import AnyRtcpPacket, RtcpReceiverInfo, RtcpRrPacket, RtcpSrPacket
from aiortc.rtp import RtpPacket as Received
from aiortc.sdp import MediaDescription, SessionDescription, candidate_from_sdp, candidate_to_sdp, parameters_to_sdp
from OpenSSL import SSL

from bridge.errors import CarrierProtocolError
from bridge.ingest.sdp import Codec, Peer, Role, Section
from bridge.model.ice import IceServer
from callcodecs.rtp import RtpPacket

LOOPBACK: Final = "127.0.0.1"

MOST_CANDIDATES: Final = 32
"""Of one peer; a browser with many networks has a dozen. Each is an address that checks are sent to."""


UNREADABLE: Final = (AssertionError, AttributeError, KeyError, StopIteration, TypeError, ValueError, IndexError)
"""What aiortc's parser raises for a description that is none."""

SETUPS: Final = {"auto": "actpass", "client": "active", "server": "passive"}

STATIC: Final = {
    number: Codec(payload_type=number, name=name, clock_rate=8_000)
    for number, name in ((0, "PCMU"), (8, "PCMA"), (9, "G722"))
}
"""RFC 3551 §6."""


class RtpLine:
    """One peer: packets in, and out. `heard` gets every packet that is genuine, `lost` is called once when a peer that
    was there is gone.
    """

    def __init__(
        self,
        ice_servers: Sequence[IceServer] = (),
        *,
        heard: Callable[[RtpPacket], None],
        lost: Callable[[], None],
        controlling: bool = False,
    ) -> None:
        self._gatherer = RTCIceGatherer(
            [RTCIceServer(each.url, each.username, each.credential) for each in ice_servers]
        )
        self._gatherer._connection.ice_controlling = controlling  # noqa: SLF001
        self._ice = RTCIceTransport(self._gatherer)
        self._dtls = RTCDtlsTransport(self._ice, [RTCCertificate.generateCertificate()])
        self._heard = heard
        self._lost = lost
        self._clock_rate = 1
        self._candidates = 0
        self._statistics: tuple[int, StreamStatistics] | None = None
        """Of the source heard last, for reports to it."""
        self._dtls.on("statechange", self._dtls_changed)

    async def gather(self) -> Peer:
        """What we are to the peer: every address of this machine, and through `ice_servers` those seen from outside."""
        await self._gatherer.gather()
        if not self._gatherer.getLocalCandidates():  # a machine with no network but itself; aiortc leaves that out
            connection = self._gatherer._connection  # noqa: SLF001
            connection._local_candidates += await connection.get_component_candidates(1, [LOOPBACK])  # noqa: SLF001
        ice = self._gatherer.getLocalParameters()
        dtls = self._dtls.getLocalParameters()
        return Peer(
            ufrag=ice.usernameFragment or "",
            password=ice.password or "",
            fingerprints=tuple((each.algorithm, each.value) for each in dtls.fingerprints),
            candidates=tuple(candidate_to_sdp(each) for each in self._gatherer.getLocalCandidates()),
        )

    async def connect(self, peer: Peer, *, role: Role, codecs: Sequence[Codec]) -> None:
        """Until packets can flow; `role` is ours in the handshake. How long it may take is the caller's to say.

        Raises CarrierProtocolError when the peer is not who its fingerprints say.
        """
        self._gatherer._connection.ice_controlling |= peer.lite  # noqa: SLF001  # RFC 8445 §6.1.1
        for candidate in peer.candidates:
            await self.add_candidate(candidate)
        self._dtls._set_role(role)  # noqa: SLF001
        self._clock_rate = codecs[0].clock_rate
        awaited = [RTCRtpCodecParameters("audio/any", 1, payloadType=each.payload_type) for each in codecs]
        self._dtls._register_rtp_receiver(self, RTCRtpReceiveParameters(codecs=awaited))  # noqa: SLF001
        await self._ice.start(RTCIceParameters(peer.ufrag, peer.password, peer.lite))
        if self._ice.state == "completed":
            fingerprints = [RTCDtlsFingerprint(algorithm, value) for algorithm, value in peer.fingerprints]
            await self._dtls.start(RTCDtlsParameters(fingerprints))
        if self._dtls.state != "connected":
            raise CarrierProtocolError(f"no way to the peer: ICE {self._ice.state}, DTLS {self._dtls.state}")

    async def add_candidate(self, text: str) -> None:
        """One more address of the peer, as `candidate-attribute` writes it (RFC 8839 §5.1) without its name.

        What cannot be used is left aside: TCP, RTCP's own port, a name to be asked of the local network.
        """
        try:
            candidate = candidate_from_sdp(text)
        except (AssertionError, ValueError):
            return
        if self._candidates < MOST_CANDIDATES and _usable(candidate):
            self._candidates += 1
            await self._ice.addRemoteCandidate(candidate)

    async def send(self, packet: bytes) -> None:
        """An RTP packet to the peer. Raises ConnectionError when there is none any more."""
        await self._dtls._send_rtp(packet)  # noqa: SLF001

    @property
    def said_goodbye(self) -> bool:
        """Whether the peer closed the connection itself (RFC 6347 §4.1.2.7: `close_notify`)."""
        connection = self._dtls._ssl  # noqa: SLF001
        return connection is not None and bool(connection.get_shutdown() & SSL.RECEIVED_SHUTDOWN)

    async def close(self) -> None:
        """Say goodbye and give up the ports."""
        self._dtls.remove_all_listeners()
        self._dtls._unregister_rtp_receiver(self)  # noqa: SLF001
        await self._dtls.stop()
        await self._ice.stop()

    def _dtls_changed(self) -> None:
        if self._dtls.state == "closed":
            self._lost()

    # -- what RTCDtlsTransport asks of a receiver ------------------------------------------------------------------

    async def _handle_rtp_packet(self, packet: Received, arrival_time_ms: int) -> None:
        del arrival_time_ms
        if self._statistics is None or self._statistics[0] != packet.ssrc:
            self._statistics = packet.ssrc, StreamStatistics(self._clock_rate)
        self._statistics[1].add(packet)
        self._heard(
            RtpPacket(
                payload_type=packet.payload_type,
                sequence=packet.sequence_number,
                timestamp=packet.timestamp,
                ssrc=packet.ssrc,
                payload=packet.payload,
                marker=bool(packet.marker),
            )
        )

    async def _handle_rtcp_packet(self, packet: AnyRtcpPacket) -> None:
        """A sender that reports is told that it is heard (RFC 3550 §6.4.2), at once: no delay has to be counted."""
        if not isinstance(packet, RtcpSrPacket) or self._statistics is None or self._statistics[0] != packet.ssrc:
            return
        heard = self._statistics[1]
        report = RtcpReceiverInfo(
            ssrc=packet.ssrc,
            fraction_lost=heard.fraction_lost,
            packets_lost=heard.packets_lost,
            highest_sequence=heard.max_seq or 0,
            jitter=heard.jitter,
            lsr=packet.sender_info.ntp_timestamp >> 16 & 0xFFFFFFFF,
            dlsr=0,
        )
        await self.send(bytes(RtcpRrPacket(ssrc=1, reports=[report])))

    def _handle_disconnect(self) -> None:
        """Told by the change of state already."""


# -- descriptions --------------------------------------------------------------------------------------------------


def read_description(text: str) -> tuple[Section, ...]:
    """An offer, an answer, or a fragment of one (RFC 8840 §9). Raises CarrierProtocolError for what is none."""
    if not text.startswith(("v=", "a=", "m=")):
        raise CarrierProtocolError("no session description: it begins with 'v=0'")
    try:
        found = SessionDescription.parse(text)
        return tuple(_section(media) for media in found.media)
    except UNREADABLE as error:
        raise CarrierProtocolError(f"a session description that cannot be read: {type(error).__name__}") from None


def _section(media: MediaDescription) -> Section:
    fingerprints = media.dtls.fingerprints if media.dtls is not None else []
    ice = media.ice or RTCIceParameters()
    return Section(
        kind=media.kind,
        mid=media.rtp.muxId,
        direction=media.direction or "sendrecv",
        profile=media.profile,
        formats=tuple(str(each) for each in media.fmt),
        codecs=_codecs(media),
        peer=Peer(
            ufrag=ice.usernameFragment or "",
            password=ice.password or "",
            fingerprints=tuple((each.algorithm, each.value) for each in fingerprints),
            candidates=tuple(candidate_to_sdp(each) for each in media.ice_candidates),
            lite=ice.iceLite,
        ),
        setup=None if media.dtls is None else SETUPS[media.dtls.role],
        muxed=media.rtcp_mux,
    )


def _codecs(media: MediaDescription) -> tuple[Codec, ...]:
    """In the order of the `m=` line, which is that of preference; static types may go without `a=rtpmap`."""
    mapped = {
        each.payloadType: Codec(
            payload_type=each.payloadType,
            name=each.name,
            clock_rate=each.clockRate,
            channels=each.channels or 1,
            parameters=parameters_to_sdp(each.parameters),
        )
        for each in media.rtp.codecs
        if each.payloadType is not None
    }
    known = {**STATIC, **mapped}
    return tuple(known[each] for each in media.fmt if each in known)


def _usable(candidate: RTCIceCandidate) -> bool:
    return (
        candidate.component == 1
        and candidate.protocol.lower() == "udp"
        and candidate.type in {"host", "srflx", "relay"}
        and not candidate.ip.endswith(".local")
    )
