"""Recordings as a carrier sends them: a leg a channel, at the line's rate, encoded and cut into frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av
import numpy as np
import numpy.typing as npt
import soxr

from bridge.errors import InvalidRequestError
from bridge.model.stream import Encoding, Leg, MediaFormat
from callcodecs import g711

FRAME_MS: Final = 20

ENCODERS: Final[Mapping[Encoding, Callable[[npt.NDArray[np.int16]], bytes]]] = {
    Encoding.PCMU: g711.encode_ulaw,
    Encoding.PCMA: g711.encode_alaw,
    Encoding.L16_LE: lambda samples: samples.astype("<i2").tobytes(),
}


@dataclass(frozen=True, slots=True)
class CallAudio:
    """What the parties of a call say. All legs have the same length."""

    legs: Mapping[Leg, npt.NDArray[np.int16]]
    sample_rate: int


@dataclass(frozen=True, slots=True)
class EncodedAudio:
    """A call's audio ready for the wire: for every `frame_ms`, the payload of each leg. Shared between calls."""

    frames: Sequence[Mapping[Leg, bytes]]
    frame_ms: int
    legs: tuple[Leg, ...]

    @property
    def duration_ms(self) -> int:
        return len(self.frames) * self.frame_ms


def read_call(path: Path) -> CallAudio:
    """A mono recording as the caller, a stereo one as caller (left) and agent (right), at its own rate.

    Any file that FFmpeg reads. Raises InvalidRequestError for what it does not, and for more than two channels.
    """
    try:
        with av.open(path) as container:
            stream = container.streams.audio[0]
            rate, channels = stream.rate, stream.channels
            to_int16 = av.AudioResampler(format="s16", layout=stream.layout, rate=rate)
            decoded = [out.to_ndarray() for frame in container.decode(stream) for out in to_int16.resample(frame)]
            decoded += [out.to_ndarray() for out in to_int16.resample(None)]
    except (av.FFmpegError, IndexError, OSError) as error:
        raise InvalidRequestError(f"{path}: no audio that can be read ({error})") from None
    if channels > 2:
        raise InvalidRequestError(f"{path}: {channels} channels; mono is the caller, stereo is caller and agent")
    samples = np.concatenate([np.zeros((1, 0), np.int16), *decoded], axis=1).reshape(-1, channels)
    return CallAudio(
        {leg: samples[:, n] for n, leg in zip(range(channels), (Leg.CALLER, Leg.AGENT), strict=False)}, rate
    )


def encode(audio: CallAudio, wanted: MediaFormat, *, frame_ms: int = FRAME_MS) -> EncodedAudio:
    """Bring `audio` to the line's rate and encoding. The last frame is filled up with silence."""
    step = wanted.sample_rate * frame_ms // 1000
    encoded = {leg: _payloads(samples, audio.sample_rate, wanted, step) for leg, samples in audio.legs.items()}
    legs = tuple(encoded)
    return EncodedAudio(
        [dict(zip(legs, frame, strict=True)) for frame in zip(*encoded.values(), strict=True)], frame_ms, legs
    )


def _payloads(samples: npt.NDArray[np.int16], rate: int, wanted: MediaFormat, step: int) -> list[bytes]:
    if rate != wanted.sample_rate:
        samples = soxr.resample(samples, rate, wanted.sample_rate)
    samples = np.pad(samples, (0, -len(samples) % step))
    run = ENCODERS[wanted.encoding](np.ascontiguousarray(samples))
    width = len(run) // max(len(samples), 1) * step
    return [run[at : at + width] for at in range(0, len(run), width or 1)]
