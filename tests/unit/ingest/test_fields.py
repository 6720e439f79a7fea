from __future__ import annotations

import pytest

from bridge.errors import CarrierProtocolError
from bridge.ingest.fields import MAX_NUMBER, base64_bytes, number, parameters, storable, whole


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (5, 5.0),
        (5.0, 5.0),
        ("5", 5.0),
        ("5.0", 5.0),
        (" 5 ", 5.0),
        (0, 0.0),
        (-1, None),
        ("-0.5", None),
        (MAX_NUMBER, MAX_NUMBER),
        (2**60, None),
        (10**400, None),
        (float("inf"), None),
        ("nan", None),
        ("five", None),
        ("", None),
        (True, None),
        (None, None),
        ([5], None),
    ],
    ids=repr,
)
def test_numbers_as_carriers_write_them(written: object, meant: float | None) -> None:
    """A number from zero up in any spelling; anything else is as good as left out."""
    assert number(written) == meant


def test_whole_numbers_are_rounded_down() -> None:
    """A chunk number with a fraction is still that chunk's."""
    assert [whole(written) for written in ("7.9", 7, "seven")] == [7, 7, None]


@pytest.mark.parametrize(
    "written", ["+/8=", "+/8", "-_8=", "-_8"], ids=["standard", "bare", "url-safe", "url-safe-bare"]
)
def test_base64_of_every_sort(written: str) -> None:
    """Both alphabets, with and without padding."""
    assert base64_bytes(written) == b"\xfb\xff"


@pytest.mark.parametrize("written", ["A", "AAAAA", "AA=A", "A A=", "AAAA\n", "Ä===", None, 5, b"AAAA"], ids=repr)
def test_what_is_not_base64(written: object) -> None:
    """White space, stray padding, impossible lengths and foreign letters are the carrier's fault."""
    assert base64_bytes("") == b""
    with pytest.raises(CarrierProtocolError):
        base64_bytes(written)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [("plain", "plain"), ("Grüße", "Grüße"), ("a\x00b", "ab"), ("\ud83d", "?"), ("tab\tand\nline", "tab\tand\nline")],
    ids=["ascii", "umlauts", "nul", "half-a-pair", "white-space"],
)
def test_text_that_can_be_kept(sent: str, kept: str) -> None:
    """What no database takes is taken out; the rest stays as it was."""
    assert storable(sent) == kept


def test_parameters_become_text() -> None:
    """Scalars as JSON writes them; what has parts, or is nothing, is left out; no mapping has none."""
    sent = {"a": "x", "b": 1, "c": 1.5, "d": False, "e": None, "f": [1], "g": {}}
    assert parameters(sent) == {"a": "x", "b": "1", "c": "1.5", "d": "false"}
    assert parameters([("a", "x")]) == {}
