"""Recordings of any kind FFmpeg reads, as legs at 16 kHz, a block at a time: a day of audio takes no more memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av
import numpy as np
import numpy.typing as npt
from av.audio.stream import AudioStream
from av.container import InputContainer

from bridge.errors import InvalidRequestError
from bridge.model.frame import SAMPLE_RATE, Samples
from bridge.model.stream import Leg
from callcodecs.resample import Resampler

BLOCK_S: Final = 10
"""How much is read in one go."""

ALIKE: Final = 1e-4
"""Two channels whose difference has less than this share of their energy (−40 dB) are one track, written twice."""

GUESSED_MS: Final = 1000
GUESSED: Final = 0.02
"""Some headers only guess the length: by so much it may be wrong without anything being missing."""

_Channels = npt.NDArray[np.float32]
"""Shape (channels, n), at the file's own rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A file that holds audio, and whose voices are where in it."""

    path: Path
    legs: tuple[Leg, ...]
    """Caller and agent for two channels that differ, else `mixed`."""
    duration_ms: int
    damaged: int
    """Packets that could not be decoded and are left out."""
    missing_ms: int
    """By how much the file ends before its header says; 0 when that is nothing to speak of."""

    def blocks(self) -> Iterator[Mapping[Leg, Samples]]:
        """The whole recording at 16 kHz, about `BLOCK_S` seconds of every leg at a time. Blocks its thread."""
        with _opened(self.path) as (container, stream):
            rate = stream.rate
            resamplers = {leg: Resampler(rate, SAMPLE_RATE) for leg in self.legs}
            for run in _gathered(_decoded(container, stream), BLOCK_S * rate):
                yield {
                    leg: resamplers[leg].push(np.ascontiguousarray(channel))
                    for leg, channel in zip(self.legs, self._voices(run), strict=True)
                }
            yield {leg: resampler.flush() for leg, resampler in resamplers.items()}

    def _voices(self, run: _Channels) -> _Channels:
        return run if len(self.legs) == len(run) else run[:1]


def look(path: Path) -> Recording:
    """Read the file once to learn what it holds. Blocks; raises InvalidRequestError for what holds no audio."""
    length = 0
    energy = difference = 0.0
    damage = _Damage()
    with _opened(path) as (container, stream):
        rate, channels = stream.rate, 0
        promised_ms = (container.duration or 0) * 1000 // av.time_base
        for run in _decoded(container, stream, damage):
            channels = len(run)
            length += run.shape[1]
            energy += float(np.square(run).sum())
            difference += float(np.square(run[0] - run[-1]).sum())
    if damage.packets and not length:
        raise InvalidRequestError(f"{path}: no audio that can be read (damaged throughout)")
    apart = channels == 2 and difference > ALIKE * energy
    duration_ms = length * 1000 // rate
    missing_ms = promised_ms - duration_ms
    return Recording(
        path=path,
        legs=(Leg.CALLER, Leg.AGENT) if apart else (Leg.MIXED,),
        duration_ms=duration_ms,
        damaged=damage.packets,
        missing_ms=missing_ms if missing_ms > max(GUESSED_MS, GUESSED * promised_ms) else 0,
    )


@dataclass(slots=True)
class _Damage:
    packets: int = 0


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, AudioStream]]:
    try:
        with av.open(str(path)) as container:
            yield container, container.streams.audio[0]
    except IndexError:
        raise InvalidRequestError(f"{path}: no audio in it") from None
    except (av.FFmpegError, OSError) as error:
        raise InvalidRequestError(f"{path}: no audio that can be read ({error.strerror})") from None


def _decoded(container: InputContainer, stream: AudioStream, damage: _Damage | None = None) -> Iterator[_Channels]:
    """The stream's samples as they come, one or two channels; more are mixed down to one."""
    layout = stream.layout.name if stream.layout.nb_channels <= 2 else "mono"
    to_float = av.AudioResampler(format="fltp", layout=layout, rate=stream.rate)
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.FFmpegError:  # each codec has its own
            if damage is not None:
                damage.packets += 1
            continue
        for frame in frames:
            yield from _converted(to_float, frame, container.name)
    yield from _converted(to_float, None, container.name)


def _converted(to_float: av.AudioResampler, frame: av.AudioFrame | None, name: str) -> Iterator[_Channels]:
    try:
        for out in to_float.resample(frame):
            yield np.asarray(out.to_ndarray(), np.float32)
    except ValueError:
        raise InvalidRequestError(f"{name}: the sound changes its format on the way") from None


def _gathered(runs: Iterator[_Channels], length: int) -> Iterator[_Channels]:
    """The same samples in runs of `length` or little more; the last may be shorter."""
    held: list[_Channels] = []
    size = 0
    for run in runs:
        held.append(run)
        size += run.shape[1]
        if size >= length:
            yield np.concatenate(held, axis=1)
            held, size = [], 0
    if held:
        yield np.concatenate(held, axis=1)
