from __future__ import annotations

import pytest

from bridge.bench.normalise import normalise

SAME = [
    pytest.param("Yes, that's fine!", "yes that’s fine", id="case-and-punctuation"),
    pytest.param("four four seven, one nine, two six", "447-1926", id="digits-in-groups"),
    pytest.param("six one two, five five five, oh one four two", "(612) 555-0142", id="phone-number-with-oh"),
    pytest.param("six one two five five five zero one four two", "612.555.0142", id="phone-number-with-dots"),
    pytest.param("one eight hundred, five five five, one two one two", "1-800-555-1212", id="hundred-before-digits"),
    pytest.param("double four, triple seven, two", "44 777 2", id="double-and-triple"),
    pytest.param("zero double one", "011", id="leading-zero"),
    pytest.param("forty nine dollars and fifty cents", "$49.50", id="dollars-and-cents"),
    pytest.param("forty-nine dollars and fifty cents", "$49 and 50 cents", id="dollars-and-cents-half-in-figures"),
    pytest.param("one dollar", "$1.00", id="one-dollar"),
    pytest.param("a thousand two hundred and fifty dollars", "$1,250", id="thousands-with-comma"),
    pytest.param("three million dollars", "$3 million", id="scale-in-words"),
    pytest.param("twelve pounds and five pence", "£12 and 5 pence", id="pounds"),
    pytest.param("March third", "March 3rd", id="ordinal"),
    pytest.param("Friday, March fourteenth", "Friday March 14", id="date-without-suffix"),
    pytest.param("the twenty-first of May", "the 21st of May", id="compound-ordinal"),
    pytest.param("nineteen ninety nine", "1999", id="year-in-pairs"),
    pytest.param("two thousand and five", "2005", id="year-with-and"),
    pytest.param("twenty twenty six", "2026", id="year-of-two-twenties"),
    pytest.param("nineteen oh five", "1905", id="year-with-oh"),
    pytest.param("one hundred and two", "102", id="hundred-and"),
    pytest.param("between one hundred and two hundred", "between 100 and 200", id="and-between-two-hundreds"),
    pytest.param("two hundred thousand and one", "200,001", id="hundred-thousand"),
    pytest.param("twenty five hundred", "2500", id="hundreds-over-nine"),
    pytest.param("fifty thousand and sixty thousand", "50,000 and 60,000", id="and-between-two-thousands"),
    pytest.param("a hundred percent", "100%", id="percent"),
    pytest.param("ten per cent", "10 per cent", id="per-cent"),
    pytest.param("three point five", "3.5", id="decimal"),
    pytest.param("at half past nine, or nine thirty a.m.", "at half past 9 or 9:30 AM", id="time-of-day"),
    pytest.param("at nine thirty", "at 9.30", id="time-of-day-with-a-dot"),
    pytest.param("at three point two five percent", "at 3.25%", id="rate-is-no-time-of-day"),
    pytest.param("three o'clock", "3:00", id="full-hour"),
    pytest.param("gate b twelve", "Gate B12", id="letter-and-number"),
    pytest.param("C A R T E R", "C-A-R-T-E-R", id="spelled-with-hyphens"),
    pytest.param("that is double u e s t", "that is W-E-S-T", id="double-u"),
    pytest.param("daniel dot carter at example dot com", "daniel.carter@example.com", id="e-mail"),
    pytest.param("um, I think, uh, yes", "I think yes", id="hesitations"),
    pytest.param("Okay, alright, Mr. Brown", "OK, all right, mister Brown", id="spellings"),
    pytest.param("number five", "#5", id="number-sign"),
    pytest.param("one of them, the second one", "1 of them, the 2nd 1", id="number-words-in-prose"),
]

DIFFERENT = [
    pytest.param("fourteen", "forty", id="teen-and-ten"),
    pytest.param("five five", "five", id="a-digit-less"),
    pytest.param("I have", "I've", id="contraction"),
    pytest.param("two hundred and five", "two hundred five hundred", id="and-is-not-hundred"),
    pytest.param("forty dollars", "forty", id="unit-missing"),
    pytest.param("a.m.", "p.m.", id="morning-and-evening"),
]


@pytest.mark.parametrize(("spoken", "written"), SAME)
def test_two_ways_to_write_one_thing(spoken: str, written: str) -> None:
    """What sounds the same is scored the same, in words or in figures."""
    assert normalise(spoken) == normalise(written)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_what_sounds_different_stays_different(one: str, other: str) -> None:
    """Normalising hides no error of hearing."""
    assert normalise(one) != normalise(other)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("$49.50", ["4", "9", "dollars", "5", "0", "cents"], id="figures-are-single-digits"),
        pytest.param("one hundred and five", ["1", "0", "5"], id="a-number-in-words-is-its-figures"),
        pytest.param("eight hundred five five five", list("800555"), id="digits-behind-a-hundred"),
        pytest.param("oh, I see", ["oh", "i", "see"], id="oh-is-no-zero-in-prose"),
        pytest.param("and five", ["and", "5"], id="and-outside-a-number"),
        pytest.param("a hundred thousand", list("100000"), id="a-hundred-thousand"),
        pytest.param("my double bed", ["my", "double", "bed"], id="double-in-prose"),
        pytest.param("a million and one", list("1000001"), id="a-million-and-one"),
        pytest.param("don't", ["don't"], id="apostrophe-inside-stays"),
        pytest.param("'twas rock 'n' roll", ["twas", "rock", "n", "roll"], id="apostrophe-outside-goes"),
        pytest.param("", [], id="nothing"),
        pytest.param("… — !", [], id="punctuation-alone"),
    ],
)
def test_tokens(text: str, words: list[str]) -> None:
    """The tokens themselves, where two wrongs could make a right."""
    assert normalise(text) == words


@pytest.mark.parametrize(
    ("text", "language", "words"),
    [
        pytest.param("¿Tiene dos euros?", "es", ["tiene", "dos", "euros"], id="spanish-keeps-number-words"),
        pytest.param("Größe, 5 Stück", "de-DE", ["größe", "5", "stück"], id="german-umlauts"),
        pytest.param("お元気、ですか。", "ja", list("お元気ですか"), id="japanese-by-character"),
    ],
)
def test_other_languages(text: str, language: str, words: list[str]) -> None:
    """Outside English only case and punctuation go; without spaces, characters are words."""
    assert normalise(text, language) == words


def test_hesitations_can_be_kept() -> None:
    """For invented words on noise, a hesitation is a word too."""
    assert normalise("Mm. Um!", fillers=True) == ["mm", "um"]
