"""One recording of a SIPREC client (RFC 7866): who is on which stream, and how its offers change what is heard."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiosipua.dialog import Dialog, create_dialog_from_request

from bridge.errors import UnsupportedMediaError
from bridge.ingest.siprec_metadata import Metadata, Party
from bridge.ingest.siprec_sdp import Offer, OfferedStream, answer, legs_of, read_offer
from bridge.model.stream import Leg
from bridge.web.rtp_calls import RtpCall
from bridge.web.sip_transaction import ServerTransaction


@dataclass(slots=True)
class RecordingSession:
    """One recording in progress."""

    dialog: Dialog
    asked: ServerTransaction
    call: RtpCall
    offer: Offer
    legs: Mapping[int, Leg]
    """By the index of their `m=` line."""
    sending: dict[Leg, bool]
    host: str
    sdp_id: int = field(default_factory=lambda: secrets.randbits(31))
    version: int = 0
    repeating: asyncio.Task[None] | None = None

    @classmethod
    def begun(
        cls, asked: ServerTransaction, call: RtpCall, offer: Offer, legs: Mapping[int, Leg], *, host: str
    ) -> RecordingSession:
        """As its first offer says; nothing is heard while neither party sends."""
        session = cls(
            dialog=create_dialog_from_request(asked.request),
            asked=asked,
            call=call,
            offer=offer,
            legs=legs,
            sending={legs[stream.index]: stream.sends for stream in offer.streams},
            host=host,
        )
        call.media.hold(not any(session.sending.values()))
        session.dialog.confirm()
        return session

    def renegotiate(self, sdp: str) -> None:
        """Hold, resume, other codecs' order: streams keep their legs, by their place in the offer.

        Raises CarrierProtocolError, UnsupportedMediaError.
        """
        audio = self.call.media.stream.audio or self.offer.codec
        offer = read_offer(sdp, agreed=audio)
        kept = tuple(stream for stream in offer.streams if stream.index in self.legs)
        if not kept:
            raise UnsupportedMediaError("none of the streams that are recorded is offered any more")
        self.offer = Offer(offer.sdp, kept, offer.codec)
        streams: dict[Leg, OfferedStream] = {self.legs[stream.index]: stream for stream in kept}
        media = self.call.media
        for leg, was_sending in self.sending.items():
            stream = streams.get(leg)
            sends = stream is not None and stream.sends
            if stream is not None:
                media.stream.expect(leg, self.offer.payload_types(stream))
            if sends and not was_sending:
                media.stream.resume(leg)
            self.sending[leg] = sends
        media.hold(not any(self.sending.values()))

    def answer(self) -> str:
        """Our SDP, one version further."""
        ports = [self.call.media.pairs[self.legs[stream.index]].port for stream in self.offer.streams]
        self.version += 1
        return answer(self.offer, self.host, ports, session_id=self.sdp_id, version=self.version)

    def stop_repeating(self) -> None:
        """Our last answer has arrived, or nobody waits for it any more."""
        if self.repeating is not None:
            self.repeating.cancel()
            self.repeating = None


def legs_by_stream(offer: Offer, metadata: Metadata) -> dict[int, Leg]:
    """Whoever placed the call is the caller, where that is told; else the first stream's party is."""
    legs = legs_of(len(offer.streams))
    indices = [stream.index for stream in offer.streams]
    parties = [metadata.parties.get(stream.label, Party()) for stream in offer.streams]
    if len(legs) == 2 and (parties[0].calling is False or parties[1].calling) and not parties[0].calling:
        legs = legs[::-1]
    return dict(zip(indices, legs, strict=True))


def parties_told(offer: Offer, legs: Mapping[int, Leg], metadata: Metadata) -> dict[str, str]:
    """Names and addresses of the parties, as a customer's own metadata."""
    found = {"metadata.recording_session": metadata.session_id}
    waiting = list(metadata.unplaced)
    for stream in offer.streams:
        party = metadata.parties.get(stream.label) or (waiting.pop(0) if waiting else Party())
        leg = legs[stream.index]
        found |= {f"metadata.{leg}_name": party.name, f"metadata.{leg}_address": party.aor}
    return {name: value for name, value in found.items() if value}
