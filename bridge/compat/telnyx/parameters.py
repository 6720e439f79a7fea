"""What a client asks for in Telnyx's query: engine, format, language. Each fault has Telnyx's code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from multidict import MultiMapping

from bridge.compat.asking import language, listed, whole
from bridge.compat.container import FORMATS, ContainerSound
from bridge.compat.sound import ENCODINGS, RawSound, Sound
from bridge.compat.telnyx.faults import ParameterError
from bridge.errors import InvalidRequestError

ENGINES: Final = frozenset(
    [
        "assemblyai",
        "azure",
        "cohere",
        "deepgram",
        "google",
        "humain",
        "openai",
        "parakeet",
        "reson8",
        "soniox",
        "speechmatics",
        "telnyx",
        "xai",
    ]
)
"""Those that Telnyx resells, in lower case: whichever is named, ours answers."""

CONTAINERS: Final = frozenset(["mp3", "wav", "webm", "ogg", "flac", "ogg_opus", "webm_opus", "amr_nb", "amr_wb"])
UNDECODED: Final = frozenset({"g729", "speex"})
"""Formats of Telnyx's that no engine here reads."""

LOWEST_RATE: Final = 4000
HIGHEST_RATE: Final = 192_000
LONGEST_NUMBER: Final = 20
"""Digits. Python reads no more than 4,300 of them."""


def check_engine(query: MultiMapping[str]) -> None:
    """Raises ParameterError."""
    name = query.get("transcription_engine", "Deepgram")
    if name.lower() not in ENGINES:
        raise ParameterError("40007", "transcription_engine", f"transcription_engine {name[:32]!r} is not known")


def sound(query: MultiMapping[str]) -> Sound:
    """Raises ParameterError, InvalidRequestError, UnsupportedMediaError."""
    name = query.get("input_format", query.get("encoding", "mp3")).lower()
    if name in CONTAINERS and name in FORMATS:
        return ContainerSound(name)
    if name in UNDECODED:
        raise ParameterError("40002", "input_format", f"input_format {name!r} is not decoded here")
    if name not in ENCODINGS:
        known = ", ".join(sorted(CONTAINERS | set(ENCODINGS)))
        raise ParameterError("40001", "input_format", f"input_format must be one of {known}")
    return RawSound(name, _rate(query, name), channels=whole(query, "channels", 1, least=1, most=2))


def _rate(query: MultiMapping[str], name: str) -> int:
    given = query.get("sample_rate")
    if given is None:
        if name == "opus":
            return 48_000
        raise ParameterError("40003", "sample_rate", f"sample_rate is needed with input_format {name!r}")
    if not (given.isascii() and given.isdigit() and given.strip("0")):
        raise ParameterError("40004", "sample_rate", "sample_rate must be a positive integer")
    if len(given) > LONGEST_NUMBER or not LOWEST_RATE <= int(given) <= HIGHEST_RATE:
        raise ParameterError("40005", "sample_rate", f"sample_rate must be from {LOWEST_RATE} to {HIGHEST_RATE}")
    return int(given)


def parameters(query: MultiMapping[str], model: str) -> Mapping[str, str]:
    """Raises ParameterError, InvalidRequestError."""
    words = [word.partition(":")[0] for word in listed(query, "keywords", "keyterm", commas=True)]
    found = {"keywords": ",".join(words)}
    try:
        code = language(query, model, default="en-US")
    except InvalidRequestError as error:
        raise ParameterError("40000", "language", error.message) from None
    if code is not None:
        found["language"] = code
    endpointing = query.get("endpointing", "").lower()
    if endpointing not in {"", "true", "false"}:
        found["endpointing_ms"] = str(whole(query, "endpointing", 0, least=0, most=60_000))
    return found
