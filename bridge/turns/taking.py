"""Whose turn is it: one leg's voice and words in, its turns out. Positions are samples at 16 kHz since the leg's first.

    nobody ──voice──► speaking ──pause──► silent ──patience──► ending ──its words──► nobody
                         ▲                  │
                         └──── went on ─────┘

`push` follows the audio while a turn is open; `suppose`, `add` and `conclude` follow the
recogniser. What is said while the other party speaks is a turn only once it is more than a sign of listening.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from bridge.model.events import TurnEagerEnded, TurnEnded, TurnEvent, TurnResumed, TurnStarted
from bridge.model.frame import SAMPLE_RATE, Samples, from_ms, to_ms
from bridge.model.speech import Speech, SpeechAudio, SpeechBegan, SpeechOver, SpeechPaused, SpeechWentOn
from bridge.model.stream import Leg
from bridge.turns.options import TurnOptions, changed
from bridge.turns.prosody import HEARD, Prosody, prosody
from bridge.turns.text import cues, is_backchannel
from bridge.turns.weighing import Evidence, main_reason, patience, probability

LONGEST_ASIDE: Final = from_ms(1200)
"""Who speaks for so long while the other party does, does more than listen."""

KEPT: Final = 64
"""Runs of audio kept for the voice's last second: two seconds of 32 ms windows."""


@dataclass(frozen=True, slots=True)
class _Silence:
    """One that was over before the words in front of it were known, and that ended a stretch of speech."""

    begin: int
    end: int
    evidence: Evidence
    """Words apart."""


@dataclass(slots=True)
class _Turn:
    """From its first voice to the words of its last."""

    voice: int
    aside: bool
    """It began while the other party spoke."""
    number: int = 0
    """0 until it is told."""
    texts: list[str] = field(default_factory=list)
    supposed: str = ""
    """What may follow behind `texts`, if the pause is the end."""
    eager: bool = False
    """It was said that it may be over."""
    end: TurnEnded | None = None
    """Decided; its words may be on their way."""
    until: int = 0
    """Where the voice stopped, once it is decided."""
    unread: deque[_Silence] = field(default_factory=deque)
    """In it, and perhaps its end: their words will tell."""

    @property
    def text(self) -> str:
        return " ".join(text for text in (*self.texts, self.supposed) if text)


class TurnTaker:
    """One leg."""

    def __init__(self, leg: Leg, options: TurnOptions) -> None:
        self._leg = leg
        self._options = options
        self._turns = 0
        self._turn: _Turn | None = None
        self._closing: deque[_Turn] = deque()
        """Decided before their last words were told."""
        self._tail: deque[SpeechAudio] = deque(maxlen=KEPT)
        self._voice_end: int | None = None
        """Where the voice stopped, while it is silent."""
        self._over = True
        """The segmenter has ended the stretch of speech."""
        self._worded = False
        """The words up to the pause are known."""
        self._concluded = 0
        """All words up to there have been added."""
        self._language = "en"
        self._evidence = Evidence()

    @property
    def speaking(self) -> bool:
        """It has the floor, and a voice is heard."""
        return self._turn is not None and self._turn.number > 0 and self._voice_end is None

    @property
    def open(self) -> bool:
        """Somebody speaks, or may go on: `push` wants every frame. Otherwise only those with speech in them."""
        return self._turn is not None

    @property
    def cuts(self) -> bool:
        """The turn is over and its speech is still open: it should be ended now."""
        return bool(self._closing) and self._turn is None and not self._over

    def change(self, parameters: Mapping[str, str]) -> None:
        """How turns are decided from here on: as a call's parameters say it."""
        self._options = changed(self._options, parameters)

    # -- voice -----------------------------------------------------------------------------------------------------

    def push(self, speech: Sequence[Speech], position: int, *, other: bool) -> list[TurnEvent]:
        """What the segmenter found in a frame that ends at `position`; `other`: whether the other party speaks."""
        told: list[TurnEvent] = []
        for item in speech:
            told += self._take(item, other)
        if (turn := self._turn) is None:
            return told
        if turn.aside and not turn.number:
            told += self._listen_to_aside(turn, position, other)
        elif self._voice_end is not None:
            self._note_other(other)
            told += self._judge(turn, self._voice_end, position)
        return told

    def _take(self, item: Speech, other: bool) -> list[TurnEvent]:
        match item:
            case SpeechBegan(_, voice):
                self._over = False
                self._tail.clear()
                return self._begin_again(voice) if self._turn is not None else self._begin(voice, other)
            case SpeechAudio():
                self._tail.append(item)
            case SpeechWentOn(position):
                return self._go_on(position) if self._turn is not None else self._begin(position, other)
            case SpeechPaused(position):
                self._pause(position)
            case SpeechOver(position):
                self._over = True
                if self._voice_end is None:
                    self._pause(position)
        return []

    def _begin(self, voice: int, other: bool) -> list[TurnEvent]:
        self._voice_end = None
        self._turn = _Turn(voice, aside=other)
        return [] if other or self._closing else self._start(self._turn)

    def _start(self, turn: _Turn) -> list[TurnEvent]:
        self._turns += 1
        turn.number = self._turns
        unsure = round(probability(Evidence(), 0.0), 3)
        return [TurnStarted(leg=self._leg, turn=turn.number, at_ms=to_ms(turn.voice), probability=unsure)]

    def _begin_again(self, voice: int) -> list[TurnEvent]:
        """Behind a whole stretch of speech, of which the words may come late and say that it was the end."""
        turn = self._turn
        if turn is not None and turn.number and not turn.eager and self._voice_end is not None:
            turn.unread.append(_Silence(self._voice_end, voice, self._evidence))
        return self._go_on(voice) + self._catch_up(self._concluded)

    def _go_on(self, position: int) -> list[TurnEvent]:
        turn, silence_from = self._turn, self._voice_end
        self._voice_end = None
        if turn is None:
            return []
        turn.supposed = ""
        if not turn.eager or silence_from is None:
            return []
        turn.eager = False
        sure = round(probability(self._evidence, (position - silence_from) / SAMPLE_RATE), 3)
        return [TurnResumed(leg=self._leg, turn=turn.number, at_ms=to_ms(position), probability=sure)]

    def _pause(self, position: int) -> None:
        self._voice_end = position
        self._worded = False
        heard = prosody(self._last_voice(position)) if self._turn is not None else Prosody()
        self._evidence = Evidence(prosody=heard)

    def _last_voice(self, end: int) -> Samples:
        if not self._tail:
            return np.empty(0, np.float32)
        start = self._tail[0].position
        run = np.concatenate([audio.samples for audio in self._tail])
        return run[max(0, end - HEARD - start) : max(0, end - start)]

    def _listen_to_aside(self, turn: _Turn, position: int, other: bool) -> list[TurnEvent]:
        """Speech beside the other party's becomes a turn when that stops first, or when it goes on for long."""
        if self._voice_end is not None or self._closing:
            return []
        if other and position - turn.voice < LONGEST_ASIDE:
            return []
        return self._start(turn)

    # -- words -----------------------------------------------------------------------------------------------------

    def hint(self, text: str) -> list[TurnEvent]:
        """What an utterance seems to say while it goes on."""
        turn = self._turn
        if turn is None or turn.number or not turn.aside or is_backchannel(text, self._language):
            return []
        return self._start(turn)

    def suppose(self, position: int, text: str, language: str) -> list[TurnEvent]:
        """What the utterance says if the pause at `position` is its end."""
        self._language = language
        turn = self._turn
        if turn is None or position != self._voice_end:
            return []
        turn.supposed = text
        return self._read(turn)

    def add(self, text: str, language: str) -> None:
        """Words that stand."""
        self._language = language
        turn = self._closing[0] if self._closing else self._turn
        if turn is not None:
            turn.texts.append(text)
            turn.supposed = ""

    def conclude(self, position: int) -> list[TurnEvent]:
        """All words up to `position` have been added."""
        told: list[TurnEvent] = []
        while self._closing and position >= self._closing[0].until:
            told += self._close()
        self._concluded = position
        told += self._catch_up(position)
        turn = self._turn
        if turn is None or self._voice_end is None or position < self._voice_end:
            return told
        turn.supposed = ""
        if not turn.number and is_backchannel(turn.text, self._language):
            self._turn = None
            return told
        return told + self._read(turn)

    def _catch_up(self, position: int) -> list[TurnEvent]:
        """A silence before which all words are known by now: it ended the turn if it was long enough for them."""
        turn = self._turn
        while turn is not None and turn.unread and turn.unread[0].begin <= position:
            silence = turn.unread.popleft()
            evidence = replace(silence.evidence, cues=cues(turn.text, self._language))
            length = silence.end - silence.begin
            known = silence.begin == position and turn.text and not (turn.supposed or turn.eager or self._closing)
            if not known or length < patience(evidence, self._options.threshold) * SAMPLE_RATE:
                continue
            sure = round(probability(evidence, length / SAMPLE_RATE), 3)
            turn.end = self._ended(turn, silence.begin, sure, main_reason(evidence))
            self._turn = _Turn(silence.end, aside=False, unread=turn.unread)
            self._closing.append(turn)
            return self._close()
        return []

    def end(self) -> list[TurnEvent]:
        """The leg is over, and all of its words have been added."""
        told = [event for _ in tuple(self._closing) for event in self._close()]
        turn, self._turn = self._turn, None
        if turn is None or not turn.number:
            return told
        turn.end = self._ended(turn, turn.voice if self._voice_end is None else self._voice_end, 1.0, "call_ended")
        self._closing.append(turn)
        return told + self._close()

    def _read(self, turn: _Turn) -> list[TurnEvent]:
        """The words up to the pause are known."""
        told = self._start(turn) if not (turn.number or is_backchannel(turn.text, self._language)) else []
        self._worded = True
        self._evidence = replace(self._evidence, cues=cues(turn.text, self._language))
        return told

    def _note_other(self, other: bool) -> None:
        if other != self._evidence.other:
            self._evidence = replace(self._evidence, other=other)

    # -- decision --------------------------------------------------------------------------------------------------

    def _judge(self, turn: _Turn, voice_end: int, position: int) -> list[TurnEvent]:
        """Words and voice say how much silence is enough; without words, only the time-out is."""
        silence = position - voice_end
        told: list[TurnEvent] = []
        if silence >= from_ms(self._options.timeout_ms):
            return told + self._decide(turn, voice_end, silence, "timeout")
        if not self._worded:
            return told
        if self._over and not turn.text:
            return told + self._decide(turn, voice_end, silence, "no_words")
        eager = self._options.eager_threshold
        if eager is not None and turn.number and not turn.eager and turn.text and self._is_enough(silence, eager):
            turn.eager = True
            told.append(self._eager(turn, voice_end, silence))
        if (self._over or self._options.early) and self._is_enough(silence, self._options.threshold):
            told += self._decide(turn, voice_end, silence, main_reason(self._evidence))
        return told

    def _is_enough(self, silence: int, threshold: float) -> bool:
        return silence >= patience(self._evidence, threshold) * SAMPLE_RATE

    def _eager(self, turn: _Turn, voice_end: int, silence: int) -> TurnEagerEnded:
        return TurnEagerEnded(
            leg=self._leg,
            turn=turn.number,
            at_ms=to_ms(voice_end),
            probability=round(probability(self._evidence, silence / SAMPLE_RATE), 3),
            text=turn.text,
            reason=main_reason(self._evidence),
        )

    def _decide(self, turn: _Turn, voice_end: int, silence: int, reason: str) -> list[TurnEvent]:
        """The turn is over: told at once, or when its last words are there."""
        sure = probability(self._evidence, silence / SAMPLE_RATE)
        turn.end = self._ended(turn, voice_end, round(sure, 3), reason)
        turn.until = voice_end
        self._turn = None
        self._closing.append(turn)
        return self._close() if self._over and self._worded and not turn.supposed else []

    def _ended(self, turn: _Turn, voice_end: int, sure: float, reason: str) -> TurnEnded:
        return TurnEnded(
            leg=self._leg, turn=turn.number, at_ms=to_ms(voice_end), probability=sure, text=turn.text, reason=reason
        )

    def _close(self) -> list[TurnEvent]:
        """The first decided turn's end, with all its words; then the beginning of the next, if that has begun."""
        closing = self._closing.popleft()
        told: list[TurnEvent] = (
            [] if closing.end is None else [replace(closing.end, turn=closing.number, text=closing.text)]
        )
        following = self._closing[0] if self._closing else self._turn
        if following is not None and not (following.number or following.aside):
            told += self._start(following)
        return told
