"""Text that nobody said, told from text that somebody did."""

from __future__ import annotations

import pytest

from bridge.ports import Decoded
from bridge.recognise.guard import is_invented

TEXTS = {
    "nothing": ("", -0.1, 0.0, True),
    "only signs": ("... -- ?!", -0.1, 0.0, True),
    "a stage direction": ("[Music]", -0.1, 0.0, True),
    "in parentheses": ("(speaking in foreign language)", -0.1, 0.0, True),
    "several": ("[Music] [Applause]", -0.1, 0.0, True),
    "between stars": ("*laughs*", -0.1, 0.0, True),
    "a song": ("♪ la la la ♪", -0.1, 0.0, True),
    "speech between stage directions": ("[Music] I am calling about an order. [Applause]", -0.3, 0.1, False),
    "speech in two parentheses": ("(Yes) I think so (no)", -0.3, 0.1, False),
    "a number that begins with a parenthesis": ("(555) 010-4477", -0.3, 0.1, False),
    "ordinary speech": ("I am calling about an order.", -0.3, 0.1, False),
    "ordinary speech on a bad line": ("I am calling about an order.", -1.2, 0.3, False),
    "hopeless": ("I am calling about an order.", -1.9, 0.0, True),
    "unsure in a window without speech": ("I am calling about an order.", -1.1, 0.7, True),
    "sure in a window that may have none": ("I am calling about an order.", -0.5, 0.7, False),
    "stock phrase, unsure": ("Thanks for watching!", -0.6, 0.1, True),
    "stock phrase, hardly speech": ("Thanks for watching!", -0.2, 0.4, True),
    "stock phrase, clearly said": ("Thanks for watching!", -0.2, 0.1, False),
    "goodbye, clearly said": ("Bye-bye.", -0.3, 0.05, False),
    "bye, clearly said": ("Bye.", -0.3, 0.05, False),
    "oh, clearly said": ("Oh.", -0.3, 0.05, False),
    "you, from noise": ("you", -0.9, 0.5, True),
    "stock phrase inside speech": ("Thanks for watching my dog.", -0.8, 0.4, False),
    "in French": ("Sous-titrage Société Radio-Canada", -0.7, 0.2, True),
    "in Japanese": ("ご視聴ありがとうございました。", -0.7, 0.2, True),
}


@pytest.mark.parametrize(("text", "sure", "no_speech", "invented"), TEXTS.values(), ids=TEXTS.keys())
def test_invented_text_is_told_from_speech(text: str, sure: float, no_speech: float, invented: bool) -> None:
    """By its look, by its confidence, or by being what Whisper falls back on."""
    decoded = Decoded(
        text=text,
        language="en",
        language_probability=0.9,
        average_log_probability=sure,
        no_speech_probability=no_speech,
    )
    assert is_invented(decoded) is invented
