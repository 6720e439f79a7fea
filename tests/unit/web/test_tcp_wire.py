"""A TCP connection as a media socket uses it: what is held back, what is dropped, how it ends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import WSMsgType

from bridge.ingest.audiosocket import HEADER, packet
from bridge.web.tcp_wire import HANG_UP, MOST_HELD, MOST_UNREAD, TcpWire

FRAME = packet(0x10, bytes(320))


class Line(asyncio.Transport):
    """The transport's side, written down."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.written: list[bytes] = []
        self.unread = 0

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def get_write_buffer_size(self) -> int:
        return self.unread

    def pause_reading(self) -> None:
        self.calls.append("pause")

    def resume_reading(self) -> None:
        self.calls.append("resume")

    def write_eof(self) -> None:
        self.calls.append("eof")

    def close(self) -> None:
        self.calls.append("close")

    def abort(self) -> None:
        self.calls.append("abort")


def opened() -> tuple[TcpWire, Line]:
    line, accepted = Line(), []
    wire = TcpWire(accepted.append)
    wire.connection_made(line)
    assert accepted == [wire]
    return wire, line


async def test_packets_come_whole_and_then_the_end() -> None:
    """However they were cut; the end is told again to whoever asks again."""
    wire, _ = opened()
    run = FRAME * 2
    for at in range(0, len(run), 100):
        wire.data_received(run[at : at + 100])
    assert wire.eof_received() is not False
    got = [await wire.receive() for _ in range(4)]
    assert [message.data for message in got[:2]] == [FRAME, FRAME]
    assert [message.type for message in got[2:]] == [WSMsgType.CLOSE] * 2


async def test_whoever_waits_is_woken() -> None:
    """By a packet, and by the end."""
    wire, _ = opened()
    for event in (lambda: wire.data_received(FRAME), lambda: wire.connection_lost(None)):
        waiting = asyncio.create_task(wire.receive())
        await asyncio.sleep(0)
        event()
        kind = (await waiting).type
    assert kind is WSMsgType.CLOSE


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize(
    ("torn", "kind"),
    [
        pytest.param(b"", WSMsgType.CLOSE, id="between-packets"),
        pytest.param(b"\x10", WSMsgType.CLOSED, id="in-a-packet"),
    ],
)
async def test_a_hang_up_and_a_broken_line(torn: bytes, kind: WSMsgType, reset: bool) -> None:
    """Asterisk sends whole packets: one that is cut off was not its doing. A reset between packets may well have been."""
    wire, _ = opened()
    wire.data_received(FRAME + torn)
    wire.connection_lost(ConnectionResetError() if reset else None)
    assert [(await wire.receive()).type for _ in range(2)] == [WSMsgType.BINARY, kind]


async def test_a_call_that_does_not_read_holds_asterisk_back() -> None:
    """Reading pauses above a bound and goes on below it."""
    wire, line = opened()
    many = MOST_HELD // len(FRAME) + 1
    wire.data_received(FRAME * many)
    wire.data_received(FRAME)
    assert line.calls == ["pause"]
    for _ in range(many + 1):
        await wire.receive()
    assert line.calls == ["pause", "resume"]


def test_silence_that_nobody_takes_is_dropped() -> None:
    """What Asterisk has not read stays bounded."""
    wire, line = opened()
    wire.say(FRAME)
    line.unread = MOST_UNREAD + 1
    wire.say(FRAME)
    assert line.written == [FRAME]


@pytest.mark.parametrize(
    ("ended", "code", "written", "calls"),
    [
        pytest.param(False, 1000, [HANG_UP], ["eof"], id="we-end-it"),
        pytest.param(False, 1013, [HANG_UP], ["eof"], id="we-refuse-it"),
        pytest.param(True, 1000, [], ["close"], id="asterisk-has-hung-up"),
        pytest.param(True, 1002, [HANG_UP], ["close"], id="asterisk-has-hung-up-on-a-fault"),
    ],
)
async def test_how_it_is_closed(ended: bool, code: int, written: list[bytes], calls: list[str]) -> None:
    """Once, with a hang-up where one is due; nothing is said or heard afterwards."""
    wire, line = opened()
    if ended:
        wire.eof_received()
    closing = [asyncio.create_task(wire.close(code=code)) for _ in range(2)]
    await asyncio.sleep(0)
    wire.say(FRAME)
    wire.data_received(FRAME)
    assert (await wire.receive()).type is WSMsgType.CLOSING
    wire.connection_lost(None)
    await asyncio.gather(*closing)
    assert (line.written, line.calls) == (written, calls)


async def test_one_that_is_closed_while_reading_is_paused() -> None:
    """What was held back is read to its end and thrown away: only so the end is seen."""
    wire, line = opened()
    wire.data_received(FRAME * (MOST_HELD // len(FRAME) + 1))
    closing = asyncio.create_task(wire.close())
    await asyncio.sleep(0)
    wire.data_received(FRAME[: HEADER.size])
    assert wire.eof_received() is False
    wire.connection_lost(None)
    await closing
    assert line.calls == ["pause", "eof", "resume"]


async def test_one_that_is_never_closed_on_the_other_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is cut off."""
    monkeypatch.setattr("bridge.web.tcp_wire.CLOSE_WAIT_S", 0.0)
    wire, line = opened()
    await wire.close()
    assert line.calls == ["eof", "abort"]
