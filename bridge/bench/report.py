"""A run's figures for people and for machines."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.table import Table

from bridge.bench.accuracy import Score
from bridge.bench.diarization import DiarizationErrors, OverlapFound
from bridge.bench.load import Load
from bridge.bench.measure import quantile
from bridge.bench.speakers import SpeakerScore

ROWS: Sequence[tuple[str, str, str]] = (
    ("calls", "calls", "d"),
    ("refused", "refused", "d"),
    ("final p50 / s", "final_p50_s", ".2f"),
    ("final p95 / s", "final_p95_s", ".2f"),
    ("final p99 / s", "final_p99_s", ".2f"),
    ("first partial p50 / s", "first_partial_p50_s", ".2f"),
    ("partials a speech second", "partials_per_speech_s", ".2f"),
    ("words taken back of 100 shown", "flicker_per_100", ".1f"),
    ("stable words taken back", "broken_promises", "d"),
    ("word error rate, live", "wer_live", ".2%"),
    ("word error rate, settled", "wer_settled", ".2%"),
    ("utterances without a final", "missing", "d"),
    ("words lost at the end", "lost_at_end", "d"),
    ("CPU s a speech s, live", "cpu_per_speech_s", ".3f"),
    ("CPU s a speech s, settling too", "cpu_per_speech_s_settled", ".3f"),
    ("memory / MB", "memory_mb", ".0f"),
    ("memory grown in the second half / MB", "memory_growth_mb", "+.0f"),
    ("event loop lag p99 / ms", "loop_lag_p99_ms", ".1f"),
    ("sent late by at most / s", "behind_s", ".2f"),
)
"""What people read, its name in the JSON, and its format."""


def figures_of(load: Load) -> dict[str, Any]:
    """The run as JSON values; None where there was nothing to measure."""
    got = load.figures
    speech = got.speech_s or math.nan
    values: dict[str, float] = {
        "calls": got.calls,
        "refused": load.refused,
        "final_p50_s": quantile(got.finals_s, 0.5),
        "final_p95_s": quantile(got.finals_s, 0.95),
        "final_p99_s": quantile(got.finals_s, 0.99),
        "first_partial_p50_s": quantile(got.first_partials_s, 0.5),
        "partials_per_speech_s": got.partials / speech,
        "flicker_per_100": 100 * got.taken_back / got.shown if got.shown else math.nan,
        "broken_promises": got.broken_promises,
        "wer_live": got.live.rate,
        "wer_settled": got.settled.rate,
        "missing": got.missing,
        "lost_at_end": got.lost_at_end,
        "speech_s": got.speech_s,
        "audio_s": got.audio_s,
        "words": got.live.words,
        "cpu_per_speech_s": load.cpu_s / speech,
        "cpu_per_speech_s_settled": (load.cpu_s + load.settling_cpu_s) / speech,
        "memory_mb": load.memory_mb,
        "memory_growth_mb": load.memory_growth_mb,
        "loop_lag_p99_ms": load.loop_lag_p99_ms,
        "behind_s": load.behind_s,
    }
    known = {name: None if math.isnan(value) else value for name, value in values.items()}
    return {**known, "engine": load.engine}


def table_of(runs: Sequence[Mapping[str, Any]]) -> Table:
    """One column a run."""
    table = Table(title="live calls on this machine", title_justify="left")
    table.add_column("")
    for run in runs:
        table.add_column(str(run["calls"]), justify="right")
    for label, name, form in ROWS:
        table.add_row(label, *("–" if run[name] is None else format(run[name], form) for run in runs))
    return table


def accuracy_of(scores: Mapping[str, Score]) -> dict[str, dict[str, Any]]:
    """Scores as JSON values, by kind of recording."""
    return {
        kind: {
            "recordings": score.recordings,
            "seconds": round(score.seconds, 1),
            "words": score.live.words,
            "wer_live": score.live.rate if score.live.words else None,
            "wer_settled": score.settled.rate if score.settled.words else None,
            "wer_offline": score.offline.rate if score.offline.words else None,
            "invented": score.invented,
        }
        for kind, score in sorted(scores.items())
    }


def accuracy_table(rows: Mapping[str, Mapping[str, Any]]) -> Table:
    """One row a kind of recording."""
    table = Table(title="word error rates through an 8 kHz μ-law line", title_justify="left")
    for name in ("", "recordings", "words", "live", "settled", "faster-whisper, beam 5", "words invented"):
        table.add_column(name, justify="right" if name else "left")
    for kind, row in rows.items():
        rates = (
            "–" if row[name] is None else f"{row[name]:.2%}" for name in ("wer_live", "wer_settled", "wer_offline")
        )
        table.add_row(kind, str(row["recordings"]), str(row["words"]), *rates, str(row["invented"]))
    return table


SPEAKER_RATES: Final = (
    "live",
    "whole",
    "missed",
    "false_alarm",
    "confused",
    "without_overlap",
    "overlap_recall",
    "overlap_precision",
    "cpu",
)


def speakers_of(scores: Sequence[SpeakerScore]) -> list[dict[str, Any]]:
    """Scores as JSON values, a recording each and all together; rates are None where nothing was scored."""
    return [_speakers_row(score) for score in (*scores, _together(scores))]


def speakers_table(scores: Sequence[SpeakerScore]) -> Table:
    """One row a recording, one for all."""
    table = Table(title="diarization error rates, collar 0.25 s, overlap scored", title_justify="left")
    for name in (
        "",
        "seconds",
        "speakers",
        "found",
        "live",
        "whole",
        "missed",
        "false",
        "confused",
        "no overlap",
        "overlaps",
        "right",
        "CPU",
    ):
        table.add_column(name, justify="right" if name else "left")
    for row in speakers_of(scores):
        rates = (row[name] for name in SPEAKER_RATES)
        shown = ("–" if rate is None else f"{rate:.1%}" for rate in rates)
        table.add_row(row["name"], f"{row['seconds']:.0f}", str(row["speakers"]), str(row["found"]), *shown)
    return table


def _speakers_row(score: SpeakerScore) -> dict[str, Any]:
    whole = score.whole
    return {
        "name": score.name,
        "seconds": round(score.seconds, 1),
        "speakers": score.speakers,
        "found": score.found,
        "live": _known(score.live.rate),
        "whole": _known(whole.rate),
        "missed": _known(whole.missed / (whole.spoken or math.nan)),
        "false_alarm": _known(whole.false_alarm / (whole.spoken or math.nan)),
        "confused": _known(whole.confused / (whole.spoken or math.nan)),
        "without_overlap": _known(score.without_overlap.rate),
        "overlap_recall": _known(score.overlap.recall),
        "overlap_precision": _known(score.overlap.precision),
        "cpu": score.cpu_s / score.seconds if score.cpu_s else None,
    }


def _together(scores: Sequence[SpeakerScore]) -> SpeakerScore:
    nothing = DiarizationErrors()
    return SpeakerScore(
        name="all",
        seconds=sum(score.seconds for score in scores),
        speakers=sum(score.speakers for score in scores),
        found=sum(score.found for score in scores),
        live=sum((score.live for score in scores), nothing),
        whole=sum((score.whole for score in scores), nothing),
        without_overlap=sum((score.without_overlap for score in scores), nothing),
        overlap=sum((score.overlap for score in scores), OverlapFound()),
        cpu_s=sum(score.cpu_s for score in scores),
    )


def _known(rate: float) -> float | None:
    return None if math.isnan(rate) else rate
