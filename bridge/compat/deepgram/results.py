"""A recording's words as `/v1/listen` tells them: channels, utterances, paragraphs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

from multidict import MultiMapping

from bridge.compat.asking import flag, listed
from bridge.compat.deepgram.wording import ENDS, Wording, language, model_info, model_uuid
from bridge.compat.recorded import Transcribed
from bridge.errors import InvalidRequestError
from bridge.model.stream import Leg
from bridge.model.words import Segment

UTTERANCE_GAP_S: Final = 0.8


FLAGS: Final = (
    *("punctuate", "smart_format", "paragraphs", "diarize", "multichannel", "utterances"),
    *("language", "detect_language", "utt_split", "tag"),
)
"""What an answer's form depends on."""


def check_asked(query: MultiMapping[str]) -> None:
    """Before anything is heard. Raises InvalidRequestError."""
    Wording.of(query)
    for name in ("multichannel", "utterances"):
        flag(query, name)
    _gap_s(query)


def results_of(
    done: Transcribed, query: MultiMapping[str], model: str, *, request_id: str, sha256: str = ""
) -> dict[str, Any]:
    """Raises InvalidRequestError."""
    wording = Wording.of(query)
    apart = flag(query, "multichannel")
    legs = done.legs if apart else (None,)
    spoken = [_of(done.segments, leg) for leg in legs]
    results: dict[str, Any] = {"channels": [_channel(said, query, wording) for said in spoken]}
    if flag(query, "utterances"):
        results["utterances"] = _utterances(spoken, query, wording)
    uuid = model_uuid(model)
    return {
        "metadata": {
            "transaction_key": "deprecated",
            "request_id": request_id,
            "sha256": sha256,
            "created": done.created,
            "duration": done.seconds,
            "channels": len(done.legs),
            "models": [uuid],
            "model_info": {uuid: model_info(model)},
            **({"tags": listed(query, "tag")} if "tag" in query else {}),
        },
        "results": results,
    }


def _of(segments: Sequence[Segment], leg: Leg | None) -> list[Segment]:
    return [segment for segment in segments if leg in {None, segment.leg}]


def _channel(said: Sequence[Segment], query: MultiMapping[str], wording: Wording) -> dict[str, Any]:
    alternative = wording.alternative(said)
    if flag(query, "paragraphs") or flag(query, "smart_format"):
        alternative["paragraphs"] = _paragraphs(said)
    channel: dict[str, Any] = {"alternatives": [alternative]}
    if language(query) is None and said:
        spoken = [segment.language for segment in said]
        channel["detected_language"] = max(spoken, key=spoken.count)
    return channel


def _utterances(
    spoken: Sequence[Sequence[Segment]], query: MultiMapping[str], wording: Wording
) -> list[dict[str, Any]]:
    gap_s = _gap_s(query)
    told = [
        {
            "start": run[0].start_ms / 1000,
            "end": run[-1].end_ms / 1000,
            "channel": channel,
            **wording.alternative(run),
            "id": f"{channel}-{run[0].leg.value}-{run[0].segment}",
        }
        for channel, said in enumerate(spoken)
        for run in _runs(said, gap_s)
    ]
    return sorted(told, key=lambda utterance: (utterance["start"], utterance["channel"]))


def _gap_s(query: MultiMapping[str]) -> float:
    try:
        gap_s = float(query.get("utt_split", UTTERANCE_GAP_S))
    except ValueError:
        gap_s = -1
    if not 0 <= gap_s <= 60:
        raise InvalidRequestError("utt_split must be a number of seconds")
    return gap_s


def _runs(said: Sequence[Segment], gap_s: float) -> list[list[Segment]]:
    """What one party says without a silence of `gap_s`."""
    runs: list[list[Segment]] = []
    for segment in said:
        last = runs[-1][-1] if runs else None
        if last is not None and last.leg is segment.leg and segment.start_ms - last.end_ms < 1000 * gap_s:
            runs[-1].append(segment)
        else:
            runs.append([segment])
    return runs


def _paragraphs(said: Sequence[Segment]) -> dict[str, Any]:
    runs = _runs(said, UTTERANCE_GAP_S)
    sentences = [_sentences(run) for run in runs]
    transcript = "\n\n".join(" ".join(sentence["text"] for sentence in one) for one in sentences)
    return {
        "transcript": f"\n{transcript}" if transcript else "",
        "paragraphs": [
            {
                "sentences": one,
                "num_words": sum(len(segment.words) for segment in run),
                "start": run[0].start_ms / 1000,
                "end": run[-1].end_ms / 1000,
            }
            for run, one in zip(runs, sentences, strict=True)
        ],
    }


def _sentences(run: Sequence[Segment]) -> list[dict[str, Any]]:
    words = [word for segment in run for word in segment.words]
    ends = [n for n, word in enumerate(words, 1) if word.word.endswith(ENDS) or n == len(words)]
    return [
        {
            "text": " ".join(word.word for word in words[begin:end]),
            "start": words[begin].start_ms / 1000,
            "end": words[end - 1].end_ms / 1000,
        }
        for begin, end in pairwise([0, *ends])
    ]
