"""One WHIP publisher (RFC 9725), from its offer to its end: packets in, a call out, deadlines kept."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from typing import Final

import structlog

from bridge.errors import CarrierError, CarrierFloodError, CarrierProtocolError, CarrierSilentError
from bridge.ingest.rtp_formats import Audio, Payload, Signal
from bridge.ingest.rtp_leg import RtpLeg, Timeline
from bridge.ingest.webrtc import RtpLine
from bridge.ingest.whip import CARRIER, Agreed
from bridge.metrics import MEDIA_MESSAGES
from bridge.model.ice import IceServer
from bridge.model.stream import StreamItem, StreamStarted, StreamStopped
from bridge.ports import CallTaker, Clock
from bridge.settings import Settings
from bridge.web.media_socket import MESSAGE_BURST, MESSAGES_A_SECOND, Allowance
from bridge.web.way_back import PacketsBack
from callcodecs.rtp import RtpPacket

log = structlog.get_logger(__name__)

MOST_WAITING: Final = 1500
"""Packets that wait for the call to take them, half a minute: UDP cannot be held back. The oldest go, and are gaps."""

MOST_SOURCES: Final = 16
"""A track that changes its source more often than this is none: every one costs memory beneath us."""


LATE_S: Final = 0.1
"""A publisher that has asked for its end over HTTP is heard until nothing has come for so long, at most `LATEST_S`: its
last packets may come behind that.
"""
LATEST_S: Final = 2.0


class WhipSession:
    """A publisher's connection and its call. Whatever ends the one ends the other."""

    def __init__(
        self, agreed: Agreed, *, tenant: str, ice_servers: tuple[IceServer, ...], clock: Clock, settings: Settings
    ) -> None:
        self.id = secrets.token_urlsafe(18)
        self.etag = f'"{secrets.token_urlsafe(12)}"'
        """Of its one ICE session (RFC 9725 §4.3.1)."""
        self.tenant = tenant
        self.agreed = agreed
        self.accepted = asyncio.Event()
        """Set once the call is taken: from here on nobody refuses it."""
        self.way_back: PacketsBack | None = None
        """To a publisher that hears, once it is connected."""
        self.fault: CarrierError | None = None
        """What the publisher did wrong, if it did."""
        self._clock = clock
        self._settings = settings
        self._line = RtpLine(ice_servers, heard=self._hear, lost=self._lost)
        audio = Audio(agreed.media_format, agreed.codec.clock_rate)
        self._payloads: dict[int, Payload] = {agreed.codec.payload_type: audio}
        if agreed.keys is not None:
            self._payloads[agreed.keys.payload_type] = Signal.KEYS
        self._track = RtpLeg(agreed.legs, audio, Timeline())
        self._sources: set[int] = set()
        self._allowance = Allowance(clock, rate=MESSAGES_A_SECOND, burst=MESSAGE_BURST)
        self._counted = MEDIA_MESSAGES.labels(CARRIER)
        self._waiting: deque[tuple[RtpPacket, float]] = deque(maxlen=MOST_WAITING)
        """Each with when it came."""
        self._heard_at: float | None = None
        self._ending: str | None = None
        self._news = asyncio.Event()
        self._hung_up = asyncio.Event()
        self._heard_out = asyncio.Event()

    async def answer(self) -> str:
        """Open ports and say where they are. Whoever has asked for it runs the session, or closes it."""
        return self.agreed.answer(await self._line.gather(), session=secrets.randbits(62))

    async def run(self, calls: CallTaker, parameters: Mapping[str, str]) -> None:
        """Take the call; returns when it has ended and nothing of it is left. Raises what `take` raises."""
        started = StreamStarted(
            carrier=CARRIER,
            carrier_call_id=self.id,
            stream_id=self.id,
            legs=self.agreed.legs,
            media_format=self.agreed.media_format,
            parameters=parameters,
        )
        tasks = [asyncio.create_task(each) for each in (self._connect(started), self._watch(), self._hear_out())]
        try:
            async with aclosing(self._items()) as items:
                await calls.take(started, items, tenant=self.tenant)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.close()

    async def close(self) -> None:
        """Say goodbye to the publisher, if it is still there, and give up the ports."""
        await self._line.close()

    async def add_candidates(self, candidates: tuple[str, ...]) -> None:
        """More addresses of the publisher."""
        for candidate in candidates:
            await self._line.add_candidate(candidate)

    def hang_up(self) -> None:
        """The publisher asks for its end."""
        self._hung_up.set()

    def end(self, reason: str) -> None:
        """The call is over, once what has come is heard. The first reason counts."""
        self._ending = self._ending or reason
        self._news.set()

    def _fail(self, fault: CarrierError) -> None:
        if self._ending is None:
            self.fault = fault
            self.end("error")

    async def _items(self) -> AsyncGenerator[StreamItem, None]:
        """What the publisher says, its end included. Raises CarrierError."""
        self.accepted.set()
        try:
            while True:
                self._news.clear()
                while self._waiting:
                    for item in self._heard(*self._waiting.popleft()):
                        yield item
                if self._ending is not None:
                    break
                await self._news.wait()
            for item in self._track.flush():
                yield item
            if self.fault is not None:
                raise self.fault
        except CarrierError as error:
            self.fault = error
            raise
        finally:
            self._heard_out.set()
        yield StreamStopped(reason=self._ending)

    def _heard(self, packet: RtpPacket, at_s: float) -> list[StreamItem]:
        """Other payload types than those agreed upon are not."""
        payload = self._payloads.get(packet.payload_type)
        return [] if payload is None else self._track.receive(packet, payload, at_s)

    async def _send(self, packet: bytes) -> None:
        """A publisher that is gone is not told: its silence ends the call."""
        with suppress(ConnectionError):
            await self._line.send(packet)

    # -- from beneath ----------------------------------------------------------------------------------------------

    async def _connect(self, started: StreamStarted) -> None:
        agreed = self.agreed
        try:
            await self._line.connect(agreed.peer, role=agreed.role, codecs=agreed.codecs)
            if agreed.both_ways:
                self.way_back = PacketsBack(
                    started,
                    agreed.codec.payload_type,
                    agreed.codec.clock_rate,
                    tenant=self.tenant,
                    clock=self._clock,
                    send=self._send,
                    heard_out=self._heard_out,
                )
        except CarrierProtocolError as error:
            self._fail(error)
        except Exception:
            log.exception("no connection to a publisher", session=self.id)
            self._fail(CarrierProtocolError("the connection could not be made"))

    def _hear(self, packet: RtpPacket) -> None:
        if self._ending is not None:
            return
        if not self._allowance.spend(1):
            self._fail(CarrierFloodError(f"more than {MESSAGES_A_SECOND:.0f} packets a second"))
            return
        self._sources.add(packet.ssrc)
        if len(self._sources) > MOST_SOURCES:
            self._fail(CarrierProtocolError(f"more than {MOST_SOURCES} sources in one track"))
            return
        self._heard_at = self._clock.monotonic()
        self._counted.inc()
        self._waiting.append((packet, self._heard_at))
        self._news.set()

    def _lost(self) -> None:
        """The publisher has hung up; or it has answered nothing for so long that its consent is void (RFC 7675)."""
        self.end("hangup" if self._line.said_goodbye else "closed")

    async def _hear_out(self) -> None:
        await self._hung_up.wait()
        asked_at = self._clock.monotonic()
        while (left := self._late_until(asked_at) - self._clock.monotonic()) > 0:
            await self._clock.sleep(left)
        self.end("hangup")

    def _late_until(self, asked_at: float) -> float:
        return min(max(self._heard_at or asked_at, asked_at) + LATE_S, asked_at + LATEST_S)

    async def _watch(self) -> None:
        """As on a media socket: audio has to begin in time, and to go on."""
        limit = self._settings.start_timeout_s
        await self._clock.sleep(limit)
        if self._heard_at is None:
            self._fail(CarrierSilentError(f"no audio came within {limit:g} s"))
            return
        limit = self._settings.idle_timeout_s
        while (left := self._heard_at + limit - self._clock.monotonic()) > 0:
            await self._clock.sleep(left)
        self.end("idle")
