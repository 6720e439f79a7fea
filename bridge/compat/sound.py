"""Audio as clients of speech services send it over a socket, as chunks of a call's legs."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from bridge.errors import UnsupportedMediaError
from bridge.model.stream import Encoding, Leg, MediaChunk, MediaFormat
from callcodecs.g711 import decode_alaw, decode_ulaw

Put = Callable[[MediaChunk], Coroutine[Any, Any, None]]
"""Where chunks go: waits while the call has no room."""

LEGS: Final[Mapping[int, tuple[Leg, ...]]] = {1: (Leg.MIXED,), 2: (Leg.CALLER, Leg.AGENT)}
"""By the number of channels that are told apart; the first one is the caller's."""

ENCODINGS: Final[Mapping[str, Encoding]] = {
    "linear16": Encoding.L16_LE,
    "linear32": Encoding.L16_LE,
    "mulaw": Encoding.PCMU,
    "alaw": Encoding.PCMA,
    "opus": Encoding.OPUS,
}
"""Samples without a container, by the names that most services use. `opus` is a packet a message."""

FLOATS: Final[Mapping[str, Encoding]] = {"float32": Encoding.L16_LE}
"""Full scale is ±1."""

WIDTHS: Final[Mapping[str, int]] = {"linear16": 2, "linear32": 4, "float32": 4, "mulaw": 1, "alaw": 1}
"""Bytes a sample."""

FAINTEST: Final = 1e-9
"""Floats below it are none: whole numbers of 32 bits that are small read so."""


class Sound(Protocol):
    """One session's audio."""

    @property
    def legs(self) -> tuple[Leg, ...]: ...

    @property
    def media_format(self) -> MediaFormat:
        """Of the chunks."""
        ...

    async def feed(self, data: bytes, put: Put) -> None:
        """Bytes, cut anyhow. Chunks may come later. Raises CarrierProtocolError for what cannot be decoded."""
        ...

    async def drain(self) -> None:
        """Returns when all chunks of what was fed have been put."""
        ...

    async def finish(self) -> None:
        """Nothing more will be fed: what is held has been put when this returns. Raises CarrierProtocolError."""
        ...

    def close(self) -> None:
        """The session is over, whatever is held."""
        ...


Linear = npt.NDArray[np.float32]


def _wide(data: bytes) -> Linear:
    """32-bit whole numbers, or floats, which some clients send under that name: those lie within ±1, and as whole
    numbers they would be near full scale all the time.
    """
    floats = np.frombuffer(data, "<f4")
    size = np.abs(floats)
    if bool(np.isfinite(floats).all()) and bool(((size == 0) | ((size > FAINTEST) & (size <= 1))).all()):
        return np.asarray(floats * 32767, np.float32)
    return np.asarray(np.frombuffer(data, "<i4") / 65536, np.float32)


def _floats(data: bytes) -> Linear:
    """What is beyond full scale is cut off, and what is no number is silence."""
    return np.asarray(np.nan_to_num(np.frombuffer(data, "<f4"), posinf=0, neginf=0).clip(-1, 1) * 32767, np.float32)


_TO_LINEAR: Final[Mapping[str, Callable[[bytes], Linear]]] = {
    "linear16": lambda data: np.frombuffer(data, "<i2").astype(np.float32),
    "linear32": _wide,
    "float32": _floats,
    "mulaw": lambda data: decode_ulaw(data).astype(np.float32),
    "alaw": lambda data: decode_alaw(data).astype(np.float32),
}
"""Bytes to samples at full scale ±32768."""


class RawSound:
    """Samples without a container: `linear16`, `linear32`, `float32`, `mulaw`, `alaw`, or packets of `opus`."""

    def __init__(self, encoding: str, sample_rate: int, *, channels: int = 1, apart: bool = False) -> None:
        """`channels` are interleaved; `apart`: each is a leg, else they are mixed. Raises UnsupportedMediaError."""
        known = {**ENCODINGS, **FLOATS}
        if encoding not in known:
            raise UnsupportedMediaError(f"encoding {encoding[:32]!r} is not one of {', '.join(ENCODINGS)}")
        if channels not in LEGS or (encoding == "opus" and channels != 1):
            raise UnsupportedMediaError(f"{channels} channels of {encoding} are not understood here")
        self.legs = LEGS[channels if apart else 1]
        mixed = channels > len(self.legs)
        law = known[encoding]
        self._decode = _TO_LINEAR[encoding] if mixed or encoding in {"linear32", *FLOATS} else None
        rate = 48_000 if law is Encoding.OPUS else sample_rate
        self.media_format = MediaFormat(encoding=Encoding.L16_LE if self._decode else law, sample_rate=rate)
        self._channels = channels
        self._step = channels * WIDTHS.get(encoding, 0)
        self._held = b""

    async def feed(self, data: bytes, put: Put) -> None:
        if not self._step:
            await put(MediaChunk(leg=self.legs[0], payload=data))
            return
        data = self._held + data
        whole = len(data) - len(data) % self._step
        self._held = data[whole:]
        if not whole:
            return
        for leg, payload in zip(self.legs, self._split(data[:whole]), strict=True):
            await put(MediaChunk(leg=leg, payload=payload))

    def _split(self, data: bytes) -> list[bytes]:
        """A payload a leg."""
        if self._decode is not None:
            samples = self._decode(data).reshape(-1, self._channels)
            parts = samples.T if len(self.legs) == self._channels else [samples.mean(axis=1)]
            return [np.asarray(part).astype("<i2").tobytes() for part in parts]
        if self._channels == 1:
            return [data]
        width = self._step // self._channels
        frames = np.frombuffer(data, np.uint8).reshape(-1, self._channels, width)
        return [frames[:, channel].tobytes() for channel in range(self._channels)]

    async def drain(self) -> None:
        """Nothing is held back but a part of a sample."""

    async def finish(self) -> None:
        """As in `drain`."""

    def close(self) -> None:
        """Nothing is open."""
