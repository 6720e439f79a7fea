"""Recorded calls with their references: what was said, by whom, and when it truly began and ended."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bridge.carrier.audio import CallAudio, read_call
from bridge.errors import InvalidRequestError
from bridge.model.stream import Leg

MANIFEST: Final = "manifest.jsonl"
NO_SPEECH: Final = frozenset({"music", "noise"})
"""Kinds of recording on which every word is invented."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpokenWord:
    """A reference word. Times in ms since the leg's first sample."""

    word: str
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """One stretch of speech of one person. Times in ms since the leg's first sample."""

    leg: Leg
    start_ms: int
    end_ms: int
    text: str | None
    """None: somebody speaks here, and nobody has written down what."""
    words: tuple[SpokenWord, ...] = ()
    """Empty where the times of the words are not known."""
    speaker: str | None = None
    cut_word: str | None = None
    """The word in whose middle the recording ends; no part of `text`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchCall:
    """A recording and what is known about it."""

    id: str
    kind: str
    """`call`, `prompt`, `read`, `music`, `noise` …"""
    language: str
    audio: CallAudio
    texts: Mapping[Leg, str | None]
    """All that a leg says; "" when nothing should be transcribed, None when there is no reference."""
    utterances: tuple[Utterance, ...] = ()
    """By start. Empty where only the text is known."""

    @property
    def duration_ms(self) -> int:
        length = max(len(samples) for samples in self.audio.legs.values())
        return length * 1000 // self.audio.sample_rate


def read_fixture(wav: Path) -> BenchCall:
    """A call of the project's own with its reference, the .json beside it.

    Raises InvalidRequestError when either cannot be read.
    """
    reference = _object(wav.with_suffix(".json"))
    audio = read_call(wav)
    try:
        legs = [Leg(name) for name in reference["legs"]]
        utterances = tuple(_utterance(told) for told in reference["utterances"])
        if list(audio.legs) != legs:
            raise InvalidRequestError(f"{wav}: {len(audio.legs)} channels, but legs {', '.join(legs)}")
        return BenchCall(
            id=reference["id"],
            kind="call" if utterances else "noise",
            language=reference["language"],
            audio=audio,
            texts={leg: " ".join(said.text or "" for said in utterances if said.leg == leg) for leg in legs},
            utterances=utterances,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidRequestError(f"{wav.with_suffix('.json')}: no reference of a call ({error!r})") from None


def read_folder(folder: Path, *, kinds: Iterable[str] = (), language: str = "") -> Iterator[BenchCall]:
    """The calls of a folder, one after the other, only `kinds` and languages beginning with `language` if given.

    With a `manifest.jsonl` those it lists; otherwise every WAV file, with the reference beside it: a .json as in the
    project's own fixtures, or a .txt with the words. Raises InvalidRequestError for a folder without audio, and for a
    reference that cannot be read.
    """
    wanted = frozenset(kinds)
    manifest = folder / MANIFEST
    if manifest.is_file():
        for line in manifest.read_text("utf-8").splitlines():
            row = json.loads(line)
            if (not wanted or row["kind"] in wanted) and row["language"].startswith(language):
                yield _listed(folder, row)
        return
    files = sorted(folder.glob("*.wav"))
    if not files:
        raise InvalidRequestError(f"{folder}: neither {MANIFEST} nor any .wav file")
    for wav in files:
        call = read_fixture(wav) if wav.with_suffix(".json").is_file() else _plain(wav)
        if (not wanted or call.kind in wanted) and call.language.startswith(language):
            yield call


def _plain(wav: Path) -> BenchCall:
    audio = read_call(wav)
    notes = wav.with_suffix(".txt")
    text = notes.read_text("utf-8").strip() if notes.is_file() else None
    legs = list(audio.legs)
    if text is not None and len(legs) > 1:
        raise InvalidRequestError(f"{notes}: which leg says it? {wav.name} has {len(legs)}; write a .json")
    return BenchCall(id=wav.stem, kind="call", language="en", audio=audio, texts=dict.fromkeys(legs, text))


def _listed(folder: Path, row: Mapping[str, Any]) -> BenchCall:
    """A row of a manifest. A mono recording, even of two people, is what a carrier sends as the caller's leg."""
    audio = read_call(folder / row.get("file_8k", row["file"]))
    legs = list(audio.legs)
    if len(legs) != len(row["channels"]):
        raise InvalidRequestError(f"{row['file']}: {len(legs)} channels, but the manifest has {len(row['channels'])}")
    of_role = {channel["role"]: leg for leg, channel in zip(legs, row["channels"], strict=True)}
    turns = row.get("turns") or (_rttm(folder / row["rttm"]) if row.get("rttm") else [])
    utterances = [
        Utterance(
            leg=of_role.get(turn["speaker"], legs[0]),
            start_ms=round(turn["start"] * 1000),
            end_ms=round(turn["end"] * 1000),
            text=turn.get("text"),
            speaker=turn["speaker"],
        )
        for turn in turns
    ]
    return BenchCall(
        id=row["id"],
        kind=row["kind"],
        language=row["language"],
        audio=audio,
        texts={leg: channel["transcript"] for leg, channel in zip(legs, row["channels"], strict=True)},
        utterances=tuple(sorted(utterances, key=lambda said: said.start_ms)),
    )


def _rttm(path: Path) -> Sequence[Mapping[str, Any]]:
    """NIST RTTM: `SPEAKER file channel onset duration <NA> <NA> name …`, in seconds."""
    rows = [line.split() for line in path.read_text("utf-8").splitlines() if line.startswith("SPEAKER ")]
    return [{"start": float(row[3]), "end": float(row[3]) + float(row[4]), "speaker": row[7]} for row in rows]


def _utterance(told: Mapping[str, Any]) -> Utterance:
    return Utterance(
        leg=Leg(told["leg"]),
        start_ms=told["start_ms"],
        end_ms=told["end_ms"],
        text=told["text"],
        words=tuple(SpokenWord(**word) for word in told.get("words", [])),
        speaker=told.get("speaker"),
        cut_word=told.get("cut_word"),
    )


def _object(path: Path) -> Mapping[str, Any]:
    try:
        told = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidRequestError(f"{path}: no reference of a call ({error})") from None
    if not isinstance(told, dict):
        raise InvalidRequestError(f"{path}: no reference of a call (not an object)")
    return told
