"""Many subscribers of one call in a process that does next to nothing else: `python -m tests.cluster.readers`.

It keeps what comes with the time it came, and looks into it once the call has ended. Servers are told apart by their
ports; half of the readers of each take Server-Sent Events, half a WebSocket.
"""

from __future__ import annotations

import argparse
import bisect
import gc
import json
import re
import select
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate
from typing import Any, Final

TRANSPORTS: Final = ("sse", "websocket")
UPGRADE: Final = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
SSE_DATA: Final = re.compile(rb"data: (\{.*\})\n")
PING: Final = b"\x89\0"
"""An empty one (RFC 6455 §5.5.2), wherever it comes: no event has these two bytes in a row."""
PONG: Final = b"\x8a\x80\0\0\0\0"
LAST: Final = b'"type":"call.ended"'
SILENCE_S: Final = 60.0


@dataclass(slots=True)
class Reader:
    """One connection, and what came over it."""

    port: int
    transport: str
    socket: socket.socket
    came: list[tuple[float, bytes]] = field(default_factory=list)

    def events(self) -> Iterator[tuple[float, dict[str, Any]]]:
        """Each with the monotonic time at which its last byte was here."""
        whole = b"".join(data for _, data in self.came)
        ends = list(accumulate(len(data) for _, data in self.came))
        found = _of_sse(whole) if self.transport == "sse" else _of_websocket(whole)
        for end, text in found:
            yield self.came[bisect.bisect_left(ends, end)][0], json.loads(text)


def _of_sse(whole: bytes) -> Iterator[tuple[int, bytes]]:
    for found in SSE_DATA.finditer(whole):
        yield found.end(), found[1]


def _of_websocket(whole: bytes) -> Iterator[tuple[int, bytes]]:
    """Text frames as a server sends them (RFC 6455 §5.2): unmasked and, here, in one piece."""
    at = whole.index(b"\r\n\r\n") + 4
    while at + 2 <= len(whole):
        kind, length, head = whole[at], whole[at + 1], 2
        if length == 126:
            length, head = int.from_bytes(whole[at + 2 : at + 4], "big"), 4
        at += head + length
        if kind == 0x81:
            yield at, whole[at - length : at]


def join(port: int, transport: str, call_id: str) -> Reader:
    """A subscriber from the call's first event on."""
    path, more = ("live", UPGRADE) if transport == "websocket" else ("events", "")
    opened = socket.create_connection(("127.0.0.1", port))
    opened.sendall(f"GET /v1/calls/{call_id}/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{more}\r\n".encode())
    opened.setblocking(False)
    return Reader(port, transport, opened)


def read(readers: list[Reader]) -> float:
    """Returns once each has seen the call's end: since when all had been answered, on the monotonic clock."""
    by_number = {reader.socket.fileno(): reader for reader in readers}
    unanswered, reading, answered_at = set(by_number), len(readers), 0.0
    poll = select.epoll()
    for number in by_number:
        poll.register(number, select.EPOLLIN)
    while reading:
        ready = poll.poll(SILENCE_S)
        if not ready:
            sys.exit(f"nothing came for {SILENCE_S:.0f} s, and {reading} have not seen the end")
        for number, _ in ready:
            reader = by_number[number]
            data = reader.socket.recv(65536)
            reader.came.append((time.monotonic(), data))
            if PING in data:
                reader.socket.send(PONG)
            if LAST in data or not data:
                poll.unregister(number)
                reading -= 1
        if unanswered:
            unanswered.difference_update(number for number, _ in ready)
            if not unanswered:
                answered_at = time.monotonic()
                print("all are there", flush=True)  # noqa: T201  # who started us waits for it
    return answered_at


def late_ms(reader: Reader, since: float) -> tuple[list[int], list[float]]:
    """The `seq` of all events, and how long after they were made the finals came that were made after `since`."""
    offset = time.monotonic() - time.time()
    seqs, late = [], []
    for came_at, event in reader.events():
        seqs.append(event["seq"])
        made_at = datetime.fromisoformat(event["time"]).timestamp() + offset
        if event["type"] == "transcript.final" and made_at > since:
            late.append((came_at - made_at) * 1000)
    return seqs, late


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("call_id")
    arguments.add_argument("ports", type=int, nargs="+")
    arguments.add_argument("--each", type=int, required=True, help="readers of each server")
    given = arguments.parse_args()
    gc.disable()
    readers = [
        join(port, TRANSPORTS[number % 2], given.call_id) for number in range(given.each) for port in given.ports
    ]
    since = read(readers)
    cpu_s = time.process_time()
    kinds: dict[str, dict[str, Any]] = {}
    for reader in readers:
        seqs, late = late_ms(reader, since)
        kind = kinds.setdefault(f"{reader.port} {reader.transport}", {"seqs": [], "late_ms": []})
        kind["seqs"].append(seqs)
        kind["late_ms"] += late
    print(json.dumps({"cpu_s": cpu_s, "kinds": kinds}))  # noqa: T201  # the same


if __name__ == "__main__":
    main()
