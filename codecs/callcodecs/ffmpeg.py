"""FFmpeg's codecs, through PyAV, one payload at a time. The only file that knows PyAV's decoding calls."""

from __future__ import annotations

from typing import Literal

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext

from callcodecs.decoder import Pcm
from callcodecs.errors import CorruptPayloadError

_NOTHING: Pcm = np.zeros(0, dtype=np.int16)


def open_codec(
    name: Literal["g722", "libopus"],
    mode: Literal["r", "w"],
    sample_rate: int,
    layout: Literal["mono", "stereo"] = "mono",
) -> AudioCodecContext:
    """A codec of 16-bit samples: `r` decodes, `w` encodes. Two channels are interleaved."""
    codec = av.CodecContext.create(name, mode)
    codec.sample_rate = sample_rate
    codec.layout = layout
    if mode == "w":
        codec.format = "s16"
    return codec


def decode_payload(codec: AudioCodecContext, payload: bytes) -> Pcm:
    """All samples of one payload, interleaved in stereo. Raises CorruptPayloadError; the codec stays usable."""
    if not payload:  # which would tell FFmpeg that the stream is over
        return _NOTHING
    try:
        frames = codec.decode(av.Packet(payload))
    except av.FFmpegError as error:
        raise CorruptPayloadError(f"{codec.name}: {error.strerror}") from None
    # A plane is a view of the frame, padded at its end; to_ndarray would copy it, at four times the cost.
    runs = [
        np.frombuffer(memoryview(frame.planes[0]), dtype=np.int16, count=frame.samples * codec.channels)
        for frame in frames
    ]
    return runs[0] if len(runs) == 1 else np.concatenate(runs) if runs else _NOTHING


def encode_samples(codec: AudioCodecContext, samples: Pcm) -> list[bytes]:
    """One frame of the codec's own size, or any size where it has none; the packets that are complete now."""
    frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout=codec.layout.name)
    frame.sample_rate = codec.sample_rate
    return [bytes(packet) for packet in codec.encode(frame)]
