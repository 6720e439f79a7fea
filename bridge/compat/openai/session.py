"""A Realtime transcription session's settings, as its clients give them: nested, or flat in the older form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from bridge.compat.sound import RawSound
from bridge.errors import InvalidRequestError
from bridge.web.uploads import language_of

PCM_RATE: Final = 24_000
G711_RATE: Final = 8000

FORMATS: Final[Mapping[str, tuple[str, int]]] = {
    "audio/pcm": ("linear16", PCM_RATE),
    "audio/pcmu": ("mulaw", G711_RATE),
    "audio/pcma": ("alaw", G711_RATE),
}
OLDER: Final[Mapping[str, str]] = {"pcm16": "audio/pcm", "g711_ulaw": "audio/pcmu", "g711_alaw": "audio/pcma"}

PATIENCE_MS: Final[Mapping[str, int]] = {"high": 500, "auto": 800, "medium": 800, "low": 1500}
"""Silence that ends a turn, by the `eagerness` of `semantic_vad`."""
LONGEST_MS: Final = 5000
"""Silence that ends speech where only `commit` ends a turn."""

SERVER_VAD: Final[Mapping[str, Any]] = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 500,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What a client wants of its audio. `turn_detection` None: only `commit` ends a turn."""

    format: str = "audio/pcm"
    transcription: Mapping[str, Any] = field(default_factory=dict)
    turn_detection: Mapping[str, Any] | None = field(default_factory=lambda: dict(SERVER_VAD))
    noise_reduction: Mapping[str, Any] | None = None
    include: Sequence[str] = ()

    def updated(self, given: Mapping[str, Any]) -> Session:
        """With what is given changed. Raises InvalidRequestError."""
        if given.get("type", "transcription") != "transcription":
            raise _wrong("session.type", "only transcription sessions are held here")
        audio = _object(given.get("audio", {}), "session.audio")
        inputs = _object(audio.get("input", {}), "session.audio.input")
        changed: dict[str, Any] = {}
        if "format" in inputs:
            changed["format"] = _format(_object(inputs["format"], "session.audio.input.format"))
        return self._with(inputs, given, changed, noise="noise_reduction")

    def updated_flat(self, given: Mapping[str, Any]) -> Session:
        """As `updated`, in the older form."""
        changed: dict[str, Any] = {}
        if "input_audio_format" in given:
            name = given["input_audio_format"]
            if not isinstance(name, str) or name not in OLDER:
                raise _wrong("session.input_audio_format", f"must be one of {', '.join(OLDER)}")
            changed["format"] = OLDER[name]
        named = {**given, "transcription": given.get("input_audio_transcription")}
        if "input_audio_transcription" not in given:
            del named["transcription"]
        return self._with(named, given, changed, noise="input_audio_noise_reduction")

    def _with(
        self, inputs: Mapping[str, Any], given: Mapping[str, Any], changed: dict[str, Any], *, noise: str
    ) -> Session:
        if "transcription" in inputs:
            changed["transcription"] = _object(inputs["transcription"] or {}, "transcription")
        if "turn_detection" in inputs:
            changed["turn_detection"] = _turns(inputs["turn_detection"])
        if noise in inputs:
            changed["noise_reduction"] = inputs[noise]
        if "include" in given:
            changed["include"] = _list(given["include"] or [], "include")
        return replace(self, **changed)

    # -- to the call -----------------------------------------------------------------------------------------------

    def sound(self) -> RawSound:
        return RawSound(*FORMATS[self.format])

    def parameters(self, model: str) -> dict[str, str]:
        """Raises InvalidRequestError for a language that nobody here writes."""
        asked = self.transcription
        expected = [*_texts(asked.get("keywords")), *_texts(str(asked.get("prompt") or "").split(","))]
        found = {"keywords": ",".join(expected), "partials": "off"}
        languages = [asked["language"]] if asked.get("language") else _texts(asked.get("languages"))
        code = language_of(str(languages[0]), model) if len(languages) == 1 else None
        if code is not None:
            found["language"] = code
        return found | self._speech()

    def _speech(self) -> dict[str, str]:
        turns = self.turn_detection
        if turns is None:
            return {"endpointing_ms": str(LONGEST_MS)}
        if turns["type"] == "semantic_vad":
            return {"endpointing_ms": str(PATIENCE_MS[turns.get("eagerness") or "auto"])}
        found = {"endpointing_ms": str(turns["silence_duration_ms"])}
        if turns["threshold"] != SERVER_VAD["threshold"]:
            found["vad_threshold"] = str(turns["threshold"])
        return found

    # -- to the client ---------------------------------------------------------------------------------------------

    def shown(self) -> dict[str, Any]:
        rate = {"rate": PCM_RATE} if self.format == "audio/pcm" else {}
        inputs = {
            "format": {"type": self.format, **rate},
            "transcription": self.transcription,
            "turn_detection": self.turn_detection,
            "noise_reduction": self.noise_reduction,
        }
        return {"type": "transcription", "audio": {"input": inputs}, "include": list(self.include)}

    def shown_flat(self) -> dict[str, Any]:
        return {
            "input_audio_format": next(name for name, kind in OLDER.items() if kind == self.format),
            "input_audio_transcription": self.transcription,
            "turn_detection": self.turn_detection,
            "input_audio_noise_reduction": self.noise_reduction,
            "include": list(self.include),
        }


def _format(given: Mapping[str, Any]) -> str:
    name = given.get("type")
    if not isinstance(name, str) or name not in FORMATS:
        raise _wrong("session.audio.input.format.type", f"must be one of {', '.join(FORMATS)}")
    if name == "audio/pcm" and given.get("rate", PCM_RATE) != PCM_RATE:
        raise _wrong("session.audio.input.format.rate", f"must be {PCM_RATE}")
    return name


def _turns(given: Any) -> Mapping[str, Any] | None:
    if given is None:
        return None
    asked = _object(given, "turn_detection")
    kind = asked.get("type", "server_vad")
    if kind == "semantic_vad":
        eagerness = asked.get("eagerness") or "auto"
        if not isinstance(eagerness, str) or eagerness not in PATIENCE_MS:
            raise _wrong("turn_detection.eagerness", f"must be one of {', '.join(PATIENCE_MS)}")
        return {"type": kind, "eagerness": eagerness}
    if kind != "server_vad":
        raise _wrong("turn_detection.type", "must be server_vad or semantic_vad")
    turns = {name: usual if asked.get(name) is None else asked[name] for name, usual in SERVER_VAD.items()}
    for name in ("threshold", "prefix_padding_ms", "silence_duration_ms"):
        if not isinstance(turns[name], int | float) or turns[name] < 0:
            raise _wrong(f"turn_detection.{name}", "must be a number")
    return turns


def _object(given: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise _wrong(name, "must be an object")
    return given


def _list(given: Any, name: str) -> Sequence[Any]:
    if not isinstance(given, list):
        raise _wrong(name, "must be a list")
    return given


def _texts(given: Any) -> list[str]:
    return [one.strip() for one in given if isinstance(one, str) and one.strip()] if isinstance(given, list) else []


def _wrong(name: str, why: str) -> InvalidRequestError:
    return InvalidRequestError(f"{name} {why}", fields={name: why})
