"""One leg's speech on its way to the encoder, and what that says on its way to the diarizer."""

from __future__ import annotations

from collections.abc import Sequence

from bridge.model.likeness import Likeness
from bridge.model.speech import Speech
from bridge.ports import VoiceEncoder
from bridge.speakers.diarizer import Diarizer, Recut, Renamed
from bridge.speakers.overlap import HOP, WINDOW
from bridge.speakers.windows import OverlapWindow, VoiceWindow, Windows, voice_windows


class LegWindows:
    """One leg, cut for both questions: whose voice it is, and whether two speak at once."""

    def __init__(self, likeness: Likeness) -> None:
        self._voices = voice_windows(likeness)
        self._overlaps = Windows(OverlapWindow, window=WINDOW, hop=HOP)

    def push(self, speech: Sequence[Speech]) -> list[VoiceWindow | OverlapWindow]:
        """The windows that these complete."""
        return [*self._voices.push(speech), *self._overlaps.push(speech)]


async def hear(
    diarizer: Diarizer, encoder: VoiceEncoder, window: VoiceWindow | OverlapWindow
) -> Sequence[Renamed | Recut]:
    """What a window changes for segments that have been told. Raises EngineError, SetupError."""
    if isinstance(window, OverlapWindow):
        return diarizer.overlap(window, await encoder.overlaps(window.samples))
    return diarizer.hear(window, await encoder.embed(window.samples))
