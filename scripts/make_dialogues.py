"""Make dialogues of recordings of one person each, with RTTM: speakers on voices other than the dev recordings'.

`.venv/bin/python -m scripts.make_dialogues RECORDINGS OUT`, then `callbridge bench speakers --audio OUT`. RECORDINGS
has a `manifest.jsonl`: `id`, `file` (or `file_8k`), `kind`, `speakers`. Who speaks is cut out by loudness, made as loud
as all others, and put in turn with pauses; and every voice that has enough to say speaks once alone.
"""

from __future__ import annotations

import json
import sys
import wave
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, zip_longest
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import soxr

from bridge.carrier.audio import read_call

Pcm = npt.NDArray[np.float64]

RATE: Final = 8
"""Samples a ms."""

SILENT_DB: Final = -38.0
SAME_STRETCH_MS: Final = 300
"""A pause in speech that is none."""
MARGIN_MS: Final = 50

LOUDNESS: Final = 2_500.0
HISS: Final = 8.0
PAUSE_MS: Final = (200, 900)
MOST_TURNS: Final = 16
MOST_ALONE: Final = 14
MOST_PAIRS: Final = 24
MOST_PROMPTS: Final = 8
SHORTEST_PROMPT_S: Final = 1.5
CUT_MS: Final = (2_500, 5_000)
"""A long reading is cut where it is quietest."""

READERS: Final = (
    "read-jfk",
    "read-mfa-acoustic-corpus",
    "read-libri-2412-153948-0000",
    "read-moonshine-beckett",
    "watson-en-GB_Narrowband_sample2",
    "watson-de-DE_NarrowbandModel_sample2",
)


@dataclass(frozen=True, slots=True)
class Turn:
    """One after the other."""

    speaker: str
    samples: Pcm


Voices = dict[str, dict[str, list[Pcm]]]
"""Of each group, of each person."""


def main(recordings: Path, out: Path) -> None:
    """Writes NAME.wav and NAME.rttm."""
    out.mkdir(parents=True, exist_ok=True)
    voices = _voices(recordings)
    random = np.random.default_rng(7)
    for group, people in voices.items():
        for number, pair in enumerate(_pairs(group, list(people), random)):
            turns = _in_turn(*((who, _some(group, people[who], random)) for who in pair))
            _write(out, f"{group}-{number:02}", turns[:MOST_TURNS], seed=number)
        if group != "acted":
            for who, said in people.items():
                _write(out, f"alone-{group}-{who}", [Turn(who, one) for one in said[:MOST_ALONE]], seed=99)


def _voices(folder: Path) -> Voices:
    found: Voices = defaultdict(lambda: defaultdict(list))
    rows = [json.loads(line) for line in (folder / "manifest.jsonl").read_text("utf-8").splitlines()]
    for row in rows:
        if (group := _group(row)) is not None:
            found[group][row["speakers"][0].replace(" ", "_")].append(_trimmed(_read(folder, row)))
    by_id = {row["id"]: row for row in rows}
    for name in READERS:
        found["readers"][name] = _pieces(_trimmed(_read(folder, by_id[name])))
    return found


def _group(row: dict[str, Any]) -> str | None:
    """None for what has another speaker's voice, or a voice twice."""
    if row["kind"] == "emotion":
        return "acted"
    if row["id"].startswith("digits-"):
        return "digits"
    spanish = row["id"].startswith("ast-es")  # of the English voice
    return "prompts" if row["kind"] == "prompt" and row["duration_s"] >= SHORTEST_PROMPT_S and not spanish else None


def _pairs(group: str, people: Sequence[str], random: np.random.Generator) -> list[tuple[str, str]]:
    pairs = list(combinations(people, 2))
    return [pairs[at] for at in random.permutation(len(pairs))[:MOST_PAIRS]] if group == "acted" else pairs


def _some(group: str, said: list[Pcm], random: np.random.Generator) -> list[Pcm]:
    return [said[at] for at in random.permutation(len(said))[:MOST_PROMPTS]] if group == "prompts" else said


def _in_turn(*people: tuple[str, list[Pcm]]) -> list[Turn]:
    (one, first), (other, second) = people
    return [
        Turn(who, samples)
        for pair in zip_longest(first, second)
        for who, samples in zip((one, other), pair, strict=True)
        if samples is not None
    ]


def _read(folder: Path, row: dict[str, Any]) -> Pcm:
    audio = read_call(folder / (row.get("file_8k") or row["file"]))
    mixed = np.mean([samples.astype(np.float64) for samples in audio.legs.values()], axis=0)
    at_rate: Pcm = soxr.resample(mixed, audio.sample_rate, 1000 * RATE)
    return at_rate if audio.sample_rate != 1000 * RATE else mixed


def _loud(samples: Pcm) -> list[tuple[int, int]]:
    """Where somebody speaks, in ms."""
    frame = 10 * RATE
    power = np.mean(samples[: len(samples) // frame * frame].reshape(-1, frame) ** 2, axis=1)
    loud = (power > max(power.max() * 10 ** (SILENT_DB / 10), 1)).astype(int)
    edges = np.flatnonzero(np.diff(loud, prepend=0, append=0)) * 10
    spans: list[tuple[int, int]] = []
    for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if spans and start - spans[-1][1] < SAME_STRETCH_MS:
            start = spans.pop()[0]  # noqa: PLW2901  # it goes on
        spans.append((start, end))
    return [(start, end) for start, end in spans if end - start >= 80]


def _trimmed(samples: Pcm) -> Pcm:
    spans = _loud(samples)
    return samples[max(0, spans[0][0] - MARGIN_MS) * RATE : (spans[-1][1] + MARGIN_MS) * RATE]


def _pieces(samples: Pcm) -> list[Pcm]:
    shortest, longest = (ms * RATE for ms in CUT_MS)
    look = 100 * RATE
    found, begin = [], 0
    while len(samples) - begin > longest:
        places = range(begin + shortest, begin + longest - look, 10 * RATE)
        cut = min(places, key=lambda at: float(np.sum(samples[at : at + look] ** 2))) + look // 2
        found.append(samples[begin:cut])
        begin = cut
    return [piece for piece in (*found, samples[begin:]) if len(piece) > 1000 * RATE]


def _as_loud(samples: Pcm) -> Pcm:
    spoken = np.concatenate([samples[start * RATE : end * RATE] for start, end in _loud(samples)])
    return samples * (LOUDNESS / np.sqrt(np.mean(spoken**2)))


def _write(out: Path, name: str, turns: Sequence[Turn], *, seed: int) -> None:
    random = np.random.default_rng(seed)
    row, lines = [np.zeros(500 * RATE)], []
    at = 500 * RATE
    for turn in turns:
        samples = _as_loud(turn.samples)
        lines += list(_lines(name, turn.speaker, samples, at))
        pause = int(random.integers(*PAUSE_MS)) * RATE
        row += [samples, np.zeros(pause)]
        at += len(samples) + pause
    noisy = np.concatenate(row) + random.normal(0, HISS, at)
    with wave.open(str(out / f"{name}.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(1000 * RATE)
        file.writeframes(np.clip(noisy, -32767, 32767).astype("<i2").tobytes())
    (out / f"{name}.rttm").write_text("".join(lines), "utf-8")


def _lines(name: str, speaker: str, samples: Pcm, at: int) -> Iterator[str]:
    for start, end in _loud(samples):
        begin_s = (at / RATE + start) / 1000
        yield f"SPEAKER {name} 1 {begin_s:.3f} {(end - start) / 1000:.3f} <NA> <NA> {speaker} <NA> <NA>\n"


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
