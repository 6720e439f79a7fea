"""What is shown while somebody speaks: one decode after the other, each from what is not certain yet."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final

from bridge.errors import EngineError
from bridge.model.frame import SAMPLE_RATE, from_ms, to_ms
from bridge.model.stream import Leg
from bridge.model.words import Partial
from bridge.ports import Clock, DecodedWord, DecodeJob, Engine, Urgency
from bridge.recognise.agreement import Agreement, joined
from bridge.recognise.guard import is_invented
from bridge.recognise.heard import Heard, Thinned
from bridge.recognise.pace import PARTIAL_S, SLOWEST_PARTIAL_S, partial_interval_s
from bridge.recognise.tongue import Tongue
from bridge.recognise.utterance import Utterance

FIRST_PARTIAL: Final = from_ms(500)
"""Voice heard before the first partial is asked for; less gives Whisper too little to go by."""

PARTIAL_WINDOW: Final = 5 * SAMPLE_RATE
"""A partial looks back this far; what was confirmed before that is not decoded again."""

PARTIAL_OVERLAP: Final = 2 * SAMPLE_RATE
"""Confirmed audio that a partial keeps in front of what is in doubt, its words forced."""

MARGIN: Final = from_ms(100)


class Partials:
    """One leg's."""

    def __init__(
        self,
        leg: Leg,
        engine: Engine,
        clock: Clock,
        tell: Callable[[Heard], None],
        *,
        tongue: Tongue,
        keywords: tuple[str, ...],
    ) -> None:
        self._leg = leg
        self._engine = engine
        self._clock = clock
        self._tell = tell
        self._tongue = tongue
        self._keywords = keywords
        self._thinned = False

    async def run(self, utterance: Utterance, agreement: Agreement, change: Callable[[], Awaitable[object]]) -> None:
        """One after the other, each with at least an interval of new speech, for as long as nobody takes this back.
        `change` returns when there may be more of the utterance.
        """
        heard_to = utterance.voice + FIRST_PARTIAL - from_ms(1000 * PARTIAL_S)
        while True:
            interval = partial_interval_s(self._engine.pressure())
            self._mind(interval)
            wanted = heard_to + from_ms(1000 * (interval or SLOWEST_PARTIAL_S))
            if utterance.end < wanted:
                await change()
            elif interval is None:
                heard_to = utterance.end
            else:
                heard_to = utterance.end
                await self._partial(utterance, agreement)

    def _mind(self, interval: float | None) -> None:
        """Say once that partials have stopped, each time they do."""
        if interval is None and not self._thinned:
            self._tell(Thinned(leg=self._leg))
        self._thinned = interval is None

    async def _partial(self, utterance: Utterance, agreement: Agreement) -> None:
        start, known = _in_view(agreement.confirmed, utterance)
        job = DecodeJob(
            samples=utterance.audio(start, utterance.end),
            urgency=Urgency.PARTIAL,
            deadline=self._clock.monotonic() + PARTIAL_S,
            language=self._tongue.held,
            prefix_text=joined(known),
            known=known[-1].end - start if known else 0,
            keywords=self._keywords,
            want_words=bool(agreement.text),  # nothing of a first partial is confirmed: its times are for nobody
        )
        try:
            decoded = await self._engine.decode(job)
        except EngineError:
            return
        if decoded is None or is_invented(decoded):
            return
        heard_to = start + len(job.samples)
        agreement.hear(
            [replace(word, start=word.start + start, end=word.end + start) for word in decoded.words], heard_to
        )
        self._tell(
            Partial(
                leg=self._leg,
                segment=utterance.number,
                start_ms=to_ms(utterance.voice),
                end_ms=to_ms(heard_to),
                text=agreement.text,
                stable_text=agreement.stable_text,
            )
        )


def _in_view(confirmed: Sequence[DecodedWord], utterance: Utterance) -> tuple[int, list[DecodedWord]]:
    """Where a partial's window begins, and the confirmed words in it: all of a short utterance's, the last two seconds'
    of a long one's.
    """
    if utterance.end - utterance.start <= PARTIAL_WINDOW or not confirmed:
        return utterance.start, list(confirmed)
    kept = [word for word in confirmed if word.start >= confirmed[-1].end - PARTIAL_OVERLAP]
    return kept[0].start - MARGIN, kept
