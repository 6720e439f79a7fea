"""One leg's speech into words: tentative while somebody speaks, final when they stop, settled when there is room.

A leg asks for one thing at a time: a partial, or the final, decoded already when the pause begins that may be the
end. Values come in with `offer` and leave through the queue handed in at the start.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from bridge.errors import EngineError
from bridge.model.frame import SAMPLE_RATE, from_ms, to_ms
from bridge.model.speech import Speech, SpeechAudio, SpeechBegan, SpeechOver, SpeechPaused, SpeechWentOn
from bridge.model.stream import Leg
from bridge.model.words import Segment
from bridge.ports import Clock, Decoded, DecodedWord, DecodeJob, Engine, Urgency
from bridge.recognise.agreement import Agreement
from bridge.recognise.context import PREVIOUS_CHARACTERS, Context, Said, Window
from bridge.recognise.guard import is_doubled, is_echo, is_invented, is_sparse
from bridge.recognise.heard import (
    AllHeard,
    Concluded,
    Flushed,
    Heard,
    Supposed,
    Undecoded,
    VoiceEnded,
    VoiceStarted,
)
from bridge.recognise.pace import LONGEST, context_room, is_busy, longest
from bridge.recognise.partials import Partials
from bridge.recognise.pcm import to_pcm
from bridge.recognise.settling import Piece, Settling, placed
from bridge.recognise.tongue import Tongue
from bridge.recognise.utterance import Utterance

T = TypeVar("T")

CUT_WITHIN: Final = 5 * SAMPLE_RATE
"""An utterance that grows too long is cut at the quietest place so near its end."""

CUT_WAITS_MS: Final = 1000
"""What the final of speech that was cut and goes on has time for."""

SHORTEST: Final = from_ms(100)
"""Less than this holds no word."""

BACKLOG: Final = 60 * SAMPLE_RATE
"""Speech a leg may have undecoded before it stops listening, which makes its carrier wait."""

MOST_MARKS: Final = 1_000
"""Marks a leg may have untold, before it stops listening."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HearingOptions:
    """What a call may choose."""

    language: str | None = None
    keywords: tuple[str, ...] = ()
    partials: bool = True
    settle: bool = True
    speculate_ms: int = 300
    """Between a pause being noticed and its counting as the end: how long a final may take unseen."""
    first_segment: int = 1
    """Where numbering goes on, for a call taken up again."""
    told_ms: int = 0
    """What was said by then has been told already: a call that is taken up again is heard from its beginning."""
    segment_ms: int | None = None
    """Speech that goes on for longer is cut, sooner than the engine would have it."""


class Hearing:
    """One leg."""

    def __init__(
        self, leg: Leg, engine: Engine, clock: Clock, out: asyncio.Queue[Heard], options: HearingOptions
    ) -> None:
        self._leg = leg
        self._engine = engine
        self._clock = clock
        self._out = out
        self._options = options
        self._number = options.first_segment
        self._utterances: deque[Utterance] = deque()
        """The last may still be open; the first is being decoded."""
        self._marks: deque[tuple[int, int]] = deque()
        """Positions up to which all is to be told, each with the number of utterances before it that are not yet."""
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._closed = False
        self._context = Context(LONGEST + CUT_WITHIN)
        self._tongue = Tongue(options.language)
        self._partials = Partials(leg, engine, clock, self._tell, tongue=self._tongue, keywords=options.keywords)
        self._settling = Settling(leg, engine, clock, out, options.keywords)
        self.wasted = 0
        """Finals decoded in a pause that was not the end."""

    # -- coming in -------------------------------------------------------------------------------------------------

    def offer(self, speech: Sequence[Speech]) -> None:
        """What the segmenter found, in order."""
        for item in speech:
            self._take(item)
        if speech:
            self._limit()
            self._wake()

    async def room(self) -> None:
        """Returns when there is room for more: at once, unless a minute of speech or a thousand marks wait."""
        await self._room.wait()

    def mark(self, position: int) -> None:
        """Nothing is open: say so (`Flushed`) once all that was offered has been told."""
        self._marks.append((position, len(self._utterances)))
        self._tell_marks(0)
        self._limit()

    def _tell_marks(self, concluded: int) -> None:
        self._marks = deque((position, left - concluded) for position, left in self._marks)
        while self._marks and self._marks[0][1] <= 0:
            self._tell(Flushed(leg=self._leg, position=self._marks.popleft()[0]))

    def close(self) -> None:
        """The leg is over: nothing more will be offered. Speech that is still open ends here."""
        if self._utterances and not self._utterances[-1].over:
            self._take(SpeechOver(self._utterances[-1].voice_end))
        self._closed = True
        self._wake()

    def _take(self, item: Speech) -> None:
        match item:
            case SpeechBegan(position, voice):
                self._utterances.append(Utterance(position, voice))
                self._tell(VoiceStarted(leg=self._leg, position=voice))
            case SpeechAudio(_, samples):
                self._utterances[-1].hear(samples)
                self._cut_if_long()
            case SpeechPaused(position):
                self._utterances[-1].paused = position
            case SpeechWentOn():
                self._utterances[-1].paused = None
            case SpeechOver(position):
                self._utterances[-1].paused = position
                self._utterances[-1].over = True
                self._tell(VoiceEnded(leg=self._leg, position=position))

    def _cut_if_long(self) -> None:
        utterance = self._utterances[-1]
        most = longest(self._engine.pressure())
        if self._options.segment_ms is not None:
            most = min(most, from_ms(self._options.segment_ms))
        if utterance.end - utterance.start > most:
            place = utterance.quietest(utterance.end - min(CUT_WITHIN, most // 2), utterance.end)
            self._utterances.append(utterance.cut(place))

    def _limit(self) -> None:
        waiting = sum(utterance.end - utterance.start for utterance in self._utterances)
        if waiting > BACKLOG or len(self._marks) > MOST_MARKS:
            self._room.clear()
        else:
            self._room.set()

    def _tell(self, heard: Heard) -> None:
        self._out.put_nowait(heard)

    # -- going on --------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Put the leg into words until it is closed and settled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._settling.run())
            while (utterance := await self._next()) is not None:
                if not self._is_told(utterance):
                    utterance = self._untold(utterance)
                    utterance.number = self._number
                    self._number += 1
                    await self._hear_out(utterance)
                self._utterances.popleft()
                self._tell(Concluded(leg=self._leg, position=utterance.voice_end))
                self._tell_marks(1)
                self._limit()
            self._tell(AllHeard(leg=self._leg))
            self._settling.close()

    async def _next(self) -> Utterance | None:
        """The next one, as soon as it is clear whether it has been told."""
        while not self._utterances or self._may_be_told(self._utterances[0]):
            if self._closed and not self._utterances:
                return None
            await self._change()
        return self._utterances[0]

    def _may_be_told(self, utterance: Utterance) -> bool:
        return not utterance.over and to_ms(utterance.voice) < self._options.told_ms

    def _is_told(self, utterance: Utterance) -> bool:
        return utterance.over and to_ms(utterance.voice_end) <= self._options.told_ms

    def _untold(self, utterance: Utterance) -> Utterance:
        """What is left of one that was told in part: its end, or the place where it was cut, has moved since."""
        told = from_ms(self._options.told_ms)
        return utterance.behind(told) if utterance.voice < told else utterance

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _change(self) -> Coroutine[Any, Any, object]:
        """Returns at the next thing that happens from this moment on, even if the wait itself begins later."""
        return self._changed.wait()

    async def _unless(self, stop: Callable[[], bool], work: Coroutine[Any, Any, T]) -> T | None:
        """What `work` gives; None, and the work taken back, as soon as `stop` holds."""
        task = asyncio.create_task(work)
        try:
            while not task.done() and not stop():
                changed = asyncio.create_task(self._change())
                try:
                    await asyncio.wait({task, changed}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    changed.cancel()
            return task.result() if task.done() else None
        finally:
            task.cancel()

    async def _hear_out(self, utterance: Utterance) -> None:
        """Partials while it goes on; the final, begun in each pause that may be its end."""
        agreement = Agreement()
        while True:
            if utterance.paused is None:
                await self._until_paused(utterance, agreement)
                continue
            pause = _Pause(utterance)
            early = not utterance.over
            final = await self._unless(pause.went_on, self._final(utterance))
            if early and final is not None and not pause.went_on():
                self._suppose(utterance, final)
            while not utterance.over and not pause.went_on():
                await self._change()
            if not pause.went_on():
                if final is None and early:  # a speculation may be shed; a final may not
                    final = await self._final(utterance)
                self._conclude(utterance, final)
                return
            self.wasted += final is not None

    async def _until_paused(self, utterance: Utterance, agreement: Agreement) -> None:
        if self._options.partials:
            partials = self._partials.run(utterance, agreement, self._change)
            await self._unless(lambda: utterance.paused is not None, partials)
        while utterance.paused is None:
            await self._change()

    def _suppose(self, utterance: Utterance, final: Decoded) -> None:
        text = "" if is_invented(final) else final.text
        self._tell(Supposed(leg=self._leg, position=utterance.voice_end, text=text, language=final.language))

    # -- finals ----------------------------------------------------------------------------------------------------

    async def _final(self, utterance: Utterance) -> Decoded | None:
        """What the utterance says up to its pause; None when it could not be decoded."""
        samples = utterance.spoken()
        if len(samples) < SHORTEST:
            return Decoded.nothing(self._options.language or "")
        busy = is_busy(self._engine.pressure())
        window = self._context.window(
            samples, context_room(len(samples), busy=busy), previous=0 if busy else PREVIOUS_CHARACTERS
        )
        decoded = await self._decode_final(utterance, window, busy=busy)
        if decoded is None:
            return None
        echo = is_echo(decoded, window.said_before) or is_doubled(decoded)
        if not window.said_before or not (echo or not decoded.text or is_sparse(decoded, len(samples))):
            return decoded
        alone = await self._decode_final(utterance, Window(samples=samples, offset=0))
        better = alone is not None and (echo or len(alone.words) > len(decoded.words))
        return alone if better else decoded

    async def _decode_final(self, utterance: Utterance, window: Window, *, busy: bool = False) -> Decoded | None:
        left_ms = CUT_WAITS_MS if utterance.goes_on else 0 if utterance.over else self._options.speculate_ms
        job = DecodeJob(
            samples=window.samples,
            urgency=Urgency.FINAL if utterance.over else Urgency.SPECULATIVE,
            deadline=self._clock.monotonic() + left_ms / 1000,
            language=self._tongue.held,
            previous_text=window.previous_text,
            prefix_text=window.prefix_text,
            known=window.offset,
            keywords=self._options.keywords,
            want_words=True,
            brisk=busy,
        )
        try:
            decoded = await self._engine.decode(job)
        except EngineError:
            return None
        if decoded is None:
            return None
        return replace(decoded, words=tuple(_shifted(word, -window.offset) for word in decoded.words))

    def _conclude(self, utterance: Utterance, decoded: Decoded | None) -> None:
        samples = utterance.spoken()
        if decoded is None:
            self._tell(Undecoded(leg=self._leg, position=utterance.start, samples=len(samples)))
            return
        if is_invented(decoded):
            return
        self._tongue.hear(decoded, len(samples))
        segment = self._segment(utterance, decoded)
        self._tell(segment)
        self._context.add(Said(samples=samples, text=segment.text))
        if self._options.settle:
            self._settling.add(Piece(segment=segment, start=utterance.start, pcm=to_pcm(samples)))

    def _segment(self, utterance: Utterance, decoded: Decoded) -> Segment:
        start_ms, end_ms = to_ms(utterance.voice), to_ms(utterance.voice_end)
        words = tuple(placed(word, utterance.start, start_ms, end_ms) for word in decoded.words)
        sure = [word.confidence for word in words] or [math.exp(decoded.average_log_probability)]
        return Segment(
            leg=self._leg,
            segment=utterance.number,
            start_ms=start_ms,
            end_ms=end_ms,
            text=decoded.text,
            language=decoded.language,
            confidence=round(sum(sure) / len(sure), 3),
            words=words,
        )


class _Pause:
    """A silence that may be an utterance's end."""

    def __init__(self, utterance: Utterance) -> None:
        self._utterance = utterance
        self._at = utterance.paused

    def went_on(self) -> bool:
        return self._utterance.paused != self._at


def _shifted(word: DecodedWord, by: int) -> DecodedWord:
    return replace(word, start=word.start + by, end=word.end + by)
