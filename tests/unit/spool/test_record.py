"""What carriers say, as bytes and back."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from bridge.errors import SpoolError
from bridge.model.stream import (
    Discarded,
    DtmfDigit,
    Encoding,
    Leg,
    MarkReached,
    MediaChunk,
    MediaFormat,
    PlaybackHeld,
    StreamItem,
    StreamStarted,
    StreamStopped,
    TurnsChanged,
)
from bridge.spool.reading import NOT_OURS, read_blocks, read_header
from bridge.spool.record import Header, block, items_of, opening
from tests.tapes import payload_of

HEADER = Header(call_id="call-1", tenant="acme", started_at=1_800_000_000.25)

STARTED = StreamStarted(
    carrier="twilio",
    carrier_call_id="CA1",
    stream_id="MZ1",
    legs=(Leg.CALLER, Leg.AGENT),
    media_format=MediaFormat(encoding=Encoding.OPUS, sample_rate=48_000, channels=2),
    parameters={"language": "de", "metadata.Müller": "ja\u2028nein"},
)

ITEMS: list[StreamItem] = [
    STARTED,
    MediaChunk(leg=Leg.CALLER, payload=bytes(range(160)), sequence=1, timestamp_ms=20.5),
    MediaChunk(leg=Leg.AGENT, payload=b""),
    MediaChunk(leg=Leg.MIXED, payload=b"\0" * 320, sequence=2**53, timestamp_ms=0.0),
    Discarded(leg=Leg.CALLER, missing_ms=1500.0, reason="pause"),
    DtmfDigit(leg=Leg.CALLER, digit="#"),
    MarkReached(name="welcome"),
    PlaybackHeld(held=True),
    TurnsChanged(parameters={"eot_threshold": "0.8"}),
    StreamStopped(reason="hangup"),
]


def written(path: Path, *blocks: bytes) -> Path:
    path.write_bytes(opening(HEADER, STARTED) + b"".join(blocks))
    return path


@pytest.mark.parametrize("item", [pytest.param(item, id=type(item).__name__) for item in ITEMS])
def test_an_item_comes_back_as_it_was(item: StreamItem) -> None:
    """Every kind of item survives, alone and among others."""
    assert items_of(payload_of([item])) == [item]


def test_a_file_tells_whose_call_it_is_and_what_was_said(tmp_path: Path) -> None:
    """Header, then the blocks in the order they were written."""
    path = written(tmp_path / "a.tape", block(payload_of(ITEMS[:3])), block(payload_of(ITEMS[3:])))
    assert read_header(path) == HEADER
    assert list(read_blocks(path)) == [[STARTED], ITEMS[:3], ITEMS[3:]]


def test_a_torn_last_block_is_cut_wherever_it_tore(tmp_path: Path) -> None:
    """All before it is read, and nothing is raised, at every length that the last write may have reached."""
    whole = block(payload_of(ITEMS[:2]))
    last = block(payload_of(ITEMS[2:4]))
    for length in range(len(last)):
        path = written(tmp_path / "a.tape", whole, last[:length])
        assert list(read_blocks(path)) == [[STARTED], ITEMS[:2]]


def test_a_last_block_that_was_never_filled_is_cut(tmp_path: Path) -> None:
    """A power failure may leave the length of a write without its bytes."""
    whole = block(payload_of(ITEMS[:2]))
    last = block(payload_of(ITEMS[2:4]))
    path = written(tmp_path / "a.tape", whole, last[:8] + bytes(len(last) - 8))
    assert list(read_blocks(path)) == [[STARTED], ITEMS[:2]]


def test_damage_before_the_end_is_said_after_all_before_it(tmp_path: Path) -> None:
    """A flipped bit in the middle ends the reading there, with an error that names the file."""
    blocks = [block(payload_of([item])) for item in ITEMS[1:4]]
    spoilt = bytearray(blocks[1])
    spoilt[-1] ^= 1
    reading = read_blocks(written(tmp_path / "a.tape", blocks[0], bytes(spoilt), blocks[2]))
    assert [next(reading), next(reading)] == [[STARTED], [ITEMS[1]]]
    with pytest.raises(SpoolError, match=r"a\.tape"):
        next(reading)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"RIFF....WAVEfmt ", id="a-recording"),
        pytest.param(opening(HEADER, STARTED).replace(b"spool 1", b"spool 9"), id="another-version"),
        pytest.param(opening(HEADER, STARTED)[:40], id="torn-header"),
        pytest.param(opening(HEADER, STARTED)[:19] + block(b"[]"), id="a-list"),
        pytest.param(opening(HEADER, STARTED)[:19] + block(b"{}"), id="nobodys"),
        pytest.param(opening(HEADER, STARTED)[:19] + struct.pack("<II", 2**31, 0), id="absurd-length"),
    ],
)
def test_a_file_that_is_none_of_ours(tmp_path: Path, content: bytes) -> None:
    """It is refused by name."""
    path = tmp_path / "x.tape"
    path.write_bytes(content)
    with pytest.raises(SpoolError, match=r"x\.tape"):
        read_header(path)


@given(some.binary(max_size=300))
def test_any_bytes_end_in_a_documented_error_or_in_items(payload: bytes) -> None:
    """A payload whose checksum fits by chance can still not break the reader."""
    try:
        items = items_of(payload)
    except NOT_OURS:
        return
    assert isinstance(items, list)
