"""A bot's audio on its way to a carrier: any rate in, the carrier's messages out, each when it is due. No clock inside.

What is sent is at most a moment (`Reply.ahead_s`) ahead of what is played, so that little has to be taken back when the
bot is interrupted. Times are seconds of the caller's monotonic clock.
"""

from __future__ import annotations

import itertools
import math
import secrets
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from bridge.audio.decode import decoder_for
from bridge.carrier.audio import ENCODERS
from bridge.model.stream import Leg, MediaFormat
from bridge.talk.replies import Message, Reply
from callcodecs.decoder import Pcm
from callcodecs.resample import Resampler

STALLED_S: Final = 0.1
"""Without more audio, what is held of it is played: its end has come."""
LATE_S: Final = 0.1
"""A frame that is late by less is followed by the next at its own time; more is not made up for."""
FULL_S: Final = 30.0
"""Audio that may wait to be sent; who brings more is not read until there is room."""
MOST_MARKS: Final = 200
"""That may wait to be played."""


@dataclass(frozen=True, slots=True)
class MarkDone:
    """What was said before a mark has been played, or `cleared`: never will be."""

    name: str
    cleared: bool = False


@dataclass(frozen=True, slots=True)
class _Mark:
    name: str


class Playback:
    """One stream's."""

    def __init__(self, reply: Reply, source: MediaFormat, *, played: Callable[[Pcm], None] = lambda _: None) -> None:
        """`played` is told each frame that is sent, at the line's rate.

        Raises UnsupportedMediaError for a source that nothing here decodes.
        """
        self._played = played
        self._reply = reply
        self._source = source
        self._line = reply.media_format
        self._decoder = decoder_for(source, Leg.AGENT)
        self._resampler = self._open_resampler()
        self._encode = ENCODERS[self._line.encoding]()
        self._step = self._line.sample_rate * reply.frame_ms // 1000
        self._rest: Pcm = np.zeros(0, np.int16)
        """At the line's rate, less than a frame."""
        self._pushed_at = math.inf
        """When there was audio last that has not come to its end."""
        self._queue: deque[Pcm | _Mark] = deque()
        self._frames = 0
        """In the queue."""
        self._free_at = 0.0
        """When the carrier will have played all that it was sent."""
        self._starved = True
        """There was nothing more to send when something was sent last."""
        self._held = False
        self._labels = (f"{secrets.token_hex(3)}-{number}" for number in itertools.count(1))
        """What marks are called on the line: short, plain, and not those of whoever spoke there before."""
        self._awaited: dict[str, str] = {}
        """Marks that the carrier was sent and has not given back: their names, by label."""
        self._cleared: set[str] = set()
        """Labels of those that will come back because they were cleared."""
        self._own: deque[tuple[float, str]] = deque()
        """Marks of a carrier that has none, and when they are reached."""

    def _open_resampler(self) -> Resampler | None:
        source, line = self._source.sample_rate, self._line.sample_rate
        return None if source == line else Resampler(source, line)

    @property
    def queued_s(self) -> float:
        """Audio that waits to be sent."""
        return self._frames * self._reply.frame_ms / 1000

    @property
    def full(self) -> bool:
        return self.queued_s >= FULL_S or len(self._queue) - self._frames >= MOST_MARKS

    def playing(self, now: float) -> bool:
        """Whether the caller hears something, or is about to."""
        return self._frames > 0 or now < self._free_at

    # -- from the bot ----------------------------------------------------------------------------------------------

    def push(self, payload: bytes, now: float) -> None:
        """Audio, encoded as the source, cut anyhow."""
        self._pushed_at = now
        samples = self._decoder.decode(payload)
        if self._resampler is not None:
            samples = _as_int16(self._resampler.push(samples.astype(np.float32) / np.float32(32768)))
        self._cut(samples)

    def mark(self, name: str) -> None:
        """Tell when all that was pushed before has been played: a frame that is not full is filled with silence."""
        self._fill()
        self._queue.append(_Mark(name))

    def clear(self, now: float) -> tuple[list[Message], list[MarkDone]]:
        """Play no more of what was pushed. What has to be sent, and the marks that will not be played."""
        done = [MarkDone(item.name, cleared=True) for item in self._queue if isinstance(item, _Mark)]
        done += [MarkDone(name, cleared=True) for _, name in self._own]
        self._queue.clear()
        self._own.clear()
        self._frames = 0
        self._starved = True
        self._rest = self._rest[:0]
        self._pushed_at = math.inf
        self._resampler = self._open_resampler()
        if self._reply.clear is None:
            return [], done
        if self._reply.clear_returns_marks:
            self._cleared = set(self._awaited)
        else:
            done = [MarkDone(name, cleared=True) for name in self._awaited.values()] + done
            self._awaited.clear()
        self._free_at = now
        return [self._reply.clear], done

    def _cut(self, samples: Pcm) -> None:
        run = np.concatenate([self._rest, samples])
        whole = len(run) - len(run) % self._step
        for at in range(0, whole, self._step):
            self._queue.append(run[at : at + self._step])
            self._frames += 1
        self._rest = run[whole:]

    def _fill(self) -> None:
        self._pushed_at = math.inf
        if self._resampler is not None:
            self._cut(_as_int16(self._resampler.flush()))
            self._resampler = self._open_resampler()
        if len(self._rest):
            self._cut(np.zeros(self._step - len(self._rest), np.int16))

    # -- to the carrier --------------------------------------------------------------------------------------------

    def due(self, now: float) -> tuple[list[Message], list[MarkDone]]:
        """What has to be sent by `now`, and the marks that have been reached by our own count."""
        sent: list[Message] = []
        if now >= self._pushed_at + STALLED_S:
            self._fill()
        self._free_at = max(self._free_at, now if self._starved or self._held else now - LATE_S)
        while self._queue and not self._held:
            item = self._queue[0]
            if isinstance(item, _Mark):
                self._send_mark(item.name, now, sent)
            elif self._free_at > now + self._reply.ahead_s:
                break
            else:
                sent.append(self._reply.audio(self._encode(item)))
                self._played(item)
                self._free_at += self._reply.frame_ms / 1000
                self._frames -= 1
            self._queue.popleft()
        self._starved = not self._frames
        done = []
        while self._own and self._own[0][0] <= now:
            done.append(MarkDone(self._own.popleft()[1]))
        return sent, done

    def _send_mark(self, name: str, now: float, sent: list[Message]) -> None:
        if self._reply.mark is None:
            self._own.append((max(self._free_at, now), name))
        else:
            label = next(self._labels)
            sent.append(self._reply.mark(label))
            self._awaited[label] = name

    def reached(self, label: str) -> list[MarkDone]:
        """The carrier gives a mark back; others' marks are nobody's."""
        name = self._awaited.pop(label, None)
        if name is None:
            return []
        cleared = label in self._cleared
        self._cleared.discard(label)
        return [MarkDone(name, cleared=cleared)]

    def hold(self, held: bool) -> None:
        """Whether the carrier takes nothing more for now."""
        self._held = held

    def wait_s(self, now: float) -> float | None:
        """How long until `due` has something to do, if nothing else happens; None: for ever."""
        waits = [self._free_at - self._reply.ahead_s - now] if self._frames and not self._held else []
        waits += [self._own[0][0] - now] if self._own else []
        wait = min([*waits, self._pushed_at + STALLED_S - now])
        return max(0.0, wait) if math.isfinite(wait) else None


def _as_int16(samples: Sequence[float] | np.ndarray) -> Pcm:
    return np.clip(np.round(np.asarray(samples) * 32768), -32768, 32767).astype(np.int16)
