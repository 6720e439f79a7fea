"""RTCP goodbyes, good and broken."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcodecs.errors import MalformedPacketError
from callcodecs.rtcp import bye, goodbyes
from callcodecs.rtp import is_rtcp

REPORT = b"\x80\xc9\x00\x01\x00\x00\x00\x07"


def test_a_goodbye() -> None:
    """A report and the BYE of RFC 3550 §6.6, read back."""
    assert bye(0x01020304) == bytes.fromhex("80c90001 01020304 81cb0001 01020304".replace(" ", ""))
    assert goodbyes(bye(0x01020304)) == (0x01020304,)
    assert is_rtcp(bye(1))


@pytest.mark.parametrize(
    ("wire", "leaving"),
    [
        pytest.param(b"", (), id="nothing"),
        pytest.param(REPORT, (), id="a-report-alone"),
        pytest.param(b"\x80\xcb\x00\x00", (), id="nobody-leaves"),
        pytest.param(b"\x82\xcb\x00\x02\x00\x00\x00\x01\x00\x00\x00\x02", (1, 2), id="two"),
        pytest.param(b"\x81\xcb\x00\x03\x00\x00\x00\x01\x06moving\x00", (1,), id="with-a-reason"),
        pytest.param(REPORT + b"\x81\xcb\x00\x01\x00\x00\x00\x01" + REPORT, (1,), id="in-the-middle"),
    ],
)
def test_who_leaves(wire: bytes, leaving: tuple[int, ...]) -> None:
    """Every source of every BYE in the compound packet."""
    assert goodbyes(wire) == leaving


@pytest.mark.parametrize(
    ("wire", "fault"),
    [
        pytest.param(b"\x80\xc9\x00", "3 bytes", id="head-cut-off"),
        pytest.param(b"\x00\xcb\x00\x00", "version 0", id="version"),
        pytest.param(REPORT[:-1], "1 words", id="cut-off"),
        pytest.param(b"\x82\xcb\x00\x01\x00\x00\x00\x01", "2 sources", id="more-than-it-holds"),
    ],
)
def test_what_is_none(wire: bytes, fault: str) -> None:
    """Each wrong length is found before it is used, and named."""
    with pytest.raises(MalformedPacketError, match=fault):
        goodbyes(wire)


@given(st.binary(max_size=60))
def test_whatever_comes(wire: bytes) -> None:
    """Sources or the documented fault."""
    with suppress(MalformedPacketError):
        assert all(0 <= ssrc < 2**32 for ssrc in goodbyes(wire))
