"""Recordings of any kind FFmpeg reads, as legs at 16 kHz, a block at a time: a day of audio takes no more memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
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
from bridge.model.recordings import RawAudio, RawEncoding
from bridge.model.stream import Leg
from callcodecs.resample import Resampler

BLOCK_S: Final = 10
"""How much is read in one go."""

ALIKE: Final = 1e-4
"""Two channels whose difference has less than this share of their energy (−40 dB) are one track, written twice."""

GUESSED_MS: Final = 1000
GUESSED: Final = 0.02
"""Some headers only guess the length: by so much it may be wrong without anything being missing."""

FORMATS: Final = "aac,aiff,amr,asf,au,avi,caf,flac,gsm,matroska,mov,mp3,mp4,mpegts,ogg,w64,wav,webm,wv"
"""What is read, by FFmpeg's names. It knows formats that name other files and addresses: those are not among them."""

RAW: Final[Mapping[RawEncoding, str]] = {
    RawEncoding.MULAW: "mulaw",
    RawEncoding.ALAW: "alaw",
    RawEncoding.LINEAR16: "s16le",
    RawEncoding.LINEAR32: "s32le",
}
"""FFmpeg's names."""

LAYOUTS: Final = {1: "mono", 2: "stereo"}

_Channels = npt.NDArray[np.float32]
"""Shape (channels, n), at the file's own rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A file that holds audio, and whose voices are where in it."""

    path: Path
    raw: RawAudio | None = None
    legs: tuple[Leg, ...]
    """Caller and agent for two channels that differ, else `mixed`."""
    codec: str
    """FFmpeg's name for it."""
    sample_rate: int
    """The file's own."""
    duration_ms: int
    damaged: int
    """Packets that could not be decoded and are left out."""
    missing_ms: int
    """By how much the file ends before its header says; 0 when that is nothing to speak of."""

    def blocks(self) -> Iterator[Mapping[Leg, Samples]]:
        """The whole recording at 16 kHz, about `BLOCK_S` seconds of every leg at a time. Blocks its thread."""
        with _opened(self.path, self.raw) as (container, stream):
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


def probe(path: Path, raw: RawAudio | None = None) -> None:
    """A glance at the header alone. Blocks for a moment; raises InvalidRequestError for what holds no audio."""
    with _opened(path, raw):
        pass


def look(
    path: Path, raw: RawAudio | None = None, *, longest_s: float = math.inf, go_on: Callable[[], bool] = lambda: True
) -> Recording:
    """Read the file once to learn what it holds. Blocks, while it may `go_on`; raises InvalidRequestError for what
    holds no audio, or more than `longest_s` of it: a small file can hold years of silence.
    """
    length = 0
    energy = difference = 0.0
    damage = _Damage()
    with _opened(path, raw) as (container, stream):
        rate, channels, codec = stream.rate, 0, stream.codec_context.name
        promised_ms = (container.duration or 0) * 1000 // av.time_base
        for run in _decoded(container, stream, damage):
            channels = len(run)
            length += run.shape[1]
            if not go_on():
                raise InvalidRequestError(f"{path}: not read to its end")
            if length > longest_s * rate:
                raise InvalidRequestError(f"{path}: longer than {longest_s / 3600:g} hours")
            energy += float(np.square(run).sum())
            difference += float(np.square(run[0] - run[-1]).sum())
    if damage.packets and not length:
        raise InvalidRequestError(f"{path}: no audio that can be read (damaged throughout)")
    apart = channels == 2 and difference > ALIKE * energy
    duration_ms = length * 1000 // rate
    missing_ms = promised_ms - duration_ms
    return Recording(
        path=path,
        raw=raw,
        codec=codec,
        sample_rate=rate,
        legs=(Leg.CALLER, Leg.AGENT) if apart else (Leg.MIXED,),
        duration_ms=duration_ms,
        damaged=damage.packets,
        missing_ms=missing_ms if missing_ms > max(GUESSED_MS, GUESSED * promised_ms) else 0,
    )


@dataclass(slots=True)
class _Damage:
    packets: int = 0


@contextmanager
def _opened(path: Path, raw: RawAudio | None) -> Iterator[tuple[InputContainer, AudioStream]]:
    try:
        with _container(path, raw) as container:
            stream = container.streams.audio[0]
            if not _is_decodable(stream):
                raise InvalidRequestError(f"{path}: its audio is in an encoding that nothing here decodes")
            yield container, stream
    except IndexError:
        raise InvalidRequestError(f"{path}: no audio in it") from None
    except (av.FFmpegError, OSError) as error:
        raise InvalidRequestError(f"{path}: no audio that can be read ({error.strerror})") from None


def _container(path: Path, raw: RawAudio | None) -> InputContainer:
    if raw is None:
        return av.open(str(path), options={"format_whitelist": FORMATS, "protocol_whitelist": "file"})
    told = {"sample_rate": str(raw.sample_rate), "ch_layout": LAYOUTS[raw.channels], "protocol_whitelist": "file"}
    return av.open(str(path), format=RAW[raw.encoding], options=told)


def _is_decodable(stream: AudioStream) -> bool:
    try:
        return stream.rate > 0 and stream.layout.nb_channels > 0
    except AttributeError:  # of a codec that nobody knows, PyAV knows nothing
        return False


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
