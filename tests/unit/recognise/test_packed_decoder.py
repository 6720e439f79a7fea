"""Our decoder beside the same one in NumPy: token by token, in company, behind prompts, with what it looked at."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from bridge.errors import SetupError
from bridge.recognise.decoders import Said, Text
from bridge.recognise.packed_decoder import PackedDecoder
from bridge.recognise.word_times import token_starts
from tests import tiny_whisper as tiny
from tests.tiny_whisper import END, ENGLISH, GERMAN, NEVER, NO_SPEECH, NO_TIMESTAMPS, NOT_FIRST, PREVIOUS, START

BEGIN = (START, ENGLISH, tiny.TRANSCRIBE, NO_TIMESTAMPS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    tiny.write(folder)
    return folder


@pytest.fixture(scope="module")
def decoder(folder: Path) -> PackedDecoder:
    return PackedDecoder(folder, tiny.tokenizer())


def window(number: int, length: int = 12) -> np.ndarray:
    """States of some window."""
    return np.random.default_rng(number).normal(0, 1, (1, length, tiny.WIDTH)).astype(np.float32)


def text(
    number: int = 0,
    *,
    length: int = 12,
    previous: tuple[int, ...] = (),
    forced: tuple[int, ...] = (),
    cap: int = 8,
    endless: bool = False,
) -> Text:
    before = (PREVIOUS, *previous) if previous else ()
    return Text(
        states=window(number, length),
        prompt=(*before, *BEGIN, *forced),
        start=len(before),
        forced=len(forced),
        cap=cap,
        endless=endless,
    )


def softmax(logits: np.ndarray) -> np.ndarray:
    shares = np.exp(logits - logits.max())
    return np.asarray(shares / shares.sum())


def expected(folder: Path, wanted: Text) -> tuple[list[int], list[float], float, np.ndarray]:
    """Tokens, the probability of each and of the end, that of silence, and the attention."""
    reference, tokens, shares = tiny.Reference(folder), [], []
    while True:
        logits, attention = reference.run([*wanted.prompt, *tokens], wanted.states[0])
        allowed = softmax(logits[-1])
        allowed[[NEVER, *range(END + 1, len(tiny.VOCABULARY))]] = 0
        if not tokens and not wanted.forced and not wanted.endless:
            allowed[[NOT_FIRST, END]] = 0
        if wanted.endless:
            allowed[END] = 0
        token = int(allowed.argmax())
        shares.append(float(allowed[token] / allowed.sum()))
        if token != END:
            tokens.append(token)
        if token == END or len(tokens) == wanted.cap:
            silence = softmax(reference.run(wanted.prompt[: wanted.start + 1], wanted.states[0])[0][-1])[NO_SPEECH]
            return tokens, shares, float(silence), attention[:, wanted.start :]


CASES = {
    "nothing before": text(0),
    "another window": text(1),
    "text before": text(2, previous=(7, 8, 9)),
    "forced": text(3, forced=(4, 6)),
    "both, a longer window": text(4, length=20, previous=(1,), forced=(2, 2, 2), cap=12),
    "never ends": text(5, cap=20, endless=True),
}


def is_as_expected(folder: Path, wanted: Text, said: Said) -> None:
    tokens, shares, silence, attention = expected(folder, wanted)
    assert said.tokens == tokens
    assert said.average_log_probability == pytest.approx(sum(map(math.log, shares)) / len(tokens), rel=0.02)
    assert said.no_speech_probability == pytest.approx(silence, rel=0.05)
    begins, probabilities = said.times(len(tokens), wanted.states.shape[1])
    assert probabilities[: wanted.forced] == [1.0] * wanted.forced
    assert probabilities[wanted.forced :] == pytest.approx(shares[: len(tokens)], abs=0.02)
    assert begins.tolist() == token_starts(attention, len(BEGIN) - 1).tolist()


@pytest.mark.parametrize("wanted", CASES.values(), ids=CASES)
def test_one_text(folder: Path, decoder: PackedDecoder, wanted: Text) -> None:
    """As the reference has it, which looks at all of it anew for each token."""
    [(_, said)] = decoder.decode([wanted])
    is_as_expected(folder, wanted, said)


def test_company_changes_nothing(folder: Path, decoder: PackedDecoder) -> None:
    """Texts of all kinds in one batch say what they say alone, and each is told once, the shortest first."""
    texts = list(CASES.values())
    told = list(decoder.decode(texts))
    assert sorted(place for place, _ in told) == list(range(len(texts)))
    lengths = [len(said.tokens) for _, said in told]
    assert lengths == sorted(lengths)
    assert len(set(lengths)) > 1
    for place, said in told:
        is_as_expected(folder, texts[place], said)


def test_texts_that_come_later(folder: Path, decoder: PackedDecoder) -> None:
    """Join what is being decoded, two at once after three tokens, one at the last moment, and then no more."""
    texts = list(CASES.values())
    asked: list[bool] = []
    left = texts[1:5]

    def more(is_last: bool) -> list[Text]:
        asked.append(is_last)
        count = 2 if len(asked) == 3 else 1 if is_last else 0
        coming, left[:] = left[:count], left[count:]
        return coming

    told = dict(decoder.decode([texts[5]], more))
    assert sorted(told) == list(range(5))
    assert asked.count(True) == 3
    assert asked[-1]
    for place, wanted in enumerate([texts[5], *texts[1:5]]):
        is_as_expected(folder, wanted, told[place])


def test_who_has_ended_may_ride_on_for_long(folder: Path, decoder: PackedDecoder) -> None:
    """Beyond the positions that there are, beside two that go on to the last of them."""
    long = text(5, cap=tiny.LONGEST - len(BEGIN), endless=True)
    short = text(6, previous=(1,) * 20, cap=2, endless=True)
    told = dict(decoder.decode([short, long, long]))
    is_as_expected(folder, short, told[0])
    assert [len(told[place].tokens) for place in (1, 2)] == [tiny.LONGEST - len(BEGIN)] * 2


def test_times_of_a_part(decoder: PackedDecoder) -> None:
    """Of tokens that do not count nothing is told, nor of what lies behind the speech."""
    [(_, said)] = decoder.decode([CASES["never ends"]])
    begins, probabilities = said.times(3, 7)
    assert len(begins) == 3 + 1
    assert len(probabilities) == 3
    assert 0 <= begins.min() <= begins.max() < 7


def test_the_language(folder: Path, decoder: PackedDecoder) -> None:
    """The likeliest of those that there are."""
    for number in range(4):
        logits, _ = tiny.Reference(folder).run([START], window(number)[0])
        shares = softmax(logits[-1][[ENGLISH, GERMAN]])
        code, probability = decoder.language(window(number))
        assert code == ("en", "de")[int(shares.argmax())]
        assert probability == pytest.approx(shares.max(), abs=0.02)


@pytest.mark.parametrize("quantization", ["float16", "int8", "int8_float16"])
def test_weights_as_others_store_them(tmp_path: Path, quantization: str) -> None:
    """Half as long, or in 8 bits with scales: the text is that of the weights as they are read back."""
    tiny.write(tmp_path, quantization=quantization)
    [(_, said)] = PackedDecoder(tmp_path, tiny.tokenizer()).decode([text(1)])
    is_as_expected(tmp_path, text(1), said)


def test_weights_of_another_kind(tmp_path: Path) -> None:
    """Are refused, in words: what they would say is anybody's guess."""
    tiny.write(tmp_path, activation=0)
    with pytest.raises(SetupError, match="GELU"):
        PackedDecoder(tmp_path, tiny.tokenizer())
