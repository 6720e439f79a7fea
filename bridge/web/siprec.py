"""A recording server for SIPREC (RFC 7866): SIP in, RTP ports out. The only file that answers SIP.

Messages, dialogs and transports are aiosipua's. Its `SipUAS` is not used: it answers a repeated INVITE with 481, cannot
add what RFC 7866 wants in an answer, and finds no way back to a TCP client that sends no `rport`.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from socket import AF_INET, AF_INET6, SOCK_DGRAM, socket
from typing import Final

import structlog
from aiosipua.dialog import create_dialog_from_request, dialog_matches, remote_cseq_valid
from aiosipua.message import SipRequest, SipResponse, missing_required_headers
from aiosipua.transport import SipTransport, UdpSipTransport

from bridge.errors import BridgeError, CapacityError, CarrierError, SetupError
from bridge.ingest.fields import MAX_IDENTIFIER, storable
from bridge.ingest.rtp import Address, Expected
from bridge.ingest.siprec_body import read_body
from bridge.ingest.siprec_metadata import Metadata, read_metadata
from bridge.ingest.siprec_sdp import read_offer
from bridge.metrics import CALLS_REFUSED
from bridge.model.stream import Leg
from bridge.web.auth import DEFAULT_TENANT
from bridge.web.context import Context
from bridge.web.rtp_calls import RtpCalls, Senders, media_address
from bridge.web.sip_tcp import BoundedTcpTransport
from bridge.web.sip_transaction import RefusedError, ServerTransaction, TransactionKey
from bridge.web.siprec_session import RecordingSession, legs_by_stream, parties_told

log = structlog.get_logger(__name__)

ALLOW: Final = "INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE"
ACCEPT: Final = "application/sdp, application/rs-metadata+xml, application/rs-metadata, multipart/mixed"
TAG: Final = "siprec"
SERVER: Final = "callbridge"

MOST_ANSWERED: Final = 4096
"""Answers kept to be given again to requests that come again (RFC 3261 §17.2)."""

T1_S, T2_S, GIVE_UP_S = 0.5, 4.0, 32.0
"""How a 200 is sent again until its ACK comes (RFC 3261 §13.3.1.4)."""


class RecordingServer:
    """Listens on UDP and TCP. Each recording session is a call of its own."""

    def __init__(self, context: Context, calls: RtpCalls) -> None:
        self._context = context
        self._settings = context.settings
        self._calls = calls
        self._may_send = Senders(self._settings.sip_networks)
        self._sessions: dict[str, RecordingSession] = {}
        self._answered: OrderedDict[TransactionKey, SipResponse] = OrderedDict()
        self._transports: list[SipTransport] = []
        self._methods: Mapping[str, Callable[[ServerTransaction], None]] = {
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
            session.stop_repeating()
        for transport in self._transports:
            await transport.stop()
        self._transports.clear()

    # -- requests --------------------------------------------------------------------------------------------------

    def _heard(self, transport: SipTransport, message: SipRequest | SipResponse, source: Address) -> None:
        """Whatever goes wrong with one request is said in its answer, and is nothing to others."""
        if not isinstance(message, SipRequest) or "via" in missing_required_headers(message):
            return
        asked = ServerTransaction(message, transport, source)
        if not self._may_send(source[0]):
            self._turn_away(asked)
            return
        if message.method == "ACK":
            self._ack(asked)
            return
        if (again := self._answered.get(asked.key)) is not None:
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

    def _turn_away(self, asked: ServerTransaction) -> None:
        """A stranger, by UDP: nothing of it is kept, and an ACK is not answered (RFC 3261 §17.1.1.3)."""
        log.warning("SIP from a host that is not in CALLBRIDGE_SIP_SOURCES", source=asked.source[0])
        if asked.request.method != "ACK":
            asked.send(create_dialog_from_request(asked.request).create_response(asked.request, 403, "Forbidden"))

    def _check(self, asked: ServerTransaction) -> None:
        """Raises RefusedError."""
        request = asked.request
        if missing := missing_required_headers(request):
            raise RefusedError(400, f"Missing {missing[0]}")
        if request.method not in self._methods:
            raise RefusedError(405, "Method Not Allowed", Allow=ALLOW)
        unknown = [tag for tag in request.get_header_values("require") if tag.strip().lower() != TAG]
        if unknown and request.method != "CANCEL":
            raise RefusedError(420, "Bad Extension", Unsupported=", ".join(unknown))

    def _invite(self, asked: ServerTransaction) -> None:
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

    def _begin(self, asked: ServerTransaction) -> None:
        request = asked.request
        body = read_body(request.content_type, request.body)
        if body.sdp is None:
            raise RefusedError(488, "Not Acceptable Here", Warning=f'399 {SERVER} "an SDP offer is needed"')
        offer = read_offer(body.sdp)
        metadata = Metadata() if body.metadata is None else read_metadata(body.metadata)
        legs = legs_by_stream(offer, metadata)
        call_id = f"call_{secrets.token_hex(12)}"
        expected = Expected(
            carrier="siprec",
            carrier_call_id=storable(asked.call_id)[:MAX_IDENTIFIER],
            stream_id=f"siprec_{secrets.token_hex(8)}",
            legs=tuple(sorted(legs.values(), key=list(Leg).index)),
            payload_types={legs[stream.index]: offer.payload_types(stream) for stream in offer.streams},
            parameters={"call_id": call_id, **parties_told(offer, legs, metadata)},
            may_send=self._may_send,
        )
        call = self._calls.open(expected, self._context, tenant=DEFAULT_TENANT, call_id=call_id)
        session = RecordingSession.begun(
            asked, call, offer, legs, host=media_address(self._settings, _own_address(asked.source))
        )
        self._sessions[asked.call_id] = session
        call.serving.add_done_callback(lambda _: self._ended(session))
        self._accept(asked, session)

    def _change(self, asked: ServerTransaction) -> None:
        session = self._session(asked)
        request = asked.request
        body = read_body(request.content_type, request.body)
        if body.sdp is not None:
            session.renegotiate(body.sdp)
        if request.method == "UPDATE" and body.sdp is None:
            self._answer(asked, 200, "OK", session)
        else:
            self._accept(asked, session)

    def _bye(self, asked: ServerTransaction) -> None:
        session = self._session(asked)
        self._forget(session)
        session.call.media.end("hangup")
        self._answer(asked, 200, "OK", session)

    def _cancel(self, asked: ServerTransaction) -> None:
        """Too late: an INVITE is answered at once (RFC 3261 §9.2)."""
        if asked.call_id not in self._sessions:
            raise RefusedError(481, "Call/Transaction Does Not Exist")
        self._answer(asked, 200, "OK")

    def _options(self, asked: ServerTransaction) -> None:
        self._answer(asked, 200, "OK", Allow=ALLOW, Accept=ACCEPT, Supported=TAG)

    def _ack(self, asked: ServerTransaction) -> None:
        session = self._sessions.get(asked.call_id)
        if session is not None and dialog_matches(session.dialog, asked.request):
            session.stop_repeating()

    def _session(self, asked: ServerTransaction) -> RecordingSession:
        """Raises RefusedError."""
        session = self._sessions.get(asked.call_id)
        if session is None or not dialog_matches(session.dialog, asked.request):
            raise RefusedError(481, "Call/Transaction Does Not Exist")
        if not remote_cseq_valid(session.dialog, asked.request):
            raise RefusedError(500, "Server Internal Error")
        session.asked = asked
        return session

    # -- answers ---------------------------------------------------------------------------------------------------

    def _accept(self, asked: ServerTransaction, session: RecordingSession) -> None:
        """200 with our SDP; over UDP again and again until the ACK comes."""
        required = asked.request.get_header_values("require")
        headers = {"Require": TAG} if required else {}
        response = self._answer(asked, 200, "OK", session, body=session.answer(), Allow=ALLOW, Supported=TAG, **headers)
        session.stop_repeating()
        if not asked.transport.reliable and asked.request.method == "INVITE":
            session.repeating = asyncio.create_task(self._repeat(session, asked, response))

    def _answer(
        self,
        asked: ServerTransaction,
        status: int,
        phrase: str,
        session: RecordingSession | None = None,
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
        self._answered[asked.key] = response
        if len(self._answered) > MOST_ANSWERED:
            self._answered.popitem(last=False)
        asked.send(response)
        return response

    async def _repeat(self, session: RecordingSession, asked: ServerTransaction, response: SipResponse) -> None:
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

    def _ended(self, session: RecordingSession) -> None:
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

    def _forget(self, session: RecordingSession) -> None:
        session.stop_repeating()
        self._sessions.pop(session.dialog.call_id, None)


def _own_address(peer: Address) -> str:
    """The address of this machine that `peer` reaches: the one that a packet to it would leave from."""
    with socket(AF_INET6 if ":" in peer[0] else AF_INET, SOCK_DGRAM) as probe:
        probe.connect((peer[0], peer[1] or 9))
        address: str = probe.getsockname()[0]
        return address


def _quotable(text: str) -> str:
    return "".join(character for character in text if character.isprintable() and character not in '"\\')[:200]
