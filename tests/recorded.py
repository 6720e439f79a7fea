"""The conversation of `tests.tones` as files of every format."""

from __future__ import annotations

import io
from collections.abc import Sequence

import av
import numpy as np

from bridge.model.stream import Leg
from callcodecs.g711 import encode_ulaw
from tests.tones import LINE_RATE, SCRIPT, recording

CODECS = {"wav": "pcm_s16le", "mp3": "mp3", "ogg": "libopus", "webm": "libopus", "mp4": "aac", "flac": "flac"}
"""By container: what is in it."""
RATES = {"libopus": 48_000}


def said(leg: Leg) -> list[str]:
    """What one party says, all of it in order."""
    return [spoken.word for speaker, words in SCRIPT if speaker is leg for spoken in words]


def said_in_turn() -> list[str]:
    return [spoken.word for _, words in SCRIPT for spoken in words]


def channels(*legs: Leg) -> np.ndarray:
    """Samples, shape (channels, n); without legs both parties in one channel."""
    heard = recording().legs
    if not legs:
        return (heard[Leg.CALLER] + heard[Leg.AGENT]).reshape(1, -1)
    return np.stack([heard[leg] for leg in legs])


def file_of(container: str, samples: np.ndarray) -> bytes:
    """A whole file."""
    layout = "stereo" if len(samples) == 2 else "mono"
    held = io.BytesIO()
    codec = CODECS[container]
    rate = RATES.get(codec, LINE_RATE)
    with av.open(held, "w", format=container) as out:
        stream = out.add_stream(codec, rate=rate, layout=layout)
        fit = av.AudioResampler(format=stream.format, layout=layout, rate=rate, frame_size=stream.frame_size or None)
        whole = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T.reshape(1, -1)), format="s16", layout=layout)
        whole.sample_rate = LINE_RATE
        for frame in [*fit.resample(whole), *fit.resample(None)]:
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return held.getvalue()


def mulaw_of(samples: np.ndarray) -> bytes:
    """Without a header, channels interleaved."""
    return encode_ulaw(np.ascontiguousarray(samples.T.reshape(-1)))


def words_of(segments: Sequence[dict], leg: str | None = None) -> list[str]:
    """The words of a transcript as JSON."""
    return [word for segment in segments if leg in {None, segment["leg"]} for word in segment["text"].split()]
