"""RFC 4733 payloads."""

from __future__ import annotations

import pytest

from callcodecs.errors import MalformedPacketError
from callcodecs.telephone_event import TelephoneEvent


def test_the_reference_event() -> None:
    """media-streams.md §11: digit 5, end, volume 10, duration 1600."""
    event = TelephoneEvent(event=5, end=True, volume=10, duration=1_600)
    assert event.serialize() == bytes.fromhex("058a0640")
    assert TelephoneEvent.parse(bytes.fromhex("058a0640")) == event
    assert event.key == "5"


@pytest.mark.parametrize(("code", "key"), [(0, "0"), (10, "*"), (11, "#"), (15, "D"), (16, None), (255, None)])
def test_keys(code: int, key: str | None) -> None:
    """Sixteen codes are keys; a hook flash and the rest are not."""
    assert TelephoneEvent(event=code, end=False, volume=0, duration=0).key == key


def test_too_short() -> None:
    """Three bytes are no event."""
    with pytest.raises(MalformedPacketError, match="3 bytes"):
        TelephoneEvent.parse(b"\x05\x8a\x06")
