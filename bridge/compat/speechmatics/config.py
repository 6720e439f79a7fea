"""What `StartRecognition` asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bridge.compat.container import ContainerSound
from bridge.compat.sound import RawSound, Sound
from bridge.errors import InvalidRequestError, UnsupportedMediaError
from bridge.web.uploads import language_of

ENCODINGS: Final = {"pcm_s16le": "linear16", "pcm_f32le": "float32", "mulaw": "mulaw"}
LONGEST_SILENCE_S: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """One session's."""

    sound: Sound
    language: str | None
    partials: bool
    utterance_silence_s: float
    """Silence that ends an utterance, and is told; 0: none is told."""
    vocabulary: tuple[str, ...]
    diarized: bool

    @classmethod
    def of(cls, message: Mapping[str, Any], model: str) -> Config:
        """Raises InvalidRequestError, UnsupportedMediaError."""
        wanted = _object(message.get("transcription_config"), "transcription_config")
        talk = _object(wanted.get("conversation_config") or {}, "conversation_config")
        silence_s = talk.get("end_of_utterance_silence_trigger") or 0
        if not isinstance(silence_s, int | float) or not 0 <= silence_s <= LONGEST_SILENCE_S:
            raise InvalidRequestError(f"end_of_utterance_silence_trigger must be from 0 to {LONGEST_SILENCE_S:g}")
        language = wanted.get("language", "en")
        if not isinstance(language, str):
            raise InvalidRequestError("language must be a text")
        return cls(
            sound=_sound(_object(message.get("audio_format") or {"type": "file"}, "audio_format")),
            language=None if language == "multi" else language_of(language, model),
            partials=bool(wanted.get("enable_partials")),
            utterance_silence_s=silence_s,
            vocabulary=tuple(_vocabulary(wanted.get("additional_vocab") or ())),
            diarized=wanted.get("diarization") == "speaker",
        )

    def parameters(self) -> dict[str, str]:
        """As a call has them."""
        found = {"partials": "on" if self.partials else "off", "keywords": ",".join(self.vocabulary)}
        if self.language is not None:
            found["language"] = self.language
        if self.diarized:
            found["diarize"] = "true"
        if self.utterance_silence_s:
            found["endpointing_ms"] = str(round(1000 * self.utterance_silence_s))
        return found


def _sound(asked: Mapping[str, Any]) -> Sound:
    kind, encoding, rate = asked.get("type"), asked.get("encoding"), asked.get("sample_rate")
    if kind == "file":
        return ContainerSound(None)
    if kind != "raw" or not isinstance(encoding, str) or encoding not in ENCODINGS:
        raise UnsupportedMediaError(f"audio_format must be a file, or raw with one of {', '.join(ENCODINGS)}")
    if not isinstance(rate, int) or not 4000 <= rate <= 192_000:
        raise UnsupportedMediaError("sample_rate must be from 4000 to 192000")
    return RawSound(ENCODINGS[encoding], rate)


def _vocabulary(given: Any) -> list[str]:
    """Words, or objects that say how they sound, too."""
    if not isinstance(given, list | tuple):
        raise InvalidRequestError("additional_vocab must be a list")
    words = [one.get("content") if isinstance(one, Mapping) else one for one in given]
    return [word for word in words if isinstance(word, str) and word]


def _object(given: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise InvalidRequestError(f"{name} must be an object")
    return given
