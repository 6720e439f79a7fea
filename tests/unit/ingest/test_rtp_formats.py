"""Encodings as SDP names them."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import UnsupportedMediaError
from bridge.ingest.rtp_formats import Audio, Signal, payload_of


@pytest.mark.parametrize(
    ("name", "encoding", "sample_rate", "clock_rate"),
    [
        ("PCMU", "PCMU", 8000, 8000),
        ("pcma/8000/1", "PCMA", 8000, 8000),
        ("G722/8000", "G722", 16000, 8000),
        ("L16", "L16BE", 16000, 16000),
        ("L16/44100/1", "L16BE", 44100, 44100),
        ("opus/48000/2", "OPUS", 48000, 48000),
    ],
)
def test_speech(name: str, encoding: str, sample_rate: int, clock_rate: int) -> None:
    """L16 is big-endian on this wire, and G.722's clock is not its rate."""
    found = payload_of(name)
    assert isinstance(found, Audio)
    assert (found.media_format.encoding, found.media_format.sample_rate) == (encoding, sample_rate)
    assert found.clock_rate == clock_rate


def test_signals() -> None:
    """They are told from speech, at any clock."""
    assert payload_of("telephone-event/8000") is payload_of("telephone-event/48000") is Signal.KEYS
    assert payload_of("CN") is Signal.NOISE


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        pytest.param("", "is not like PCMU/8000", id="empty"),
        pytest.param("G729/8000", "G729 is not one of", id="G729"),
        pytest.param("L16/16000/2", "2 channels", id="stereo"),
        pytest.param("PCMU/44100", "at 44100 Hz", id="rate"),
        pytest.param("PCMU/8000/1/1", "is not like", id="too-much"),
    ],
)
def test_what_is_not_understood(name: str, fault: str) -> None:
    """It is refused by name."""
    with pytest.raises(UnsupportedMediaError, match=fault):
        payload_of(name)


@given(st.text(max_size=30))
def test_whatever_is_said(name: str) -> None:
    """A payload or the documented fault."""
    with suppress(UnsupportedMediaError):
        assert isinstance(payload_of(name), Audio | Signal)
