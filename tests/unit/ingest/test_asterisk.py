"""What an Asterisk channel sends before its start, bounded."""

from __future__ import annotations

from bridge.ingest.asterisk import MOST_EARLY, MOST_EARLY_BYTES, AsteriskStream
from bridge.model.stream import MediaChunk, StreamStarted


def test_early_audio_is_bounded_by_its_messages() -> None:
    """So many are held; with the next it is what the address says, and all of it is there."""
    hearing = AsteriskStream({"format": "slin16"})
    for _ in range(MOST_EARLY):
        assert hearing.receive(b"\x01\x02") == []
    started, *chunks = hearing.receive(b"\x03\x04")
    assert isinstance(started, StreamStarted)
    assert started.media_format.sample_rate == 16_000
    assert [chunk.payload for chunk in chunks if isinstance(chunk, MediaChunk)] == [
        *[b"\x01\x02"] * MOST_EARLY,
        b"\x03\x04",
    ]


def test_early_audio_is_bounded_by_its_bytes() -> None:
    """As much as a message may hold adds up sooner."""
    hearing = AsteriskStream()
    message = bytes(65_500)
    for _ in range(MOST_EARLY_BYTES // len(message)):
        assert hearing.receive(message) == []
    assert len(hearing.receive(message)) == 2 + MOST_EARLY_BYTES // len(message)
