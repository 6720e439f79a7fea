"""Recordings as a carrier sends them: a leg a channel, at the line's rate, encoded and cut into frames."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import av
import numpy as np
import numpy.typing as npt
import soxr

from bridge.errors import InvalidRequestError
from bridge.model.stream import Encoding, Leg, MediaFormat
from callcodecs import g711
from callcodecs.decoder import Pcm
from callcodecs.g722 import G722Encoder
from callcodecs.l16 import encode_l16
from callcodecs.opus import OpusEncoder

FRAME_MS: Final = 20

ENCODERS: Final[Mapping[Encoding, Callable[[], Callable[[Pcm], bytes]]]] = {
    Encoding.PCMU: lambda: g711.encode_ulaw,
    Encoding.PCMA: lambda: g711.encode_alaw,
    Encoding.L16_LE: lambda: partial(encode_l16, order="little"),
    Encoding.L16_BE: lambda: partial(encode_l16, order="big"),
    Encoding.G722: lambda: G722Encoder().encode,
    Encoding.OPUS: lambda: OpusEncoder().encode,
}
"""What makes an encoder for one leg, which takes its frames in order (Opus: of 20 ms)."""


@dataclass(frozen=True, slots=True)
class CallAudio:
    """What the parties of a call say. All legs have the same length."""

    legs: Mapping[Leg, npt.NDArray[np.int16]]
    sample_rate: int

    def on_line(self, legs: Collection[Leg]) -> CallAudio:
        """What a line of `legs` carries of it: each leg by itself, or all of them mixed for `MIXED`."""
        if Leg.MIXED not in legs:
            return CallAudio({leg: samples for leg, samples in self.legs.items() if leg in legs}, self.sample_rate)
        total = np.sum([samples.astype(np.int32) for samples in self.legs.values()], axis=0)
        return CallAudio({Leg.MIXED: np.clip(total, -32768, 32767).astype(np.int16)}, self.sample_rate)


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
    except (av.FFmpegError, IndexError, AttributeError, ValueError, OSError) as error:  # what PyAV makes of odd headers
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
    samples = np.ascontiguousarray(np.pad(samples, (0, -len(samples) % step)))
    encoder = ENCODERS[wanted.encoding]()
    return [encoder(samples[at : at + step]) for at in range(0, len(samples), step)]
