"""A decode job and its answer as bytes between a bridge and a recogniser elsewhere.

A job is one line of JSON, a newline, and 16-bit little-endian samples at 16 kHz: 32 kB a second. An answer is JSON.
Deadlines cross as seconds from now: clocks of two machines differ.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any, Final

import numpy as np

from bridge.errors import EngineError
from bridge.ports import Decoded, DecodedWord, DecodeJob, Urgency
from bridge.recognise.pcm import from_pcm, to_pcm

MOST_BYTES: Final = 4 * 1024 * 1024
"""Of a job: two minutes, four times the longest window."""


def pack_job(job: DecodeJob, now: float) -> bytes:
    """`now` is on the clock of the job's deadline."""
    asked = {
        "urgency": int(job.urgency),
        "due_in_s": job.deadline - now,
        "language": job.language,
        "previous_text": job.previous_text,
        "prefix_text": job.prefix_text,
        "known": job.known,
        "keywords": list(job.keywords),
        "want_words": job.want_words,
        "brisk": job.brisk,
        "careful": job.careful,
    }
    return b"\n".join((json.dumps(asked).encode(), to_pcm(job.samples).tobytes()))


def unpack_job(data: bytes, now: float) -> DecodeJob:
    """Raises EngineError for what `pack_job` never wrote."""
    head, _, pcm = data.partition(b"\n")
    try:
        asked: dict[str, Any] = json.loads(head)
        return DecodeJob(
            samples=from_pcm(np.frombuffer(pcm, "<i2")),
            urgency=Urgency(asked["urgency"]),
            deadline=now + float(asked["due_in_s"]),
            language=asked["language"],
            previous_text=asked["previous_text"],
            prefix_text=asked["prefix_text"],
            known=asked["known"],
            keywords=tuple(asked["keywords"]),
            want_words=asked["want_words"],
            brisk=asked["brisk"],
            careful=asked["careful"],
        )
    except (ValueError, LookupError, TypeError) as error:
        raise EngineError(f"not a decode job: {error!r}") from error


def pack_decoded(decoded: Decoded) -> bytes:
    words = [[w.text, w.start, w.end, w.probability, w.space] for w in decoded.words]
    return json.dumps({**asdict(decoded), "words": words}, ensure_ascii=False, separators=(",", ":")).encode()


def unpack_decoded(data: bytes) -> Decoded:
    """Raises EngineError for what `pack_decoded` never wrote."""
    try:
        fields: dict[str, Any] = json.loads(data)
        words = tuple(
            DecodedWord(text=text, start=start, end=end, probability=probability, space=space)
            for text, start, end, probability, space in fields.pop("words")
        )
        return Decoded(**fields, words=words)
    except (ValueError, LookupError, TypeError) as error:
        raise EngineError(f"not a decode's answer: {error!r}") from error
