"""Plain RTP: ports asked for over HTTP, for Asterisk's externalMedia, rtpengine, and whatever else sends RTP."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Mapping
from typing import Annotated, Any, Final, Self

from aiohttp import hdrs, web
from pydantic import Field, field_validator, model_validator

from bridge.errors import CapacityError, ConflictError, NotFoundError, UnsupportedMediaError
from bridge.ingest.rtp import Expected
from bridge.ingest.rtp_formats import Audio, PayloadTypes, payload_of
from bridge.model.call_key import CallKey
from bridge.model.stream import Leg
from bridge.web.auth import Scope
from bridge.web.call_options import CallOptionsIn, Text
from bridge.web.route import Answer, Ask, Nothing, Outgoing, Route, answer
from bridge.web.rtp_calls import RTP_CALLS, RtpCall, Senders, media_address

MOST_TYPES: Final = 127
"""RFC 3550 §5.1: a payload type has seven bits."""

ORDINARY_LEGS: Final = (Leg.MIXED,)


class RtpIn(CallOptionsIn):
    """A call that will come over RTP. `legs` get a port each, in this order."""

    legs: Annotated[tuple[Leg, ...], Field(min_length=1, max_length=2)] = Field(
        default=ORDINARY_LEGS, description="`mixed` for one port that carries everybody; `caller` and `agent` for two"
    )
    codec: Text | None = Field(
        default=None,
        description="`PCMU`, `PCMA`, `G722`, `L16/16000`, `opus` …; left out, the first packet's payload type says it",
    )
    payload_types: Mapping[int, Text] = Field(
        default_factory=dict, description='as in SDP: `{"96": "opus/48000/2", "100": "telephone-event/8000"}`'
    )
    source: Text | None = Field(
        default=None, description="address or network that may send; left out, whoever sends first"
    )
    start_timeout_s: Annotated[float, Field(ge=1, le=3600)] | None = Field(
        default=None,
        description="how long the ports wait for the first speech; CALLBRIDGE_START_TIMEOUT_S when left out",
    )
    carrier_call_id: Text = ""

    @field_validator("legs")
    @classmethod
    def _legs(cls, value: tuple[Leg, ...]) -> tuple[Leg, ...]:
        if len(set(value)) < len(value) or (Leg.MIXED in value and len(value) > 1):
            raise ValueError("must be mixed alone, or caller and agent, each once")
        return value

    @field_validator("payload_types")
    @classmethod
    def _payload_types(cls, value: Mapping[int, str]) -> Mapping[int, str]:
        if not all(0 <= number <= MOST_TYPES for number in value):
            raise ValueError(f"must have types from 0 to {MOST_TYPES}")
        return value

    @field_validator("source")
    @classmethod
    def _source(cls, value: str | None) -> str | None:
        if value is not None:
            ipaddress.ip_network(value, strict=False)  # a ValueError says what is wrong with it
        return value

    @model_validator(mode="after")
    def _payloads(self) -> Self:
        try:
            self.as_payload_types()
        except UnsupportedMediaError as error:
            raise ValueError(error.message) from None
        return self

    def as_payload_types(self) -> PayloadTypes:
        """Raises UnsupportedMediaError."""
        codec = None if self.codec is None else payload_of(self.codec)
        if codec is not None and not isinstance(codec, Audio):
            raise UnsupportedMediaError(f"{self.codec} carries no speech")
        return PayloadTypes(told={number: payload_of(name) for number, name in self.payload_types.items()}, codec=codec)


class RtpLegOut(Outgoing):
    leg: Leg
    port: int = Field(description="UDP, for RTP (and RTCP, where it is muxed)")
    rtcp_port: int
    source: str | None = Field(description="who sends, once somebody does")
    received: int = Field(description="packets")
    missing: int = Field(description="packets that never came, or too late")
    duplicate: int
    strangers: int = Field(description="packets from other addresses, not heard")
    unread: int = Field(description="packets of payload types that nobody explained, or of another codec")
    malformed: int


class RtpOut(Outgoing):
    id: str
    call_id: str
    address: str = Field(description="where the ports are")
    legs: tuple[RtpLegOut, ...]
    started: bool = Field(description="whether speech has come; the call is then at `/v1/calls/{call_id}`")
    codec: str | None = Field(description="once it is known")
    dropped: int = Field(description="packets for which there was no room")


async def open_rtp(ask: Ask[Nothing, RtpIn]) -> web.StreamResponse:
    wanted = ask.body
    call_id = wanted.call_id or f"call_{secrets.token_hex(12)}"
    if wanted.call_id is not None and await ask.context.store.knows(CallKey(ask.tenant, wanted.call_id)):
        raise ConflictError(f"there is a call {call_id} already")
    payload_types = wanted.as_payload_types()
    expected = Expected(
        carrier="rtp",
        carrier_call_id=wanted.carrier_call_id,
        stream_id=f"rtp_{secrets.token_hex(8)}",
        legs=wanted.legs,
        payload_types=dict.fromkeys(wanted.legs, payload_types),
        parameters={**wanted.as_parameters(), "call_id": call_id},
        may_send=Senders([wanted.source] if wanted.source else ["0.0.0.0/0", "::/0"]),
    )
    call = ask.request.app[RTP_CALLS].open(
        expected, ask.context, tenant=ask.tenant, call_id=call_id, start_timeout_s=wanted.start_timeout_s
    )
    return answer(_shown(call, ask), status=201, headers={hdrs.LOCATION: f"/v1/rtp/{call.id}"})


async def get_rtp(ask: Ask[Nothing, Nothing]) -> web.StreamResponse:
    return answer(_shown(_found(ask), ask))


async def close_rtp(ask: Ask[Nothing, Nothing]) -> web.StreamResponse:
    _found(ask).media.end("hangup")
    return web.Response(status=204)


def _found(ask: Ask[Nothing, Nothing]) -> RtpCall:
    wanted = ask.path("rtp_id")
    call = ask.request.app[RTP_CALLS].find(wanted, ask.tenant)
    if call is None:
        raise NotFoundError(f"no RTP ports {wanted!r}: never opened, or the call is over")
    return call


def _shown(call: RtpCall, ask: Ask[Any, Any]) -> RtpOut:
    media, stream = call.media, call.media.stream
    transport = ask.request.transport
    reached_at = transport.get_extra_info("sockname")[0] if transport is not None else ask.context.settings.host
    legs = []
    for leg, pair in media.pairs.items():
        counts, source = stream.counts(leg), stream.source(leg)
        legs.append(
            RtpLegOut(
                leg=leg,
                port=pair.port,
                rtcp_port=pair.port + 1,
                source=None if source is None else f"{source[0]}:{source[1]}",
                received=counts.received,
                missing=counts.missing,
                duplicate=counts.duplicate,
                strangers=counts.strangers,
                unread=counts.unread,
                malformed=counts.malformed,
            )
        )
    return RtpOut(
        id=call.id,
        call_id=call.call_id,
        address=media_address(ask.context.settings, reached_at),
        legs=tuple(legs),
        started=media.started,
        codec=None if stream.audio is None else str(stream.audio.media_format.encoding),
        dropped=media.dropped,
    )


ROUTES: Final = (
    Route(
        method=hdrs.METH_POST,
        path="/v1/rtp",
        handler=open_rtp,
        scope=Scope.MEDIA,
        summary="Open UDP ports for a call that comes as plain RTP",
        tag="media",
        body=RtpIn,
        answers=(Answer(description="the ports, which wait for the first packet", status=201, model=RtpOut),),
        faults=(CapacityError, ConflictError),
    ),
    Route(
        method=hdrs.METH_GET,
        path="/v1/rtp/{rtp_id}",
        handler=get_rtp,
        scope=Scope.MEDIA,
        summary="How it goes at the ports of a call",
        tag="media",
        answers=(Answer(description="what has come so far", model=RtpOut),),
    ),
    Route(
        method=hdrs.METH_DELETE,
        path="/v1/rtp/{rtp_id}",
        handler=close_rtp,
        scope=Scope.MEDIA,
        summary="Hang up: end the call and close its ports",
        tag="media",
        answers=(Answer(description="what was heard is still told", status=204, media_types=()),),
    ),
)
