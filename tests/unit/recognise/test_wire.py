"""A job and its answer as bytes: what one side writes, the other reads."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from bridge.errors import EngineError
from bridge.ports import Decoded, DecodedWord, DecodeJob, Urgency
from bridge.recognise.wire import pack_decoded, pack_job, unpack_decoded, unpack_job

JOB = DecodeJob(
    samples=np.linspace(-1, 1, 16_000, dtype=np.float32),
    urgency=Urgency.SPECULATIVE,
    deadline=105.0,
    language="de",
    previous_text="vorher: \n„ja“",
    prefix_text="guten",
    known=4_000,
    keywords=("Straße", "A/B"),
    want_words=True,
    brisk=True,
    careful=True,
)


def test_a_job_comes_through_whole() -> None:
    """All that is asked; samples to 16 bits; the deadline on the other machine's clock."""
    read = unpack_job(pack_job(JOB, now=100.0), now=7.0)
    assert read.deadline == pytest.approx(12.0)
    assert np.abs(read.samples - JOB.samples).max() <= 1 / 32767
    assert read.samples.dtype == np.float32
    asked = {field.name for field in fields(DecodeJob)} - {"samples", "deadline"}
    usual = {field.name: field.default for field in fields(DecodeJob)}
    assert [name for name in asked if getattr(JOB, name) == usual[name]] == [], "says nothing"
    assert {name: getattr(read, name) for name in asked} == {name: getattr(JOB, name) for name in asked}


def test_samples_beyond_full_scale_do_not_wrap() -> None:
    """They are as loud as can be, on their own side."""
    loud = DecodeJob(samples=np.array([-3.0, 3.0], np.float32), urgency=Urgency.FINAL, deadline=0.0)
    assert unpack_job(pack_job(loud, 0.0), 0.0).samples.tolist() == [-1.0, 1.0]


def test_a_second_of_speech_is_32_kilobytes() -> None:
    """Half of what it is in memory."""
    assert len(pack_job(JOB, 0.0)) < 32_000 + 400


def test_an_answer_comes_through_whole() -> None:
    """Words with their places, and whether a space stands before them."""
    words = (
        DecodedWord(text="日本", start=0, end=800, probability=0.5, space=False),
        DecodedWord(text="ok", start=800, end=900, probability=1.0),
    )
    decoded = Decoded(
        text="日本 ok",
        language="ja",
        language_probability=0.9,
        average_log_probability=-0.25,
        no_speech_probability=0.125,
        words=words,
        retried=True,
    )
    assert unpack_decoded(pack_decoded(decoded)) == decoded


@pytest.mark.parametrize("data", [b"", b"{}\n", b"[1]\n\0\0", pack_job(JOB, 0.0)[:-1], b"\xff\n", b"null\n\0\0"])
def test_what_is_no_job(data: bytes) -> None:
    """It is refused in our words, not with a traceback."""
    with pytest.raises(EngineError):
        unpack_job(data, 0.0)


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"words": [[1]]}', b"\xff"])
def test_what_is_no_answer(data: bytes) -> None:
    """The same the other way."""
    with pytest.raises(EngineError):
        unpack_decoded(data)
