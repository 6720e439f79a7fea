"""Good inputs, disfigured: bytes, text, JSON and addresses, by a seeded chance."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, Final, TypeVar

T = TypeVar("T")

DEEP: Final = 1200
"""Brackets that no reader of JSON or TOML goes into."""


def nested(depth: int) -> list[Any]:
    """A list in a list, and so on: what can be read, but not by going into it name by name."""
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


NASTY_TEXTS: Final = (
    "", " ", "0", "-1", "1e999", "NaN", "null", "true", "\0", "\ud800", "\udcff", "’", "\u202e", "İ", "𝐀", "%00", "%", "..", "/",
    "2" * 20, "9" * 5000, "a" * 5000, "[" * DEEP, '{"":' * DEEP, "'", '"', "{", "audio/x-l16", "L16", "PCMU", "inbound", "start", "stop", "\r\n", ";",
    "2026-02-30T00:00:00Z", "9999-12-31T23:59:59.999999+23:59", "0001-01-01T00:00:00-23:59", "١٢", "²",
)  # fmt: skip
NASTY_VALUES: Final[tuple[Any, ...]] = (
    None, True, False, 0, -1, 1, 2**31, 2**53 + 1, 2**63, 10**400, 0.5, -0.0, 1e308, float("inf"), float("-inf"), float("nan"),
    [], {}, [[]], [None], {"": ""}, {"event": "media"}, [0, 1e999], nested(400),
)  # fmt: skip
NASTY_BYTES: Final = (
    b"",
    b"\0",
    b"\xff",
    b"\xff" * 4,
    b"\0" * 8,
    b"\x80",
    b"\x7f\xff\xff\xff",
    b"RIFF",
    b"[" * DEEP,
    b"\r\n",
    b"\xed\xa0\x80",
)


class Mutation:
    """One input's chances. The same seed disfigures in the same way."""

    def __init__(self, seed: str) -> None:
        self._random = Random(seed)  # noqa: S311  # to be repeated, not to be kept secret

    def one_of(self, values: Sequence[T]) -> T:
        return self._random.choice(values)

    def chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def upto(self, most: int) -> int:
        """0 to `most`, mostly little."""
        return int(most * self._random.random() ** 2)

    def between(self, least: int, most: int) -> int:
        return self._random.randint(least, most)

    def raw(self, value: bytes) -> bytes:
        """Some bytes of it changed, left out, doubled, put elsewhere, or cut off."""
        found = bytearray(value)
        for _ in range(self.between(1, 4)):
            at = self._random.randrange(len(found) + 1)
            width = 1 + self.upto(16)
            match self._random.randrange(6):
                case 0 if found:
                    found[at % len(found)] ^= 1 << self._random.randrange(8)
                case 1:
                    del found[at : at + width]
                case 2:
                    found[at:at] = found[at : at + width]
                case 3:
                    found[at : at + self.upto(8)] = self.one_of(NASTY_BYTES)
                case 4:
                    found[at : at + width] = self._random.randbytes(width)
                case _ if self.chance(0.3):
                    del found[at:]
        return bytes(found)

    def text(self, value: str) -> str:
        """As `raw`, in characters."""
        found = value
        for _ in range(self.between(1, 3)):
            at = self._random.randrange(len(found) + 1)
            behind = at + self.upto(12)
            match self._random.randrange(5):
                case 0:
                    found = found[:at] + found[behind:]
                case 1:
                    found = found[:at] + found[at:behind] + found[at:]
                case 2:
                    found = found[:at] + self.one_of(NASTY_TEXTS) + found[behind:]
                case 3:
                    found = (
                        found[:at]
                        + chr(self.one_of((self._random.randrange(128), self._random.randrange(0x3000))))
                        + found[at + 1 :]
                    )
                case _ if self.chance(0.2):
                    found = self.one_of(NASTY_TEXTS)
        return found

    def value(self, value: Any) -> Any:  # noqa: PLR0911  # a table, as a match
        """A JSON value with one of its parts replaced, renamed, left out, doubled, or turned into another type."""
        if isinstance(value, dict) and value and self.chance(0.85):
            name = self.one_of(list(value))
            match self._random.randrange(8):
                case 0:
                    return {key: part for key, part in value.items() if key != name}
                case 1:
                    return {self.text(key) if key == name else key: part for key, part in value.items()}
                case _:
                    return {key: self.value(part) if key == name else part for key, part in value.items()}
        if isinstance(value, list) and value and self.chance(0.8):
            at = self._random.randrange(len(value))
            match self._random.randrange(5):
                case 0:
                    return value[:at] + value[at + 1 :]
                case 1:
                    return [*value, *value[at:]]
                case _:
                    return [*value[:at], self.value(value[at]), *value[at + 1 :]]
        return self._scalar(value)

    def _scalar(self, value: Any) -> Any:
        change: Callable[[], Any] = self.one_of(
            (
                lambda: self.one_of(NASTY_VALUES),
                lambda: self.one_of(NASTY_TEXTS),
                lambda: self.text(value) if isinstance(value, str) else str(value),
                lambda: value + self.one_of((-1, 1, 2**40)) if isinstance(value, int | float) else [value],
            )
        )
        return change()

    def message(self, message: str | bytes) -> str | bytes:
        """A text message as JSON or as characters, a binary one as bytes; now and then one as the other."""
        if isinstance(message, bytes):
            return self.raw(message) if self.chance(0.9) else self.raw(message).decode("latin-1")
        if self.chance(0.05):
            return message.encode("utf-8", "surrogatepass")
        if self.chance(0.3):
            return self.text(message)
        try:
            value = json.loads(message)
        except (ValueError, RecursionError):
            return self.text(message)
        for _ in range(self.between(1, 2)):
            value = self.value(value)
        return json.dumps(value)

    def headers(self, given: Mapping[str, str]) -> dict[str, str]:
        """As aiohttp hands them on: what is no UTF-8 as lone surrogates, no line breaks, no NUL."""
        return {
            name: value.encode("utf-8", "replace").translate(None, b"\r\n\0").decode("utf-8", "surrogateescape")
            if self.chance(0.8)
            else value.encode("utf-8", "replace")[:-1].decode("ascii", "surrogateescape")
            for name, value in self.pairs(given).items()
        }

    def pairs(self, given: Mapping[str, str]) -> dict[str, str]:
        """Names and values of a query or a form, as they are once percent signs and UTF-8 were decoded."""
        found = {}
        for name, value in given.items():
            if self.chance(0.1):
                continue
            name = self.text(name) if self.chance(0.1) else name  # noqa: PLW2901
            found[_decoded(name)] = _decoded(self.text(value) if self.chance(0.4) else value)
        return found


def _decoded(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
