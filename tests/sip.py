"""A SIPREC client made of text: what it sends is in a test's hand to the letter, and it shares no code with the server."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Self

PATIENCE_S = 20
"""Real seconds; an answer takes a thousandth of one."""

METADATA = """<?xml version="1.0" encoding="UTF-8"?>
<recording xmlns="urn:ietf:params:xml:ns:recording:1">
  <datamode>complete</datamode>
  <session session_id="c2Vzc2lvbg=="><sipSessionID>ab30317f1a784dc48ff824d0d3715d86</sipSessionID></session>
  <participant participant_id="cA=="><nameID aor="sip:+15550100@example.org"><name xml:lang="en">Dana Caller</name></nameID></participant>
  <participant participant_id="YQ=="><nameID aor="sip:desk7@example.org"><name>Desk 7</name></nameID></participant>
  <stream stream_id="czE=" session_id="c2Vzc2lvbg=="><label>a_leg</label></stream>
  <stream stream_id="czI=" session_id="c2Vzc2lvbg=="><label>b_leg</label></stream>
  <participantstreamassoc participant_id="cA=="><send>czE=</send><recv>czI=</recv></participantstreamassoc>
  <participantstreamassoc participant_id="YQ=="><send>czI=</send><recv>czE=</recv></participantstreamassoc>
</recording>
"""

MEDIA = "m=audio {port} RTP/AVP {formats}\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na={direction}\r\na=label:{label}\r\n"


def sdp(direction: str = "sendonly", *, formats: str = "0 101", labels: tuple[str, ...] = ("a_leg", "b_leg")) -> str:
    """An offer of a stream a label."""
    head = "v=0\r\no=src 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    streams = [
        MEDIA.format(port=20000 + 2 * n, formats=formats, direction=direction, label=label)
        for n, label in enumerate(labels)
    ]
    return head + "".join(streams)


def multipart(*parts: tuple[str, str], boundary: str = "unique-boundary") -> tuple[str, str]:
    """A content type, and the body of it."""
    body = "".join(f"--{boundary}\r\nContent-Type: {kind}\r\n\r\n{text}\r\n" for kind, text in parts)
    return f'multipart/mixed;boundary="{boundary}"', f"{body}--{boundary}--\r\n"


def recording(offer: str | None = None, metadata: str = METADATA) -> tuple[str, str]:
    """The usual body of an INVITE."""
    return multipart(("application/sdp", offer or sdp()), ("application/rs-metadata+xml", metadata))


@dataclass
class SipAnswer:
    status: int
    headers: dict[str, str]
    body: str

    @classmethod
    def parse(cls, text: str) -> Self:
        head, _, body = text.partition("\r\n\r\n")
        first, *lines = head.split("\r\n")
        named = [line.partition(":") for line in lines]
        headers = {name.strip().lower(): value.strip() for name, _, value in named}
        return cls(int(first.split()[1]) if first.startswith("SIP/") else 0, {"": first, **headers}, body)

    @property
    def tag(self) -> str:
        return self.headers["to"].partition("tag=")[2]

    @property
    def ports(self) -> list[int]:
        return [int(line.split()[1]) for line in self.body.splitlines() if line.startswith("m=")]

    @property
    def directions(self) -> list[str]:
        return [line[2:] for line in self.body.splitlines() if line in {"a=recvonly", "a=inactive", "a=sendrecv"}]


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, came: asyncio.Queue[str]) -> None:
        self.came = came

    def datagram_received(self, data: bytes, _source: tuple[str, int]) -> None:
        self.came.put_nowait(data.decode())


@dataclass
class SipClient:
    """One dialog, over UDP or TCP."""

    call_id: str = "recording-1@example.org"
    transport: str = "UDP"
    cseq: int = 0
    tag: str = ""
    came: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    sent: str = ""

    async def connect(self, port: int) -> Self:
        loop = asyncio.get_running_loop()
        self.port = port
        if self.transport == "UDP":
            self._udp, _ = await loop.create_datagram_endpoint(
                lambda: _Datagrams(self.came), local_addr=("127.0.0.1", 0), remote_addr=("127.0.0.1", port)
            )
            self.own = self._udp.get_extra_info("sockname")[1]
        else:
            reader, self._tcp = await asyncio.open_connection("127.0.0.1", port)
            self.own = 5060  # as a trunk says it: not the port that it comes from
            self._reading = asyncio.create_task(self._read(reader))
        return self

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while True:
            try:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
            except (asyncio.IncompleteReadError, ConnectionError):
                return
            length = int(SipAnswer.parse(head).headers["content-length"])
            self.came.put_nowait(head + (await reader.readexactly(length)).decode())

    async def close(self) -> None:
        if self.transport == "UDP":
            self._udp.close()
            return
        self._reading.cancel()
        self._tcp.close()
        await self._tcp.wait_closed()

    def send(self, text: str) -> None:
        self.sent = text
        if self.transport == "UDP":
            self._udp.sendto(text.encode())
        else:
            self._tcp.write(text.encode())

    def say(
        self, method: str, content: tuple[str, str] = ("", ""), *, headers: str = "", cseq: int | None = None
    ) -> None:
        """A request; the body's length is counted."""
        if cseq is None and method != "ACK":
            self.cseq += 1
        number = self.cseq if cseq is None else cseq
        kind, body = content
        to = f";tag={self.tag}" if self.tag else ""
        self.send(
            f"{method} sip:srs@127.0.0.1:{self.port} SIP/2.0\r\n"
            f"Via: SIP/2.0/{self.transport} 127.0.0.1:{self.own};branch=z9hG4bK{method}{number}{self.call_id[:11]}\r\n"
            f"From: <sip:src@example.org>;tag=from-1\r\nTo: <sip:srs@example.org>{to}\r\nCall-ID: {self.call_id}\r\n"
            f"CSeq: {number} {method}\r\nContact: <sip:src@127.0.0.1:{self.own}>;+sip.src\r\nMax-Forwards: 70\r\n"
            f"{headers}"
            + (f"Content-Type: {kind}\r\n" if kind else "")
            + f"Content-Length: {len(body.encode())}\r\n\r\n{body}"
        )

    async def hear(self) -> SipAnswer:
        return SipAnswer.parse(await asyncio.wait_for(self.came.get(), PATIENCE_S))

    async def ask(self, method: str, content: tuple[str, str] = ("", ""), **given: str) -> SipAnswer:
        """A request and its answer."""
        self.say(method, content, **given)
        return await self.hear()

    async def record(self, content: tuple[str, str] | None = None) -> SipAnswer:
        """An INVITE, its 200, and the ACK."""
        answer = await self.ask("INVITE", content or recording(), headers="Require: siprec\r\n")
        if answer.status == 200:
            self.tag = answer.tag
            self.say("ACK", cseq=self.cseq)
        return answer
