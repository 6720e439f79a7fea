"""MP3, Ogg, WebM, FLAC, WAV and the like, decoded while they come: a thread reads what the socket has brought."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

import av
import numpy as np

from bridge.compat.sound import LEGS, Put
from bridge.errors import CarrierProtocolError
from bridge.model.frame import SAMPLE_RATE
from bridge.model.stream import Encoding, MediaChunk, MediaFormat

FORMATS: Final[Mapping[str, str]] = {
    "mp3": "mp3",
    "wav": "wav",
    "webm": "matroska",
    "webm_opus": "matroska",
    "ogg": "ogg",
    "ogg-opus": "ogg",
    "ogg_opus": "ogg",
    "flac": "flac",
    "aac": "aac",
    "amr-nb": "amr",
    "amr-wb": "amr",
    "amr_nb": "amr",
    "amr_wb": "amr",
}
"""FFmpeg's names, by those that services use."""

SNIFFED: Final = "aac,amr,flac,matroska,mp3,ogg,wav,webm"
"""What a stream that does not say what it is may be."""

MOST_HELD: Final = 256 * 1024
"""Bytes that wait for the thread. When there are more, the socket is not read on."""

EAGER: Final = {
    "probesize": "4096",  # begin with what is there: the next bytes may come only when somebody speaks again
    "analyzeduration": "0",
    "protocol_whitelist": "",
}
OF_WAV: Final = {"ignore_length": "1"}
"""A header that was written before its audio says nothing true about the length."""


class ContainerSound:
    """One stream whose header says what it holds; `kind` is a name in `FORMATS`, or None to find it out."""

    media_format = MediaFormat(encoding=Encoding.L16_LE, sample_rate=SAMPLE_RATE)

    def __init__(self, kind: str | None, *, channels: int = 1) -> None:
        """`channels`: how many are told apart; a stream with more is mixed down, with fewer repeated."""
        self.legs = LEGS[channels]
        self._kind = kind
        self._pipe = _Pipe()
        self._ended: asyncio.Future[None] | None = None
        """Of the thread."""

    async def feed(self, data: bytes, put: Put) -> None:
        self._start(put)
        await self._pipe.write(data)
        self._check()

    async def drain(self) -> None:
        if self._ended is not None:
            await self._pipe.starved()
            self._check()

    async def finish(self) -> None:
        self._pipe.end()
        if self._ended is not None:
            await self._ended

    def close(self) -> None:
        self._pipe.end(forget=True)

    def _start(self, put: Put) -> None:
        """A thread of its own: it lives as long as the session does."""
        if self._ended is not None:
            return
        loop = asyncio.get_running_loop()
        self._ended = loop.create_future()
        self._ended.add_done_callback(self._pipe.gone)
        self._pipe.attach(loop)
        work = threading.Thread(target=self._run, args=(loop, self._ended, put), name="container", daemon=True)
        work.start()

    def _check(self) -> None:
        """Raises what the thread has ended with."""
        if self._ended is not None and self._ended.done():
            self._ended.result()

    # -- in the thread ---------------------------------------------------------------------------------------------

    def _run(self, loop: asyncio.AbstractEventLoop, ended: asyncio.Future[None], put: Put) -> None:
        fault: BaseException | None = None
        try:
            self._decode(loop, put)
        except BaseException as error:  # noqa: BLE001  # it is the session's to hear of
            fault = error
        with suppress(RuntimeError):  # the loop has gone, and everybody who would want to know
            loop.call_soon_threadsafe(_end, ended, fault)

    def _decode(self, loop: asyncio.AbstractEventLoop, put: Put) -> None:
        try:
            for payloads in self._payloads():
                for leg, payload in zip(self.legs, payloads, strict=True):
                    if self._pipe.forgotten:
                        return
                    _wait(loop, put(MediaChunk(leg=leg, payload=payload)))
        except (av.FFmpegError, IndexError, ValueError) as error:
            if self._pipe.wrote and not self._pipe.forgotten:
                why = getattr(error, "strerror", None) or "no audio in it"
                raise CarrierProtocolError(f"the audio cannot be decoded: {why}") from None

    def _payloads(self) -> Iterator[list[bytes]]:
        layout = "mono" if len(self.legs) == 1 else "stereo"
        to_linear = av.AudioResampler(format="s16p", layout=layout, rate=SAMPLE_RATE)
        options = EAGER | (OF_WAV if self._kind == "wav" else {"format_whitelist": SNIFFED})
        kind = None if self._kind is None else FORMATS[self._kind]
        with av.open(self._pipe, "r", format=kind, options=options, buffer_size=4096) as container:
            for packet in container.demux(container.streams.audio[0]):
                with suppress(av.FFmpegError):  # a damaged packet costs its own audio alone
                    for frame in packet.decode():
                        for out in to_linear.resample(frame):
                            yield [np.ascontiguousarray(plane).tobytes() for plane in out.to_ndarray()]
            for out in to_linear.resample(None):
                yield [np.ascontiguousarray(plane).tobytes() for plane in out.to_ndarray()]


class _Pipe:
    """Bytes from the event loop to a thread: a file to FFmpeg, which reads what is there and waits for more."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._ended = False
        self._changed = threading.Condition()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news = asyncio.Event()
        self._starving = False
        self._gone = False
        self.forgotten = False
        self.wrote = False

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    async def write(self, data: bytes) -> None:
        """Waits while too much is held."""
        with self._changed:
            self._held += data
            self._starving = False
            self.wrote = self.wrote or bool(data)
            self._changed.notify()
        while len(self._held) > MOST_HELD and not self._gone:
            self._news.clear()
            await self._news.wait()

    async def starved(self) -> None:
        """Until the thread has read and decoded all, and asks for more."""
        while not self._starving and not self._gone:
            self._news.clear()
            await self._news.wait()

    def end(self, *, forget: bool = False) -> None:
        with self._changed:
            self._ended = True
            self.forgotten = self.forgotten or forget
            self._changed.notify()

    def gone(self, ended: asyncio.Future[None]) -> None:
        """The thread has ended, in whatever way."""
        ended.exception()
        self._gone = True
        self._news.set()

    # -- in the thread ---------------------------------------------------------------------------------------------

    def read(self, size: int) -> bytes:
        """At least a byte; none at the end."""
        with self._changed:
            while not self._held and not self._ended:
                self._starving = True
                self._tell()
                self._changed.wait()
            taken = bytes(self._held[:size]) if not self.forgotten else b""
            del self._held[: len(taken)]
        self._tell()
        return taken

    def _tell(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._news.set)


def _end(ended: asyncio.Future[None], fault: BaseException | None) -> None:
    if fault is None:
        ended.set_result(None)
    else:
        ended.set_exception(fault)


def _wait(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, None]) -> None:
    asyncio.run_coroutine_threadsafe(work, loop).result()
