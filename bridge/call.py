"""One call, first packet to last event. Read this first.

    items → LegAudio → Segmenter → Hearing → (Naming) → TurnTaker  → events → sink
    carrier's   16 kHz     stretches   words     whose      whose turn   numbered,
    values      frames     of speech             they are   it is        kept, shown

Two tasks side by side: `listen` follows the carrier, `tell` follows the recogniser. Values flow down; nothing calls
back up. Hanging up is the ordinary end: whatever was heard until then is still put into words.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field, replace

import structlog

from bridge.audio.clock import StreamClock
from bridge.audio.leg import LegAudio
from bridge.ear import Ear
from bridge.errors import BridgeError, CarrierError, CarrierProtocolError
from bridge.metrics import MEDIA_MISSING
from bridge.model.call_key import CallKey
from bridge.model.events import (
    Body,
    CallEnded,
    CallStarted,
    TurnEvent,
)
from bridge.model.frame import SAMPLE_RATE, AudioFrame, Gap, Samples, to_ms
from bridge.model.stream import (
    Discarded,
    DtmfDigit,
    Flush,
    Leg,
    MediaChunk,
    StreamItem,
    StreamStarted,
    StreamStopped,
    TurnsChanged,
)
from bridge.model.words import Segment
from bridge.naming import Known, Naming, nobody_known
from bridge.ports import Clock, Engine, EventSink, VoiceEncoder
from bridge.recognise.heard import (
    AllHeard,
    Concluded,
    Heard,
    KeyPressed,
    Supposed,
    Unspooled,
)
from bridge.recognise.hearing import Hearing, HearingOptions
from bridge.speech.segmenter import Segmenter, SegmenterOptions
from bridge.turns.options import TurnOptions
from bridge.turns.taking import TurnTaker
from bridge.wording import as_event

log = structlog.get_logger()

METADATA = "metadata."
"""Parameters that begin so are the customer's own and come back in events and webhooks."""

YIELD_EVERY = 64
"""Items taken before other calls get their turn, so that a flood is nobody else's trouble."""

MOST_UNTOLD = 2_000
"""Values heard and not yet kept by the store: minutes of lively talk. Then the carrier waits."""

RECONNECTED = "reconnected"
"""The reason of a gap that a broken line left until its carrier came back."""

BROKEN = CallEnded(reason="error", duration_ms=0, error=BridgeError.code)
"""The end of a call that a fault of ours broke off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What an earlier process has told of a leg, before it was cut off."""

    until_ms: int = 0
    """The end of the last final."""
    segments: int = 0
    """The number of the last final."""
    language: str | None = None
    said: tuple[Segment, ...] = ()
    """All that it has told, as it stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOptions:
    """What may be chosen for a call."""

    language: str | None = None
    keywords: tuple[str, ...] = ()
    speech: SegmenterOptions = field(default_factory=SegmenterOptions)
    partials: bool = True
    turns: TurnOptions | None = field(default_factory=TurnOptions)
    """None: nobody is told whose turn it is."""
    segment_ms: int | None = None
    """Speech that goes on for longer is told in pieces; None leaves that to the engine."""
    voices: VoiceEncoder | None = None
    """Tells the speakers of a leg apart; None does not."""
    known: Known = nobody_known
    told: Mapping[Leg, Told] = field(default_factory=dict)
    """Of a call that is taken up again: its items come from the beginning, its words go on behind this."""
    live: bool = True
    """Whether somebody is waiting for what is told; otherwise items come as fast as they are heard."""


class Call:
    """One call. `listen` and `tell` run at the same time; `ended` is set once the end is durable."""

    def __init__(
        self,
        key: CallKey,
        started: StreamStarted,
        *,
        engine: Engine,
        sink: EventSink,
        clock: Clock,
        options: CallOptions,
    ) -> None:
        """Raises UnsupportedMediaError when nothing here decodes the stream."""
        self.key = key
        self.started = started
        self._sink = sink
        self._clock = clock
        self._heard: asyncio.Queue[Heard] = asyncio.Queue()
        """Bounded by `listen`, which goes no further while too much is undecoded or untold."""
        self._turns: deque[TurnEvent] = deque()
        """Untold, in the order in which they were decided: by the audio, or when words were told."""
        self._told = asyncio.Event()
        self._told_ms = max((told.until_ms for told in options.told.values()), default=0)
        self._ears = self._open_ears(engine, options)
        self._ending = CallEnded(reason="closed", duration_ms=0)
        self.ended = asyncio.Event()

    def _open_ears(self, engine: Engine, options: CallOptions) -> dict[Leg, Ear]:
        timeline = StreamClock()
        ears = {}
        for leg in self.started.legs:
            hearing = _hearing_options(options, leg)
            naming = self._open_naming(leg, options, hearing)
            ears[leg] = Ear(
                LegAudio(leg, self.started.media_format, timeline),
                Segmenter(options.speech),
                Hearing(leg, engine, self._clock, self._heard if naming is None else naming.inbox, hearing),
                naming,
                None if options.turns is None else TurnTaker(leg, options.turns),
            )
        for ear in ears.values():
            ear.others = [other for other in ears.values() if other is not ear]
        return ears

    def _open_naming(self, leg: Leg, options: CallOptions, hearing: HearingOptions) -> Naming | None:
        if options.voices is None:
            return None
        return Naming(
            leg,
            options.voices,
            self._clock,
            self._heard,
            first_segment=hearing.first_segment,
            told_ms=hearing.told_ms,
            told=options.told.get(leg, Told()).said,
            live=options.live,
            known=options.known,
        )

    @property
    def reason(self) -> str:
        """Why it ended, or would end now."""
        return self._ending.reason

    def unspool(self) -> None:
        """Say that the disk keeps no more of this call."""
        self._heard.put_nowait(Unspooled())

    @property
    def duration(self) -> int:
        """Samples heard on the longest leg."""
        return max((ear.position for ear in self._ears.values()), default=0)

    # -- carrier → recogniser --------------------------------------------------------------------------------------

    async def listen(self, items: AsyncIterator[StreamItem]) -> None:
        """Follow the carrier until it stops, hangs up or breaks its protocol."""
        taken = 0
        try:
            async for item in items:
                await self._take(item)
                taken += 1
                if taken % YIELD_EVERY == 0:
                    await asyncio.sleep(0)
        except CarrierError as error:
            log.warning("carrier broke the call off", code=error.code, reason=error.message)
            self._ending = CallEnded(reason="error", duration_ms=0, error=error.code)
        except Exception:  # ours, never the carrier's: what was heard so far is told
            log.exception("the carrier could not be followed")
            self._ending = BROKEN
        finally:
            self.hang_up()

    def hang_up(self) -> None:
        """Nothing more comes: hear out what is held."""
        for ear in self._ears.values():
            try:
                self._hear_held(ear)
                self._turned(ear.flush())
            except Exception:  # a leg that cannot be heard out must not keep the others, or the end, from being told
                log.exception("a leg could not be flushed")
                self._ending = BROKEN
            finally:
                ear.close()

    async def _take(self, item: StreamItem) -> None:
        match item:
            case MediaChunk(leg=leg) | Discarded(leg=leg):
                ear = self._ear(leg)
                for heard in ear.audio.push(item):
                    self._hear(ear, heard)
                await ear.room()
            case DtmfDigit(leg=leg, digit=digit):
                at = self._ear(leg).audio.position
                self._heard.put_nowait(KeyPressed(leg=leg, position=at, digit=digit))
            case Flush():
                self._flush()
                for ear in self._ears.values():
                    await ear.room()
            case TurnsChanged(parameters=parameters):
                for ear in self._ears.values():
                    ear.change_turns(parameters)
            case StreamStarted():
                self._join(item)
            case StreamStopped(reason=reason):
                self._ending = CallEnded(reason=reason, duration_ms=0)
        await self._room()

    def _flush(self) -> None:
        for ear in self._ears.values():
            self._hear_held(ear)
            self._turned(ear.cut())
            ear.hearing.mark(ear.position)

    async def _room(self) -> None:
        """Returns when there is room for more to tell: at once, unless the store has been away for long."""
        while self._heard.qsize() >= MOST_UNTOLD:
            self._told.clear()
            await self._told.wait()

    def _join(self, started: StreamStarted) -> None:
        """The line broke and has come back: its new stream goes on where all legs are equally far."""
        for ear in self._ears.values():
            self._hear_held(ear)
        position = self.duration
        timeline = StreamClock(position)
        for leg, ear in self._ears.items():
            behind_ms = (position - ear.position) * 1000 / SAMPLE_RATE
            for heard in ear.audio.push(Discarded(leg=leg, missing_ms=behind_ms, reason=RECONNECTED)):
                self._hear(ear, heard)
            ear.audio = LegAudio(leg, started.media_format, timeline, begins_at=position)

    def _ear(self, leg: Leg) -> Ear:
        try:
            return self._ears[leg]
        except KeyError:
            raise CarrierProtocolError(f"audio of leg {leg!r}, which the stream did not announce") from None

    def _hear_held(self, ear: Ear) -> None:
        for heard in ear.audio.flush():
            self._hear(ear, heard)

    def _hear(self, ear: Ear, heard: AudioFrame | Gap) -> None:
        if isinstance(heard, AudioFrame):
            self._turned(ear.hear(heard))
            return
        MEDIA_MISSING.inc(heard.samples / SAMPLE_RATE)
        self._heard.put_nowait(heard)

    def _turned(self, events: Iterable[TurnEvent]) -> None:
        for event in events:
            self._turns.append(event)
            self._heard.put_nowait(event)

    def play(self, samples: Samples) -> None:
        """What a bot says, which may come back on any leg: some carriers stream what they play as the agent's."""
        for ear in self._ears.values():
            ear.play(samples)

    # -- recogniser → world ----------------------------------------------------------------------------------------

    async def tell(self) -> None:
        """Publish the call: its start, all that is heard, its end, and afterwards what is settled."""
        await self._publish(self._start())
        try:
            async with asyncio.TaskGroup() as hearings:
                for ear in self._ears.values():
                    hearings.create_task(ear.run())
                await self._tell_until_all_heard()
                await self._tell_end()
            await self._tell_what_is_left()
        except* Exception:  # ours, never the carrier's: what was told so far stands
            log.exception("a leg could not be heard out")
            self._ending = BROKEN
            await self._tell_what_is_left()
            if not self.ended.is_set():
                await self._tell_end()
        await self._sink.settled(self.key)

    async def _tell_end(self) -> None:
        await self._publish(replace(self._ending, duration_ms=max(to_ms(self.duration), self._told_ms)))
        self.ended.set()

    async def _tell_until_all_heard(self) -> None:
        speaking = set(self._ears)
        while speaking:
            heard = await self._heard.get()
            self._told.set()
            if isinstance(heard, AllHeard):
                speaking.discard(heard.leg)
            await self._tell_heard(heard)

    async def _tell_what_is_left(self) -> None:
        while not self._heard.empty():
            heard = self._heard.get_nowait()
            self._told.set()
            if not isinstance(heard, Unspooled):  # a crash can take nothing from a call that is told
                await self._tell_heard(heard)

    async def _tell_heard(self, heard: Heard) -> None:
        """What was heard, and what that says about whose turn it is: behind what has been said of turns before."""
        if isinstance(heard, TurnEvent):
            while heard in self._turns:
                await self._publish(self._turns.popleft())
            return
        if not isinstance(heard, AllHeard | Supposed | Concluded):
            await self._publish(as_event(heard))
        if not isinstance(heard, Unspooled) and (decided := self._ears[heard.leg].read(heard)):
            self._turns.extend(decided)
            while self._turns:
                await self._publish(self._turns.popleft())

    def _start(self) -> CallStarted:
        media = self.started.media_format
        return CallStarted(
            carrier=self.started.carrier,
            carrier_call_id=self.started.carrier_call_id,
            legs=self.started.legs,
            codec=media.encoding,
            sample_rate=media.sample_rate,
            metadata={
                name.removeprefix(METADATA): value
                for name, value in self.started.parameters.items()
                if name.startswith(METADATA)
            },
        )

    async def _publish(self, body: Body) -> None:
        await self._sink.publish(self.key, body)


def _hearing_options(options: CallOptions, leg: Leg) -> HearingOptions:
    told = options.told.get(leg, Told())
    return HearingOptions(
        language=told.language or options.language,
        keywords=options.keywords,
        partials=options.partials,
        speculate_ms=options.speech.hangover_ms - options.speech.pause_ms,
        first_segment=told.segments + 1,
        told_ms=told.until_ms,
        segment_ms=options.segment_ms,
    )
