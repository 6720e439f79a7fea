"""A recording server for SIPREC (RFC 7866): SIP in, RTP ports out. The only file that answers SIP.

Messages, dialogs and transports are aiosipua's. Its `SipUAS` is not used: it answers a repeated INVITE with 481, cannot
add what RFC 7866 wants in an answer, and finds no way back to a TCP client that sends no `rport`.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from socket import AF_INET, AF_INET6, SOCK_DGRAM, socket
from typing import Final

import structlog
from aiosipua.dialog import Dialog, create_dialog_from_request, dialog_matches, remote_cseq_valid
from aiosipua.message import SipRequest, SipResponse, missing_required_headers
from aiosipua.transport import SipTransport, UdpSipTransport

from bridge.errors import BridgeError, CapacityError, CarrierError, SetupError, UnsupportedMediaError
from bridge.ingest.fields import MAX_IDENTIFIER, storable
from bridge.ingest.rtp import Address, Expected
from bridge.ingest.siprec_body import Body, read_body
from bridge.ingest.siprec_metadata import Metadata, Party, read_metadata
from bridge.ingest.siprec_sdp import Offer, OfferedStream, answer, legs_of, read_offer
from bridge.metrics import CALLS_REFUSED
from bridge.model.stream import Leg
from bridge.web.auth import DEFAULT_TENANT
from bridge.web.context import Context
from bridge.web.rtp_calls import RtpCall, RtpCalls, Senders, media_address
from bridge.web.sip_tcp import BoundedTcpTransport

log = structlog.get_logger(__name__)

ALLOW: Final = "INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE"
ACCEPT: Final = "application/sdp, application/rs-metadata+xml, application/rs-metadata, multipart/mixed"
TAG: Final = "siprec"
SERVER: Final = "callbridge"

MOST_ANSWERED: Final = 4096
"""Answers kept to be given again to requests that come again (RFC 3261 §17.2)."""

T1_S, T2_S, GIVE_UP_S = 0.5, 4.0, 32.0
"""How a 200 is sent again until its ACK comes (RFC 3261 §13.3.1.4)."""

Transaction = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request, and the way back."""

    request: SipRequest
    transport: SipTransport
    source: Address

    @property
    def call_id(self) -> str:
        return self.request.call_id or ""

    @property
    def transaction(self) -> Transaction:
        via = self.request.via
        return (via[0].branch or "" if via else "", self.request.method, self.request.get_header("cseq") or "")

    def send(self, message: SipRequest | SipResponse) -> None:
        """A client behind TCP is reached on its own connection, else its Via says where (RFC 3261 §18.2.2)."""
        try:
            if isinstance(message, SipResponse) and not self.transport.reliable:
                self.transport.send_reply(message)
            else:
                self.transport.send(message, self.source)
        except (RuntimeError, OSError, ValueError) as error:
            log.warning("SIP message not sent", to=self.source[0], error=str(error))


@dataclass(slots=True)
class _Session:
    """One recording in progress."""

    dialog: Dialog
    asked: _Asked
    call: RtpCall
    offer: Offer
    legs: Mapping[int, Leg]
    """By the index of their `m=` line."""
    sending: dict[Leg, bool]
    host: str
    sdp_id: int = field(default_factory=lambda: secrets.randbits(31))
    version: int = 0
    repeating: asyncio.Task[None] | None = None


class RefusedError(CarrierError):
    """A request that is answered with something else than 200."""

    def __init__(self, status: int, phrase: str, **headers: str) -> None:
        super().__init__(f"{status} {phrase}")
        self.sip_status, self.phrase, self.headers = status, phrase, headers


class RecordingServer:
    """Listens on UDP and TCP. Each recording session is a call of its own."""

    def __init__(self, context: Context, calls: RtpCalls) -> None:
        self._context = context
        self._settings = context.settings
        self._calls = calls
        self._may_send = Senders(self._settings.sip_networks)
        self._sessions: dict[str, _Session] = {}
        self._answered: OrderedDict[Transaction, SipResponse] = OrderedDict()
        self._transports: list[SipTransport] = []
        self._methods: Mapping[str, Callable[[_Asked], None]] = {
            "INVITE": self._invite,
            "UPDATE": self._invite,
            "BYE": self._bye,
            "CANCEL": self._cancel,
            "OPTIONS": self._options,
        }

    async def start(self) -> None:
        """Raises SetupError when the port cannot be had."""
        where = (self._settings.rtp_host or self._settings.host, self._settings.sip_port)
        transports = (UdpSipTransport(where), BoundedTcpTransport(where, may_connect=self._may_send))
        for transport in transports:
            transport.on_message = partial(self._heard, transport)
            try:
                await transport.start()
            except OSError as error:
                await self.stop()
                raise SetupError(f"CALLBRIDGE_SIP_PORT: cannot listen on {where[0]}:{where[1]}: {error}") from error
            self._transports.append(transport)

    async def stop(self) -> None:
        for session in self._sessions.values():
            _stop_repeating(session)
        for transport in self._transports:
            await transport.stop()
        self._transports.clear()

    # -- requests --------------------------------------------------------------------------------------------------

    def _heard(self, transport: SipTransport, message: SipRequest | SipResponse, source: Address) -> None:
        """Whatever goes wrong with one request is said in its answer, and is nothing to others."""
        if not isinstance(message, SipRequest) or "via" in missing_required_headers(message):
            return
        asked = _Asked(message, transport, source)
        if not self._may_send(source[0]):
            self._turn_away(asked)
            return
        if message.method == "ACK":
            self._ack(asked)
            return
        if (again := self._answered.get(asked.transaction)) is not None:
            asked.send(again)
            return
        try:
            self._check(asked)
            self._methods[message.method](asked)
        except RefusedError as refused:
            self._answer(asked, refused.sip_status, refused.phrase, None, **refused.headers)
        except CapacityError as error:
            CALLS_REFUSED.labels("siprec", error.code).inc()
            status, phrase = (503, "Service Unavailable") if self._context.leaving.is_set() else (486, "Busy Here")
            self._answer(asked, status, phrase, Retry_After=str(round(error.details.get("retry_after", 5))))
        except CarrierError as error:
            log.warning("SIPREC request refused", code=error.code, reason=error.message, source=source[0])
            status, phrase = (488, "Not Acceptable Here") if error.close_code == 1003 else (400, "Bad Request")
            self._answer(asked, status, phrase, Warning=f'399 {SERVER} "{_quotable(error.message)}"')
        except (BridgeError, ValueError) as error:
            log.warning("SIPREC request failed", error=str(error), source=source[0])
            self._answer(asked, 500, "Server Internal Error")

    def _turn_away(self, asked: _Asked) -> None:
        """A stranger, by UDP: nothing of it is kept, and an ACK is not answered (RFC 3261 §17.1.1.3)."""
        log.warning("SIP from a host that is not in CALLBRIDGE_SIP_SOURCES", source=asked.source[0])
        if asked.request.method != "ACK":
            asked.send(create_dialog_from_request(asked.request).create_response(asked.request, 403, "Forbidden"))

    def _check(self, asked: _Asked) -> None:
        """Raises RefusedError."""
        request = asked.request
        if missing := missing_required_headers(request):
            raise RefusedError(400, f"Missing {missing[0]}")
        if request.method not in self._methods:
            raise RefusedError(405, "Method Not Allowed", Allow=ALLOW)
        unknown = [tag for tag in request.get_header_values("require") if tag.strip().lower() != TAG]
        if unknown and request.method != "CANCEL":
            raise RefusedError(420, "Bad Extension", Unsupported=", ".join(unknown))

    def _invite(self, asked: _Asked) -> None:
        """A recording begins, or goes on otherwise: held, resumed, told more of."""
        to = asked.request.to_addr
        if to is not None and to.tag is not None:
            self._change(asked)
        elif asked.request.method == "UPDATE":
            raise RefusedError(481, "Call/Transaction Does Not Exist")
        elif asked.call_id in self._sessions:
            raise RefusedError(482, "Loop Detected")
        else:
            self._begin(asked)

    def _begin(self, asked: _Asked) -> None:
        request = asked.request
        body = read_body(request.content_type, request.body)
        if body.sdp is None:
            raise RefusedError(488, "Not Acceptable Here", Warning=f'399 {SERVER} "an SDP offer is needed"')
        offer = read_offer(body.sdp)
        metadata = Metadata() if body.metadata is None else read_metadata(body.metadata)
        legs = _legs(offer, metadata)
        call_id = f"call_{secrets.token_hex(12)}"
        expected = Expected(
            carrier="siprec",
            carrier_call_id=storable(asked.call_id)[:MAX_IDENTIFIER],
            stream_id=f"siprec_{secrets.token_hex(8)}",
            legs=tuple(sorted(legs.values(), key=list(Leg).index)),
            payload_types={legs[stream.index]: offer.payload_types(stream) for stream in offer.streams},
            parameters={"call_id": call_id, **_told(offer, legs, metadata)},
            may_send=self._may_send,
        )
        call = self._calls.open(expected, self._context, tenant=DEFAULT_TENANT, call_id=call_id)
        session = _Session(
            dialog=create_dialog_from_request(request),
            asked=asked,
            call=call,
            offer=offer,
            legs=legs,
            sending={legs[stream.index]: stream.sends for stream in offer.streams},
            host=media_address(self._settings, _own_address(asked.source)),
        )
        self._sessions[asked.call_id] = session
        call.media.hold(not any(session.sending.values()))
        call.serving.add_done_callback(lambda _: self._ended(session))
        session.dialog.confirm()
        self._accept(asked, session)

    def _change(self, asked: _Asked) -> None:
        session = self._session(asked)
        request = asked.request
        body = read_body(request.content_type, request.body)
        if body.sdp is not None:
            self._renegotiate(session, body)
        if request.method == "UPDATE" and body.sdp is None:
            self._answer(asked, 200, "OK", session)
        else:
            self._accept(asked, session)

    def _renegotiate(self, session: _Session, body: Body) -> None:
        """Hold, resume, other codecs' order: streams keep their legs, by their place in the offer."""
        audio = session.call.media.stream.audio or session.offer.codec
        offer = read_offer(body.sdp or "", agreed=audio)
        kept = tuple(stream for stream in offer.streams if stream.index in session.legs)
        if not kept:
            raise UnsupportedMediaError("none of the streams that are recorded is offered any more")
        session.offer = Offer(offer.sdp, kept, offer.codec)
        streams: dict[Leg, OfferedStream] = {session.legs[stream.index]: stream for stream in kept}
        media = session.call.media
        for leg, was_sending in session.sending.items():
            stream = streams.get(leg)
            sends = stream is not None and stream.sends
            if stream is not None:
                media.stream.expect(leg, session.offer.payload_types(stream))
            if sends and not was_sending:
                media.stream.resume(leg)
            session.sending[leg] = sends
        media.hold(not any(session.sending.values()))

    def _bye(self, asked: _Asked) -> None:
        session = self._session(asked)
        self._forget(session)
        session.call.media.end("hangup")
        self._answer(asked, 200, "OK", session)

    def _cancel(self, asked: _Asked) -> None:
        """Too late: an INVITE is answered at once (RFC 3261 §9.2)."""
        if asked.call_id not in self._sessions:
            raise RefusedError(481, "Call/Transaction Does Not Exist")
        self._answer(asked, 200, "OK")

    def _options(self, asked: _Asked) -> None:
        self._answer(asked, 200, "OK", Allow=ALLOW, Accept=ACCEPT, Supported=TAG)

    def _ack(self, asked: _Asked) -> None:
        session = self._sessions.get(asked.call_id)
        if session is not None and dialog_matches(session.dialog, asked.request):
            _stop_repeating(session)

    def _session(self, asked: _Asked) -> _Session:
        """Raises RefusedError."""
        session = self._sessions.get(asked.call_id)
        if session is None or not dialog_matches(session.dialog, asked.request):
            raise RefusedError(481, "Call/Transaction Does Not Exist")
        if not remote_cseq_valid(session.dialog, asked.request):
            raise RefusedError(500, "Server Internal Error")
        session.asked = asked
        return session

    # -- answers ---------------------------------------------------------------------------------------------------

    def _accept(self, asked: _Asked, session: _Session) -> None:
        """200 with our SDP; over UDP again and again until the ACK comes."""
        ports = [session.call.media.pairs[session.legs[stream.index]].port for stream in session.offer.streams]
        session.version += 1
        sdp = answer(session.offer, session.host, ports, session_id=session.sdp_id, version=session.version)
        required = asked.request.get_header_values("require")
        headers = {"Require": TAG} if required else {}
        response = self._answer(asked, 200, "OK", session, body=sdp, Allow=ALLOW, Supported=TAG, **headers)
        _stop_repeating(session)
        if not asked.transport.reliable and asked.request.method == "INVITE":
            session.repeating = asyncio.create_task(self._repeat(session, asked, response))

    def _answer(
        self,
        asked: _Asked,
        status: int,
        phrase: str,
        session: _Session | None = None,
        *,
        body: str = "",
        **headers: str,
    ) -> SipResponse:
        dialog = create_dialog_from_request(asked.request) if session is None else session.dialog
        contact = None
        if session is not None:
            transport = ";transport=tcp" if asked.transport.reliable else ""
            host = f"[{session.host}]" if ":" in session.host else session.host
            contact = f"<sip:{host}:{self._settings.sip_port}{transport}>;+sip.srs"
        response = dialog.create_response(asked.request, status, phrase, contact=contact)
        for route in asked.request.get_header_values("record-route"):
            response.add_header("Record-Route", route)
        for name, value in {"Server": SERVER, **headers}.items():
            response.set_header(name.replace("_", "-"), value)
        if body:
            response.content_type = "application/sdp"
            response.text = body
        self._answered[asked.transaction] = response
        if len(self._answered) > MOST_ANSWERED:
            self._answered.popitem(last=False)
        asked.send(response)
        return response

    async def _repeat(self, session: _Session, asked: _Asked, response: SipResponse) -> None:
        wait_s, waited_s = T1_S, 0.0
        while waited_s < GIVE_UP_S:
            await self._context.clock.sleep(wait_s)
            waited_s += wait_s
            wait_s = min(2 * wait_s, T2_S)
            asked.send(response)
        log.warning("no ACK came for a SIPREC session", call_id=session.call.call_id)
        session.repeating = None
        session.call.media.end("closed")

    # -- ends ------------------------------------------------------------------------------------------------------

    def _ended(self, session: _Session) -> None:
        """The call has ended by our side: idle, drained, hung up over HTTP. The client is told."""
        if self._sessions.get(session.dialog.call_id) is not session:
            return
        self._forget(session)
        transport = "TCP" if session.asked.transport.reliable else "UDP"
        bye = session.dialog.create_request(
            "BYE", via_host=session.host, via_port=self._settings.sip_port, via_transport=transport
        )
        if self._transports:
            session.asked.send(bye)

    def _forget(self, session: _Session) -> None:
        _stop_repeating(session)
        self._sessions.pop(session.dialog.call_id, None)


def _stop_repeating(session: _Session) -> None:
    if session.repeating is not None:
        session.repeating.cancel()
        session.repeating = None


def _legs(offer: Offer, metadata: Metadata) -> dict[int, Leg]:
    """Whoever placed the call is the caller, where that is told; else the first stream's party is."""
    legs = legs_of(len(offer.streams))
    indices = [stream.index for stream in offer.streams]
    parties = [metadata.parties.get(stream.label, Party()) for stream in offer.streams]
    if len(legs) == 2 and (parties[0].calling is False or parties[1].calling) and not parties[0].calling:
        legs = legs[::-1]
    return dict(zip(indices, legs, strict=True))


def _told(offer: Offer, legs: Mapping[int, Leg], metadata: Metadata) -> dict[str, str]:
    """Names and addresses of the parties, as a customer's own metadata."""
    found = {"metadata.recording_session": metadata.session_id}
    waiting = list(metadata.unplaced)
    for stream in offer.streams:
        party = metadata.parties.get(stream.label) or (waiting.pop(0) if waiting else Party())
        leg = legs[stream.index]
        found |= {f"metadata.{leg}_name": party.name, f"metadata.{leg}_address": party.aor}
    return {name: value for name, value in found.items() if value}


def _own_address(peer: Address) -> str:
    """The address of this machine that `peer` reaches: the one that a packet to it would leave from."""
    with socket(AF_INET6 if ":" in peer[0] else AF_INET, SOCK_DGRAM) as probe:
        probe.connect((peer[0], peer[1] or 9))
        address: str = probe.getsockname()[0]
        return address


def _quotable(text: str) -> str:
    return "".join(character for character in text if character.isprintable() and character not in '"\\')[:200]
