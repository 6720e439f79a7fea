"""Calls that come in over RTP, however they were arranged: opened, served in tasks of their own, and ended."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import structlog
from aiohttp import web

from bridge.errors import BridgeError, CapacityError, ConflictError, RequestError
from bridge.ingest.rtp import Expected, RtpStream
from bridge.metrics import CALLS_REFUSED, MEDIA_ERRORS
from bridge.model.stream import Leg, StreamStarted
from bridge.ports import Clock
from bridge.settings import Settings
from bridge.web.context import Context
from bridge.web.rtp_media import RtpMedia
from bridge.web.rtp_ports import open_pairs
from bridge.web.way_back import PacketsBack

log = structlog.get_logger(__name__)

MOST_WAITING: Final = 256
"""Calls whose ports are open and to which nobody has spoken yet."""

LEAVING_S: Final = 10.0
"""What calls cut off by a shutdown have for their last words."""


@dataclass(slots=True, kw_only=True)
class RtpCall:
    """One call, from its ports' opening to their closing."""

    expected: Expected
    tenant: str
    call_id: str
    media: RtpMedia
    serving: asyncio.Task[None] = field(init=False)
    way_back: PacketsBack | None = None
    """To whoever calls, once speech has come."""

    @property
    def id(self) -> str:
        return self.expected.stream_id


class RtpCalls:
    """All of a server's, by id. A call that has ended is not among them any more."""

    def __init__(self) -> None:
        self._calls: dict[str, RtpCall] = {}

    def find(self, rtp_id: str, tenant: str) -> RtpCall | None:
        found = self._calls.get(rtp_id)
        return found if found is not None and found.tenant == tenant else None

    def open(
        self, expected: Expected, context: Context, *, tenant: str, call_id: str, start_timeout_s: float | None = None
    ) -> RtpCall:
        """Open ports for all legs and wait for speech on them. Raises CapacityError, ConflictError, SetupError."""
        self._check_room(context, tenant)
        if any((call.tenant, call.call_id) == (tenant, call_id) for call in self._calls.values()):
            raise ConflictError(f"call {call_id} has its ports already")
        settings = context.settings
        legs = expected.legs
        pairs = open_pairs(settings.rtp_host or settings.host, settings.rtp_port_range, len(legs))
        media = RtpMedia(
            RtpStream(expected),
            dict(zip(legs, pairs, strict=True)),
            carrier=expected.carrier,
            clock=context.clock,
            start_timeout_s=start_timeout_s or settings.start_timeout_s,
            idle_timeout_s=settings.idle_timeout_s,
        )
        call = RtpCall(expected=expected, tenant=tenant, call_id=call_id, media=media)
        self._calls[call.id] = call
        call.serving = asyncio.create_task(self._serve(call, context), name=f"RTP of {call_id}")
        return call

    def ways_back(self) -> list[PacketsBack]:
        """To those who send. SIPREC's clients record, and are never sent anything."""
        return [call.way_back for call in self._calls.values() if call.way_back is not None]

    async def leave(self) -> None:
        """The server shuts down: calls end as `drained`. Returns when they have, or are out of time."""
        calls = list(self._calls.values())
        for call in calls:
            call.media.end("drained")
        if calls:
            _, late = await asyncio.wait([call.serving for call in calls], timeout=LEAVING_S)
            for task in late:
                task.cancel()

    def _check_room(self, context: Context, tenant: str) -> None:
        if context.leaving.is_set():
            raise CapacityError("this server is shutting down", retry_after=5)
        if sum(not call.media.started for call in self._calls.values()) >= MOST_WAITING:
            raise CapacityError("too many calls are about to start", retry_after=context.settings.start_timeout_s)
        context.calls.check_room(tenant)

    async def _serve(self, call: RtpCall, context: Context) -> None:
        """From the ports' opening to their closing. Whatever goes wrong ends this call alone."""
        media, carrier = call.media, call.expected.carrier
        fault: BridgeError | None = None
        try:
            async with aclosing(media.items()) as items:
                started = await anext(items, None)
                if isinstance(started, StreamStarted):
                    call.way_back = _way_back(call, started, context.clock)
                    await context.calls.take(started, items, tenant=call.tenant)
        except BridgeError as error:
            fault = error
        except Exception:
            log.exception("RTP call failed", call_id=call.call_id)
            fault = BridgeError("something went wrong on our side")
        finally:
            media.close()
            self._calls.pop(call.id, None)
        fault = fault or media.fault
        if fault is not None:
            refused = isinstance(fault, CapacityError | RequestError)
            (CALLS_REFUSED if refused else MEDIA_ERRORS).labels(carrier, fault.code).inc()
            log.warning("RTP call ended by a fault", call_id=call.call_id, code=fault.code, reason=fault.message)


def _way_back(call: RtpCall, started: StreamStarted, clock: Clock) -> PacketsBack:
    """To the caller, or to where all parties come from."""
    media = call.media
    stream, leg = media.stream, Leg.CALLER if Leg.CALLER in started.legs else started.legs[0]
    assert stream.audio is not None  # noqa: S101  # it came with the start
    return PacketsBack(
        started,
        stream.payload_type,
        stream.audio.clock_rate,
        tenant=call.tenant,
        clock=clock,
        send=partial(media.send, leg),
        heard_out=media.heard_out,
    )


RTP_CALLS: web.AppKey[RtpCalls] = web.AppKey("RTP calls", RtpCalls)


class Senders:
    """Hosts that may send, as addresses and networks."""

    def __init__(self, networks: Sequence[str]) -> None:
        """Raises ValueError for what is neither."""
        self._networks = [ipaddress.ip_network(network, strict=False) for network in networks]

    def __call__(self, host: str) -> bool:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self._networks)


def media_address(settings: Settings, reached_at: str) -> str:
    """What senders are told: as set, or where the ports listen; where that is anywhere, our address `reached_at`."""
    if settings.rtp_public_host is not None:
        return settings.rtp_public_host
    host = settings.rtp_host or settings.host
    try:
        everywhere = ipaddress.ip_address(host).is_unspecified
    except ValueError:
        everywhere = not host
    return reached_at if everywhere else host
