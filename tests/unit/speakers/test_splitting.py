"""Segments cut at words where the speaker changes."""

from __future__ import annotations

from bridge.model.stream import Leg
from bridge.model.words import Segment, Word
from bridge.speakers.splitting import SpeakerAt, split


def _said(text: str, *, word_ms: int = 400, gap_ms: int = 0, words: list[str] | None = None) -> Segment:
    spoken = words if words is not None else text.split()
    places = [(n * (word_ms + gap_ms), n * (word_ms + gap_ms) + word_ms) for n in range(len(spoken))]
    return Segment(
        leg=Leg.MIXED,
        segment=7,
        start_ms=0,
        end_ms=places[-1][1] + 50 if places else 900,
        text=text,
        language="en",
        confidence=0.9,
        words=tuple(
            Word(word=word, start_ms=start, end_ms=end, confidence=0.5 + n / 100)
            for n, (word, (start, end)) in enumerate(zip(spoken, places, strict=True))
        ),
    )


def _until(*turns: tuple[float, str]) -> SpeakerAt:
    """Each speaker until so many ms."""
    return lambda at: next((speaker for end, speaker in turns if at < end), turns[-1][1])


def _texts(segments: list[Segment]) -> list[tuple[str | None, str]]:
    return [(segment.speaker, segment.text) for segment in segments]


def test_one_speaker_keeps_the_segment_as_it_is() -> None:
    [piece] = split(_said("how may I help"), _until((9999, "S1")))
    assert (piece.text, piece.speaker, piece.segment, piece.end_ms) == ("how may I help", "S1", 7, 1650)


def test_a_change_of_speaker_cuts_text_words_and_times() -> None:
    first, second = split(_said("how are you fine thanks"), _until((1200, "S1"), (9999, "S2")))
    assert (first.text, first.start_ms, first.end_ms, first.speaker) == ("how are you", 0, 1200, "S1")
    assert (second.text, second.start_ms, second.end_ms, second.speaker) == ("fine thanks", 1200, 2050, "S2")
    assert [word.word for word in first.words + second.words] == ["how", "are", "you", "fine", "thanks"]
    assert first.confidence == 0.51


def test_a_cut_is_made_behind_a_sentence_that_ends_nearby() -> None:
    pieces = split(_said("is that so? yes it is indeed"), _until((1700, "S1"), (9999, "S2")))
    assert _texts(pieces) == [("S1", "is that so?"), ("S2", "yes it is indeed")]


def test_a_cut_is_made_in_a_pause_that_is_nearby() -> None:
    said = _said("one two three four five six", gap_ms=20)
    words = tuple(
        word if n < 3 else Word(word=word.word, start_ms=word.start_ms + 700, end_ms=word.end_ms + 700, confidence=0.5)
        for n, word in enumerate(said.words)
    )
    apart = Segment(**{**{f: getattr(said, f) for f in said.__slots__}, "words": words, "end_ms": 3300})
    pieces = split(apart, _until((2300, "S1"), (9999, "S2")))
    assert _texts(pieces) == [("S1", "one two three"), ("S2", "four five six")]


def test_a_speaker_heard_for_less_than_half_a_second_in_between_is_not_told() -> None:
    pieces = split(_said("a b c d e"), _until((800, "S1"), (1200, "S2"), (9999, "S1")))
    assert _texts(pieces) == [("S1", "a b c d e")]


def test_text_without_spaces_is_cut_as_it_is_written() -> None:
    said = _said("你好吗我很好", words=["你好", "吗", "我", "很好"])
    assert _texts(split(said, _until((800, "S1"), (9999, "S2")))) == [("S1", "你好吗"), ("S2", "我很好")]


def test_words_that_are_not_in_the_text_are_told_as_words() -> None:
    said = _said("twenty-two and go", words=["22", "and", "go", "on"])
    assert _texts(split(said, _until((800, "S1"), (9999, "S2")))) == [("S1", "22 and"), ("S2", "go on")]


def test_a_segment_without_words_is_given_to_whoever_speaks_in_its_middle() -> None:
    [piece] = split(_said("", words=[]), _until((400, "S1"), (9999, "S2")))
    assert piece.speaker == "S2"


def test_nobody_known_leaves_the_speaker_open() -> None:
    [piece] = split(_said("hello there"), lambda _: None)
    assert piece.speaker is None
