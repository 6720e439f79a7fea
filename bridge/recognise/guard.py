"""Text that nobody said: what Whisper makes of noise, and how it is told from speech."""

from __future__ import annotations

import re
from typing import Final

from bridge.model.frame import SAMPLE_RATE
from bridge.ports import Decoded

NO_SPEECH: Final = 0.6
UNSURE: Final = -1.0
"""Whisper's own thresholds for a window without speech (Radford et al. 2022, §4.5)."""

HOPELESS: Final = -1.8
"""Mean log-probability below which the text is noise whatever else it looks like."""

_STAGE = re.compile(r"[\[(*♪♫][^\[\]()*♪♫]*[\])*♪♫]")
"""A stage direction, or a line that is sung."""

STOCK: Final = frozenset(
    {
        "thanks for watching",
        "thank you for watching",
        "thank you so much for watching",
        "thank you very much for watching",
        "thanks for watching and see you next time",
        "please subscribe",
        "please subscribe to my channel",
        "like and subscribe",
        "see you next time",
        "see you in the next video",
        "ill see you in the next video",
        "well see you in the next video",
        "subtitles by the amaraorg community",
        "transcription by castingwords",
        "the end",
        "you",
        "bye",
        "bye bye",
        "so",
        "oh",
        "um",
        "uh",
        "beep",
        "beep beep",
        "music",
        "applause",
        "untertitel der amaraorg community",
        "untertitel im auftrag des zdf für funk 2017",
        "sous titres réalisés par la communauté damaraorg",
        "sous titrage société radio canada",
        "merci davoir regardé cette vidéo",
        "subtítulos realizados por la comunidad de amaraorg",
        "gracias por ver el video",
        "sottotitoli creati dalla comunità amaraorg",
        "sottotitoli e revisione a cura di qtss",
        "legendas pela comunidade amaraorg",
        "продолжение следует",
        "субтитры сделал dimatorzok",
        "спасибо за просмотр",
        "ご視聴ありがとうございました",
        "시청해주셔서 감사합니다",
    }
)
"""Phrases from the ends of videos that Whisper falls back on. Believed only when it is sure of them."""

ECHO_WORDS: Final = 3
"""People do say "yes" and "thank you" twice; of a run so long it is the context that speaks."""

ECHO_WITHIN: Final = 40
"""Words of context in which an echo is looked for: what was said minutes ago may be said again."""

DOUBLED_WORDS: Final = 4

SPARSE_FROM: Final = 3 * SAMPLE_RATE
SPARSE_WORDS_PER_S: Final = 1.3
"""Half of slow speech. Shorter speech may be one word and a breath."""

STOCK_SURE: Final = -0.5
STOCK_NO_SPEECH: Final = 0.3


def is_invented(decoded: Decoded) -> bool:
    """Whether the text of a decode was most likely not said."""
    text = decoded.text.strip()
    if not any(letter.isalnum() for letter in _STAGE.sub("", text)):
        return True
    if decoded.average_log_probability < HOPELESS:
        return True
    if decoded.no_speech_probability > NO_SPEECH and decoded.average_log_probability < UNSURE:
        return True
    return " ".join(_plain(text)) in STOCK and (
        decoded.average_log_probability < STOCK_SURE or decoded.no_speech_probability > STOCK_NO_SPEECH
    )


def is_echo(decoded: Decoded, before: str) -> bool:
    """Whether a decode says nothing but what its context has said: Whisper repeats what it was told to go by."""
    said = _plain(decoded.text)
    context = _plain(before)[-ECHO_WITHIN:]
    starts = range(len(context) - len(said) + 1)
    return len(said) >= ECHO_WORDS and any(context[start : start + len(said)] == said for start in starts)


def is_doubled(decoded: Decoded) -> bool:
    """Whether a decode says a run of words and at once, or behind one word more, says it again, as people rarely do and
    Whisper does.
    """
    said = _plain(decoded.text)
    return any(
        said[start : start + length] == said[again : again + length]
        for length in range(DOUBLED_WORDS, len(said) // 2 + 1)
        for start in range(len(said) - 2 * length + 1)
        for again in (start + length, start + length + 1)
    )


def is_sparse(decoded: Decoded, samples: int) -> bool:
    """Whether so many samples of speech must have said more: behind a context a decode may skip or end early."""
    return samples > SPARSE_FROM and len(decoded.words) < SPARSE_WORDS_PER_S * samples / SAMPLE_RATE


def _plain(text: str) -> list[str]:
    """Words as they are compared: no case, no signs."""
    return re.sub(r"[^\w\s]", "", text.casefold().replace("-", " ")).split()
