"""A WHIP publisher made of aiortc's own peer connection: an implementation apart from what the server puts together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final

import av
import numpy as np
import numpy.typing as npt
from aiohttp import ClientResponse, ClientSession
from aiortc import (
    AudioStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)

PATIENCE_S = 10

OFFER: Final = "\r\n".join(
    [
        "v=0",
        "o=- 1 1 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "m=audio 9 UDP/TLS/RTP/SAVPF 0",
        "a=mid:0",
        "a=sendonly",
        "a=rtcp-mux",
        "a=ice-ufrag:abcd",
        "a=ice-pwd:0123456789012345678901",
        f"a=fingerprint:sha-256 {':'.join(['AB'] * 32)}",
        "a=setup:actpass",
        "",
    ]
)
"""What the server takes as a call, though nobody ever comes to speak."""

NOBODY = RTCConfiguration(iceServers=[])
"""No STUN: nothing leaves this machine."""


class Recording(AudioStreamTrack):
    """Samples as a track: int16 of shape (n,) or, in stereo, (n, 2), at 48 kHz, as fast as they are taken."""

    def __init__(self, samples: npt.NDArray[np.int16], *, pace_s: float = 0.0) -> None:
        super().__init__()
        self._samples = samples
        self._pace_s = pace_s
        self._at = 0
        self.sent = asyncio.Event()
        """All of it."""

    async def recv(self) -> av.AudioFrame:
        part = self._samples[self._at : self._at + 960]
        if len(part) < 960:
            self.sent.set()
            await asyncio.Event().wait()
        await asyncio.sleep(self._pace_s)
        layout = "mono" if part.ndim == 1 else "stereo"
        frame = av.AudioFrame.from_ndarray(part.reshape(1, -1).copy(), format="s16", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = 48_000, self._at, Fraction(1, 48_000)
        self._at += 960
        return frame


@dataclass
class Publisher:
    """One peer connection, and the session that the server made of its offer."""

    session: ClientSession
    endpoint: str
    peer: RTCPeerConnection = field(default_factory=lambda: RTCPeerConnection(NOBODY))
    connected: asyncio.Event = field(default_factory=asyncio.Event)
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    location: str = ""
    etag: str = ""

    def __post_init__(self) -> None:
        self.peer.on("connectionstatechange", self._changed)

    def _changed(self) -> None:
        state = self.peer.connectionState
        if state == "connected":
            self.connected.set()
        elif state in {"closed", "failed"}:
            self.closed.set()

    def send(self, track: AudioStreamTrack, codec: str | None = None) -> None:
        """A track, in one codec alone (`opus`, `G722`, `PCMU`, `PCMA`) or in any."""
        transceiver = self.peer.addTransceiver(track, direction="sendonly")
        if codec is not None:
            known = RTCRtpSender.getCapabilities("audio").codecs
            transceiver.setCodecPreferences([each for each in known if each.name.lower() == codec.lower()])

    async def offer(self) -> str:
        await self.peer.setLocalDescription(await self.peer.createOffer())
        return self.peer.localDescription.sdp

    async def post(self, offer: str, *, query: str = "", headers: dict[str, str] | None = None) -> ClientResponse:
        """The request by itself, its answer read."""
        given = {"Content-Type": "application/sdp", **(headers or {})}
        async with self.session.post(f"{self.endpoint}{query}", data=offer, headers=given) as response:
            await response.read()
            return response

    async def publish(self, *, query: str = "", headers: dict[str, str] | None = None) -> ClientResponse:
        """Offer what was added, and take the answer."""
        response = await self.post(await self.offer(), query=query, headers=headers)
        text = await response.text()
        assert response.status == 201, text
        self.location = str(response.url.join(type(response.url)(response.headers["Location"])))
        self.etag = response.headers["ETag"]
        await self.peer.setRemoteDescription(RTCSessionDescription(text, "answer"))
        return response

    async def ask(self, method: str, **given: Any) -> ClientResponse:
        """Something of the session."""
        async with self.session.request(method, self.location, **given) as response:
            await response.read()
            return response


@asynccontextmanager
async def publisher(endpoint: str, *, token: str | None = None) -> AsyncIterator[Publisher]:
    """Closed, if it is not yet, when the test is over."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with ClientSession(headers=headers) as session:
        made = Publisher(session, endpoint)
        try:
            yield made
        finally:
            await made.peer.close()
