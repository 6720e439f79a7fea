"""Asterisk AudioSocket: packets over TCP, a kind, a length and a payload each, and one call a connection.

Asterisk's res_audiosocket.c, app_audiosocket.c and chan_audiosocket.c; docs.asterisk.org, "AudioSocket". Samples are
little-endian, as on every common host of Asterisk's. Nothing says when audio was, and no more than a UUID says whose
call it is: what else is to be known of it was told before, for that UUID.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import ClassVar, Final, TypeAlias
from uuid import UUID

from bridge.errors import BridgeError, CarrierError, CarrierProtocolError
from bridge.ingest.table import State
from bridge.ingest.tracks import key_pressed
from bridge.model.stream import Encoding, Leg, MediaChunk, MediaFormat, StreamItem, StreamStarted, StreamStopped

HEADER: Final = struct.Struct(">BH")
"""Kind, and the payload's length in bytes."""
LONGEST: Final = HEADER.size + 0xFFFF

FRAME_MS: Final = 20
"""Of what we send: Asterisk's application plays it as it comes, without a buffer."""


class Kind(IntEnum):
    """What a packet is. All sorts of audio are `AUDIO` here: `RATES` tells them apart."""

    HANG_UP = 0x00
    UUID = 0x01
    DTMF = 0x03
    AUDIO = 0x10
    ERROR = 0xFF


RATES: Final[Mapping[int, int]] = {
    0x10: 8000,
    0x11: 12000,
    0x12: 16000,
    0x13: 24000,
    0x14: 32000,
    0x15: 44100,
    0x16: 48000,
    0x17: 96000,
    0x18: 192000,
}
"""Samples a second, by kind. Older Asterisks, and the dialplan's application, know 0x10 alone."""
KINDS: Final = {rate: kind for kind, rate in RATES.items()}
SORTS: Final[Mapping[int, Kind]] = {**{int(kind): kind for kind in Kind}, **dict.fromkeys(RATES, Kind.AUDIO)}

ERRORS: Final = {0x02: "a frame could not be passed on", 0x04: "out of memory"}
"""Bits of an error's code. 0x01 is no error: the caller has hung up."""
HUNG_UP: Final = 0x01

MOST_EARLY_KEYS: Final = 32
"""Keys pressed before the first audio: kept until it says what the call is made of."""


def packet(kind: int, payload: bytes = b"") -> bytes:
    return HEADER.pack(kind, len(payload)) + payload


class Packets:
    """TCP's bytes cut into packets, however TCP has cut them. Holds less than one packet (`LONGEST`)."""

    def __init__(self) -> None:
        self._held = b""

    @property
    def unfinished(self) -> bool:
        """Whether the beginning of a packet is held."""
        return bool(self._held)

    def feed(self, data: bytes) -> list[bytes]:
        """The packets that are whole now, each with its header."""
        run = self._held + data if self._held else data
        found, at = [], 0
        while len(run) - at >= HEADER.size:
            end = at + HEADER.size + HEADER.unpack_from(run, at)[1]
            if end > len(run):
                break
            found.append(run[at:end])
            at = end
        self._held = run[at:]
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What is known of a call before it comes."""

    leg: Leg = Leg.CALLER
    parameters: Mapping[str, str] = field(default_factory=dict)


Expect: TypeAlias = Callable[[str], Expected]
"""What is expected of a call with this UUID. Raises CarrierAuthError for one that may not come."""


def anyone(_uuid: str) -> Expected:
    """Nothing was said of the call beforehand."""
    return Expected()


class AudioSocketStream:
    """One AudioSocket connection, a message a packet. The stream starts with its first audio, which tells the rate."""

    def __init__(self, expect: Expect = anyone) -> None:
        self.state = State.NEW
        self._expect = expect
        self._uuid = ""
        self._expected = Expected()
        self._kind = int(Kind.AUDIO)
        self._early_keys: tuple[StreamItem, ...] = ()

    @property
    def silence(self) -> bytes:
        """A packet of silence, 20 ms in the kind that is heard; at 8 kHz, which all know, before any is."""
        return packet(self._kind, bytes(2 * RATES[self._kind] * FRAME_MS // 1000))

    def receive(self, message: str | bytes) -> list[StreamItem]:
        """A whole packet. Raises CarrierError; state and output are then unchanged. Kinds nobody knows are ignored."""
        kind, payload = _parse(message)
        known = SORTS.get(kind)
        if known is None:
            return []
        try:
            read, after = self.TABLE[self.state, known]
        except KeyError:
            raise CarrierProtocolError(f"{known.name} while {self.state.name}") from None
        items = read(self, kind, payload)
        self.state = after
        return items

    def to_send(self) -> list[str | bytes]:
        """Nothing: silence keeps its own time, and a hang-up goes with the connection's end."""
        return []

    def leave(self, fault: BridgeError | None) -> bool:
        """As any connection is closed."""
        del fault
        return False

    def _named(self, _kind: int, payload: bytes) -> list[StreamItem]:
        if len(payload) != len(UUID(int=0).bytes):
            raise CarrierProtocolError(f"a UUID of {len(payload)} bytes")
        uuid = str(UUID(bytes=payload))
        self._expected = self._expect(uuid)
        self._uuid = uuid
        return []

    def _started(self, kind: int, payload: bytes) -> list[StreamItem]:
        started = StreamStarted(
            carrier="audiosocket",
            carrier_call_id=self._uuid,
            stream_id=self._uuid,
            legs=(self._expected.leg,),
            media_format=MediaFormat(encoding=Encoding.L16_LE, sample_rate=RATES[kind]),
            parameters=self._expected.parameters,
        )
        self._kind = kind
        early, self._early_keys = self._early_keys, ()
        return [started, *early, *self._heard(kind, payload)]

    def _heard(self, kind: int, payload: bytes) -> list[StreamItem]:
        if kind != self._kind:
            raise CarrierProtocolError(f"audio at {RATES[kind]} Hz in a call at {RATES[self._kind]} Hz")
        return [MediaChunk(leg=self._expected.leg, payload=payload)]

    def _pressed(self, _kind: int, payload: bytes) -> list[StreamItem]:
        return [key_pressed(self._expected.leg, payload.decode("latin-1"))]

    def _pressed_early(self, kind: int, payload: bytes) -> list[StreamItem]:
        if len(self._early_keys) >= MOST_EARLY_KEYS:
            raise CarrierProtocolError(f"more than {MOST_EARLY_KEYS} keys before any audio")
        self._early_keys += tuple(self._pressed(kind, payload))
        return []

    def _over(self, _kind: int, _payload: bytes) -> list[StreamItem]:
        return [StreamStopped()]

    def _over_already(self, _kind: int, _payload: bytes) -> list[StreamItem]:
        return []

    def _failed(self, _kind: int, payload: bytes) -> list[StreamItem]:
        """Bits, in one byte. A hang-up is told so by some versions."""
        code = int.from_bytes(payload)
        if code == HUNG_UP:
            return [StreamStopped()] if self.state is State.STREAMING else []
        told = [meaning for bit, meaning in ERRORS.items() if code & bit]
        raise CarrierError(f"Asterisk reports an error, 0x{code & 0xFF:02x}: {', '.join(told) or 'unknown'}")

    TABLE: ClassVar[
        Mapping[tuple[State, Kind], tuple[Callable[[AudioSocketStream, int, bytes], list[StreamItem]], State]]
    ] = {
        (State.NEW, Kind.UUID): (_named, State.CONNECTED),
        (State.CONNECTED, Kind.AUDIO): (_started, State.STREAMING),
        (State.CONNECTED, Kind.DTMF): (_pressed_early, State.CONNECTED),
        (State.CONNECTED, Kind.HANG_UP): (_over_already, State.CONNECTED),
        (State.CONNECTED, Kind.ERROR): (_failed, State.CONNECTED),
        (State.STREAMING, Kind.AUDIO): (_heard, State.STREAMING),
        (State.STREAMING, Kind.DTMF): (_pressed, State.STREAMING),
        (State.STREAMING, Kind.HANG_UP): (_over, State.STOPPED),
        (State.STREAMING, Kind.ERROR): (_failed, State.STOPPED),
        (State.STOPPED, Kind.AUDIO): (_heard, State.STOPPED),
        (State.STOPPED, Kind.DTMF): (_pressed, State.STOPPED),
        (State.STOPPED, Kind.HANG_UP): (_over_already, State.STOPPED),
        (State.STOPPED, Kind.ERROR): (_failed, State.STOPPED),
    }


def _parse(message: str | bytes) -> tuple[int, bytes]:
    if isinstance(message, str):
        raise CarrierProtocolError("a text, where packets are spoken")
    if len(message) < HEADER.size:
        raise CarrierProtocolError("a packet without its header")
    kind, length = HEADER.unpack_from(message)
    payload = message[HEADER.size :]
    if len(payload) != length:
        raise CarrierProtocolError(f"a packet of {len(payload)} bytes that says it has {length}")
    return kind, payload
