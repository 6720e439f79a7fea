"""One leg's words on their way from the recogniser to the call, given to whoever said them.

    Segmenter → offer ─► windows ─► VoiceEncoder ┐
    Hearing   → inbox ─────────────────────────── Diarizer ─► out

A final waits for the voices in it, but not for long: a voice that comes late is told as a changed mind.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import structlog

from bridge.errors import BridgeError
from bridge.metrics import NAMING_WAIT
from bridge.model.frame import from_ms
from bridge.model.likeness import Vector
from bridge.model.speech import Speech
from bridge.model.stream import Leg
from bridge.model.words import Partial, Segment
from bridge.ports import Clock, VoiceEncoder
from bridge.recognise.heard import Heard, Revision, SpeakerChanged
from bridge.speakers.diarizer import Diarizer, Recut, Renamed
from bridge.speakers.listening import LegWindows, hear
from bridge.speakers.windows import OverlapWindow, VoiceWindow

log = structlog.get_logger(__name__)

PATIENCE_S: Final = 0.3
"""How much later a final may be told for the voices in it."""

PATIENCE_AFTERWARDS_S: Final = 60.0
"""The same where nobody is waiting for it."""

MOST_WAITING: Final = 120
"""Windows, half a minute of speech and more. When the encoder is further behind, the oldest are not heard."""


Known: TypeAlias = Callable[[], Awaitable[Mapping[str, Vector]]]
"""Directions of voices that have a name of their own."""


KnownOf: TypeAlias = Callable[[str], Awaitable[Mapping[str, Vector]]]
"""The same of a tenant."""


async def nobody_known() -> Mapping[str, Vector]:
    return {}


class Naming:
    """One leg. `inbox` takes what its hearing tells."""

    def __init__(
        self,
        leg: Leg,
        encoder: VoiceEncoder,
        clock: Clock,
        out: asyncio.Queue[Heard],
        *,
        first_segment: int = 1,
        told_ms: int = 0,
        told: Sequence[Segment] = (),
        live: bool = True,
        known: Known,
    ) -> None:
        """`first_segment`, `told_ms`, `told`: see `Diarizer`. Not `live`, it comes as fast as it is heard. `known` is
        asked once.
        """
        self.inbox: asyncio.Queue[Heard] = asyncio.Queue()
        self._leg = leg
        self._encoder = encoder
        self._clock = clock
        self._out = out
        self._windows = LegWindows(encoder.likeness)
        self._diarizer = Diarizer(encoder.likeness, first_segment=first_segment, told_ms=told_ms, told=told)
        self._live = live
        self._waiting: deque[VoiceWindow | OverlapWindow] = deque()
        self._changed = asyncio.Event()
        self._closed = False
        self._known = known

    def offer(self, speech: Sequence[Speech]) -> None:
        """What the segmenter found, in order."""
        found = self._windows.push(speech)
        if found:
            self._waiting.extend(found)
            while len(self._waiting) > MOST_WAITING:
                del self._waiting[1]  # the first is being heard
            self._wake()

    async def room(self) -> None:
        """Returns when there is room for more: at once, unless nobody is waiting for the call."""
        while not self._live and len(self._waiting) > MOST_WAITING // 2:
            await self._change()

    def close(self) -> None:
        """The leg is over: nothing more will be offered."""
        self._closed = True
        self._wake()

    async def run(self, hearing: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Beside `hearing`, to its end; then all that was said is gone over once more."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen())
            telling = tasks.create_task(self._tell())
            await hearing()
            await self.inbox.join()
            telling.cancel()
        self._put(await asyncio.to_thread(self._diarizer.settle))

    async def _listen(self) -> None:
        """Hear voices, as long as that works: a leg without names is still told."""
        try:
            self._diarizer.know(await self._known())
            while await self._next():
                window = self._waiting[0]
                self._put(await hear(self._diarizer, self._encoder, window))
                self._waiting.popleft()
                self._wake()
        except BridgeError as error:
            log.warning("speakers are not told apart", leg=self._leg, code=error.code, reason=error.message)
            self._waiting = deque(maxlen=0)
            self._wake()

    async def _next(self) -> bool:
        while not self._waiting:
            if self._closed:
                return False
            await self._change()
        return True

    async def _tell(self) -> None:
        while True:
            await self._pass_on(await self.inbox.get())
            self.inbox.task_done()

    async def _pass_on(self, heard: Heard) -> None:
        match heard:
            case Partial():
                self._out.put_nowait(self._diarizer.partial(heard))
            case Segment():
                began = self._clock.monotonic()
                await self._caught_up(from_ms(heard.end_ms))
                if self._live:
                    NAMING_WAIT.observe(self._clock.monotonic() - began)
                for piece in self._diarizer.final(heard):
                    self._out.put_nowait(piece)
            case Revision(replaces=replaces, segments=segments):
                self._put([self._diarizer.revision(replaces, segments)])
            case _:
                self._out.put_nowait(heard)

    async def _caught_up(self, position: int) -> None:
        """Until all windows before `position` are heard, or the final has waited long enough."""
        patience = asyncio.create_task(self._clock.sleep(PATIENCE_S if self._live else PATIENCE_AFTERWARDS_S))
        try:
            while self._waiting and self._waiting[0].start < position and not patience.done():
                changed = asyncio.create_task(self._change())
                await asyncio.wait({changed, patience}, return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
        finally:
            patience.cancel()

    def _put(self, told: Iterable[Renamed | Recut]) -> None:
        for one in told:
            match one:
                case Renamed(segment=segment, speaker=speaker):
                    self._out.put_nowait(SpeakerChanged(leg=self._leg, segment=segment, speaker=speaker))
                case Recut(replaces=replaces, segments=segments):
                    self._out.put_nowait(Revision(leg=self._leg, replaces=replaces, segments=segments))

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _change(self) -> Coroutine[Any, Any, object]:
        return self._changed.wait()
