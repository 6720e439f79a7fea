"""Text to the words that count: the same tokens for every way of writing one thing.

A recogniser may write "447-1926" where the reference has "four four seven, one nine two six", and both are right.
So numbers become single digits on both sides, whatever they were: "$49.50" and "forty nine dollars and fifty cents"
are both `4 9 dollars 5 0 cents`; "March 3rd" and "March third", `march 3`. Letters that were spelled are joined, so
that "C-A-R-T-E-R" is one word. Number words are known in English alone; other languages lose case and punctuation.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Final

FILLERS: Final = frozenset({"um", "uh", "er", "erm", "hm", "hmm", "mm", "mhm", "uhm", "ah"})
"""Hesitations: recognisers are trained to leave them out, so neither side is charged for them."""
WITHOUT_SPACES: Final = ("ja", "zh", "th", "yue")
"""Languages written without spaces: there every character is a word."""

_SMALL_NAMES: Final = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
)
_SMALL_ORDINALS: Final = (
    "zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth "
    "fifteenth sixteenth seventeenth eighteenth nineteenth"
)
_TENS_NAMES: Final = "twenty thirty forty fifty sixty seventy eighty ninety"
_TENS_ORDINALS: Final = "twentieth thirtieth fortieth fiftieth sixtieth seventieth eightieth ninetieth"

SMALL: Final = {name: value for names in (_SMALL_NAMES, _SMALL_ORDINALS) for value, name in enumerate(names.split())}
TENS: Final = {
    name: value
    for names in (_TENS_NAMES, _TENS_ORDINALS)
    for value, name in zip(range(20, 100, 10), names.split(), strict=True)
}
SCALES: Final = {
    "thousand": 1_000,
    "thousandth": 1_000,
    "million": 1_000_000,
    "millionth": 1_000_000,
    "billion": 1_000_000_000,
}
HUNDREDS: Final = frozenset({"hundred", "hundredth"})
REPEATS: Final = {"double": 2, "triple": 3}
ALIKE: Final = {
    "ok": ("okay",),
    "alright": ("all", "right"),
    "mr": ("mister",),
    "mrs": ("missus",),
    "dr": ("doctor",),
    "o'clock": (),
}

_MONEY: Final = {"$": ("dollar", "dollars"), "£": ("pound", "pounds"), "€": ("euro", "euros")}
_UNITS: Final = frozenset(word for forms in _MONEY.values() for word in forms)


def _money(found: re.Match[str]) -> str:
    sign, whole, part, scale = found.groups(default="")
    unit, units = _MONEY[sign]
    cents = f" {part} {'cent' if part == '01' else 'cents'}" if part and part != "00" else ""
    return f" {whole}{scale} {unit if whole == '1' and not scale else units}{cents} "


_REWRITES: Final[tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...]] = (
    (re.compile(r"(?<=\d),(?=\d{3}(?!\d))"), ""),  # 1,250
    (
        re.compile(r"([$£€])\s*(\d+)(?:\.(\d\d))?(?!\d)(\s+(?:hundred|thousand|million|billion))?"),
        _money,
    ),
    (re.compile(r"(\d)\.(?=\d+\.\d)|(?<=\.)(\d+)\.(?=\d)"), r"\1\2 "),  # 612.555.0142
    (re.compile(r"(?<=\bat )(\d\d?)\.([0-5]\d)(?!\d|\s*(?:%|percent|[mb]illion))"), r"\1 \2"),  # at 9.30
    (re.compile(r"(?<=\d)\.(?=\d)"), " point "),
    (re.compile(r"(?<=\d):00\b"), " "),  # 3:00
    (re.compile(r"\b((?:[a-z]\.){2,}|[a-z]\.[a-z]\b)"), lambda found: found[0].replace(".", "")),  # a.m.
    (re.compile(r"(?<=[a-z0-9])\.(?=[a-z])"), " dot "),  # example.com
    (re.compile(r"@"), " at "),
    (re.compile(r"_"), " underscore "),
    (re.compile(r"%"), " percent "),
    (re.compile(r"&"), " and "),
    (re.compile(r"#(?=\s*\d)"), " number "),
    (re.compile(r"(?<=\d)(?:st|nd|rd|th)\b"), ""),
    (re.compile(r"(?<=\d)(?=[a-z])|(?<=[a-z])(?=\d)"), " "),  # 5pm, B12
)
_WORD: Final = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


def normalise(text: str, language: str = "en", *, fillers: bool = False) -> list[str]:
    """The words of a text as they are scored. `fillers` keeps the hesitations."""
    plain = unicodedata.normalize("NFKC", text).lower().replace("’", "'")
    if language.startswith(WITHOUT_SPACES):
        return [sign for sign in plain if sign.isalnum()]
    if not language.startswith("en"):
        return _WORD.findall(plain)
    for pattern, put in _REWRITES:
        plain = pattern.sub(put, plain)
    words = [same for word in _WORD.findall(plain) for same in ALIKE.get(word, (word,))]
    heard = words if fillers else [word for word in words if word not in FILLERS]
    return _without_money_and(_spelled(_digits(heard)))


def _digits(words: Sequence[str]) -> list[str]:
    """Every number, in words or figures, as single digits."""
    out: list[str] = []
    at = 0
    while at < len(words):
        word, following = words[at], words[at + 1 : at + 2]
        number = _number(words, at)
        if number is not None:
            figures, at = number
            out.extend(figures)
        elif word in REPEATS and following and (digit := _digit(following[0])):
            out.extend([digit] * REPEATS[word])
            at += 2
        elif word in {"oh", "o"} and ((out and out[-1].isdigit()) or (following and _digit(following[0]))):
            out.append("0")
            at += 1
        elif word == "double" and following and following[0] in {"u", "you"}:
            out.append("w")
            at += 2
        else:
            out.append(word)
            at += 1
    return out


def _digit(word: str) -> str | None:
    if word.isdigit() and len(word) == 1:
        return word
    value = SMALL.get(word)
    return str(value) if value is not None and value < 10 else None


def _number(words: Sequence[str], at: int) -> tuple[str, int] | None:
    """A whole number that begins at `at`, as its figures, and the place behind it."""
    if words[at].isdecimal() and words[at + 1 : at + 2] and words[at + 1] not in HUNDREDS | SCALES.keys():
        return words[at], at + 1
    begun = _below_thousand(words, at)
    if begun is None:
        return (words[at], at + 1) if words[at].isdecimal() else None
    value, behind = begun
    total, ceiling = 0, max(SCALES.values()) + 1
    while behind < len(words) and SCALES.get(words[behind], ceiling) < ceiling:
        ceiling = SCALES[words[behind]]
        total, value, behind = total + value * ceiling, 0, behind + 1
        rest = _below_thousand(words, behind + (words[behind : behind + 1] == ["and"]))
        if rest is None or _is_read_digit_by_digit(words, rest) or _scale_at(words, rest[1]) >= ceiling:
            break
        value, behind = rest
    return str(total + value), behind


def _below_thousand(words: Sequence[str], at: int) -> tuple[int, int] | None:
    begun = _below_hundred(words, at)
    if begun is None and words[at : at + 1] == ["a"] and _scale_at(words, at + 1):
        begun = (1, at + 1)
    if begun is None or words[begun[1] : begun[1] + 1] == [] or words[begun[1]] not in HUNDREDS:
        return begun
    value, behind = begun[0] * 100, begun[1] + 1
    rest = _below_hundred(words, behind + (words[behind : behind + 1] == ["and"]))
    if rest is None or _is_read_digit_by_digit(words, rest) or words[rest[1] : rest[1] + 1] == ["hundred"]:
        return value, behind
    return value + rest[0], rest[1]


def _below_hundred(words: Sequence[str], at: int) -> tuple[int, int] | None:
    if at >= len(words):
        return None
    word = words[at]
    if word in SMALL:
        return SMALL[word], at + 1
    if word.isdecimal():
        return (int(word), at + 1) if _scale_at(words, at + 1) else None
    if word not in TENS:
        return None
    unit = SMALL.get(words[at + 1], 0) if at + 1 < len(words) and word.endswith("ty") else 0
    return (TENS[word] + unit, at + 2) if 0 < unit < 10 else (TENS[word], at + 1)


def _scale_at(words: Sequence[str], at: int) -> int:
    """What the word at `at` multiplies by; 0 when it is no such word."""
    if at >= len(words):
        return 0
    return 100 if words[at] in HUNDREDS else SCALES.get(words[at], 0)


def _is_read_digit_by_digit(words: Sequence[str], rest: tuple[int, int]) -> bool:
    """Whether what follows a hundred is the first of a row of digits: "eight hundred, five five five"."""
    value, behind = rest
    return value < 10 and behind < len(words) and _digit(words[behind]) is not None


def _spelled(words: Sequence[str]) -> list[str]:
    """Runs of single letters joined: "c a r t e r" and "p m" are one word each."""
    out: list[str] = []
    run: list[str] = []
    for word in (*words, ""):
        if len(word) == 1 and word.isalpha():
            run.append(word)
            continue
        if run:
            out.append("".join(run))
            run = []
        out.append(word)
    return out[:-1]


def _without_money_and(words: Sequence[str]) -> list[str]:
    """Without the "and" of "4 dollars and 5 cents", which "$4.05" does not have."""
    return [
        word
        for at, word in enumerate(words)
        if not (word == "and" and at and words[at - 1] in _UNITS and words[at + 1 : at + 2] and words[at + 1].isdigit())
    ]
