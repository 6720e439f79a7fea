"""One leg of a call on its way from frames to words and turns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bridge.audio.leg import LegAudio
from bridge.model.events import TurnEvent
from bridge.model.frame import AudioFrame, Samples
from bridge.model.speech import Speech
from bridge.model.words import Partial, Segment
from bridge.naming import Naming
from bridge.recognise.heard import AllHeard, Concluded, Heard, Supposed
from bridge.recognise.hearing import Hearing
from bridge.speech.segmenter import Segmenter
from bridge.turns.echo import Echo
from bridge.turns.taking import TurnTaker


class Ear:
    """What it hears goes to the recogniser, to the voices it tells apart, and with those words to its turns."""

    def __init__(
        self, audio: LegAudio, segmenter: Segmenter, hearing: Hearing, naming: Naming | None, turns: TurnTaker | None
    ) -> None:
        self.audio = audio
        self.segmenter = segmenter
        self.hearing = hearing
        self._naming = naming
        self._turns = turns
        self._echo: Echo | None = None
        """Once something has been played on the line."""
        self.others: Sequence[Ear] = ()
        """The call's other legs."""
        self.position = 0
        """Behind the last sample heard."""

    @property
    def speaks(self) -> bool:
        """It has the floor, and a voice is heard."""
        return self._turns is not None and self._turns.speaking

    def hear(self, frame: AudioFrame) -> list[TurnEvent]:
        """A frame, behind the one before it without a hole."""
        self.position = frame.end
        if self._echo is not None:
            self._echo.hear(frame)
            self.segmenter.alert = self._echo.plays
        return self._offer(self.segmenter.push(frame))

    def play(self, samples: Samples) -> None:
        """`samples` are played on the line from now on: their echo is nobody's turn."""
        if self._turns is None:
            return
        if self._echo is None:
            self._echo = Echo(self.position)
        self._echo.play(samples)

    def cut(self) -> list[TurnEvent]:
        """End speech that is open; the leg goes on."""
        return self._offer(self.segmenter.cut())

    def flush(self) -> list[TurnEvent]:
        """The leg ended: hear what is held."""
        return self._offer(self.segmenter.flush())

    def _offer(self, speech: list[Speech]) -> list[TurnEvent]:
        self.hearing.offer(speech)
        if self._naming is not None:
            self._naming.offer(speech)
        turns = self._turns
        if self._echo is not None:
            speech = self._echo.sift(speech)
        if turns is None or not (speech or turns.open):
            return []
        told = turns.push(speech, self.position, other=any(ear.speaks for ear in self.others))
        return told + self.cut() if turns.cuts else told

    def change_turns(self, parameters: Mapping[str, str]) -> None:
        """How its turns are decided, where there are any."""
        if self._turns is not None:
            self._turns.change(parameters)

    async def room(self) -> None:
        """Returns when there is room for more: at once, unless too much has not been put into words."""
        await self.hearing.room()
        if self._naming is not None:
            await self._naming.room()

    def close(self) -> None:
        """Nothing more comes."""
        self.hearing.close()
        if self._naming is not None:
            self._naming.close()

    async def run(self) -> None:
        """Put the leg into words, until it is closed and settled."""
        await (self.hearing.run() if self._naming is None else self._naming.run(self.hearing.run))

    def read(self, heard: Heard) -> Sequence[TurnEvent]:
        """What the recogniser has told of this leg."""
        if self._turns is None:
            return ()
        match heard:
            case Partial(text=text):
                return self._turns.hint(text)
            case Supposed(position=position, text=text, language=language):
                return self._turns.suppose(position, text, language)
            case Segment(text=text, language=language):
                self._turns.add(text, language)
            case Concluded(position=position):
                return self._turns.conclude(position)
            case AllHeard():
                return self._turns.end()
        return ()
