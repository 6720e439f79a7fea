"""Both decoders under the same real weights: they say the same, at the same times, alone and together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from bridge.model.stream import Leg
from bridge.recognise.decoders import Decoder, Said, Text
from bridge.recognise.local import LocalEngine
from bridge.recognise.whisper import SAMPLES_PER_STATE, Whisper
from bridge.recognise.workers import Encoded
from tests.fixture_calls import fixture_call
from tests.model.test_whisper import job, spoken

pytestmark = [pytest.mark.model, pytest.mark.asyncio(loop_scope="session")]

UTTERANCES = range(6)


@pytest.fixture(scope="module")
def both(engine: LocalEngine) -> dict[str, Decoder]:
    """The engine keeps the quicker one alone."""
    return Whisper(engine.weights.folder).decoders


@pytest.fixture(params=["library", "packed"])
def decoder(both: dict[str, Decoder], request: pytest.FixtureRequest) -> Decoder:
    if request.param not in both:
        pytest.skip("our decoder is for processors with VNNI")
    return both[request.param]


def texts(engine: LocalEngine, **more: object) -> list[Text]:
    """Utterances of the demo call, encoded."""
    plans = [engine.model.plan(job(samples=spoken(number), **more)) for number in UTTERANCES]
    return [engine.model._text(Encoded(plan, engine.model._states(plan)), "en") for plan in plans]


def in_order(told: Sequence[tuple[int, Said]]) -> list[Said]:
    assert sorted(place for place, _ in told) == list(range(len(told)))
    return [said for _, said in sorted(told, key=lambda one: one[0])]


async def test_what_is_said_in_company_is_what_is_said_alone(engine: LocalEngine, decoder: Decoder) -> None:
    """Whatever the windows' lengths; but for commas, where the shorter ones are filled up."""
    asked = texts(engine)
    together = in_order(list(decoder.decode(asked)))
    alone = [next(iter(decoder.decode([text])))[1] for text in asked]
    read = engine.model._tokenizer("en").decode
    words, same_words = (
        [re.findall(r"\w+", read(said.tokens).casefold()) for said in found] for found in (together, alone)
    )
    assert words == same_words
    assert [said.average_log_probability for said in together] == pytest.approx(
        [said.average_log_probability for said in alone], abs=0.1
    )


async def test_both_say_the_same_at_the_same_time(engine: LocalEngine, decoder: Decoder) -> None:
    """What the library says, and how sure it is of it."""
    asked = texts(engine, previous_text="Thank you for calling, how can I help you today?")
    expected = in_order(list(engine.model.decoders["library"].decode(asked)))
    found = in_order(list(decoder.decode(asked)))
    same = [
        (one, other, text)
        for one, other, text in zip(expected, found, asked, strict=True)
        if one.tokens == other.tokens
    ]
    assert len(same) >= len(asked) - 1
    for one, other, text in same:
        assert other.average_log_probability == pytest.approx(one.average_log_probability, abs=0.1)
        assert other.no_speech_probability == pytest.approx(one.no_speech_probability, abs=0.1)
        states = text.states.shape[1]
        (begins, shares), (their_begins, their_shares) = (said.times(len(said.tokens), states) for said in (other, one))
        assert np.median(np.abs(begins - their_begins)) <= 1
        assert np.mean(np.abs(np.array(shares) - np.array(their_shares))) < 0.05


async def test_forced_text_counts_for_the_times_alone(engine: LocalEngine, decoder: Decoder) -> None:
    """It is not told back, and what follows begins behind it."""
    call = fixture_call("two-party")
    words = call.words(Leg.CALLER)[:18]
    heard = call.part(Leg.CALLER, words[0].start_ms - 300, words[-1].end_ms + 200).heard(Leg.CALLER)
    plan = engine.model.plan(job(samples=heard, prefix_text="Hi Grace. My name is Daniel Carter,"))
    text = engine.model._text(Encoded(plan, engine.model._states(plan)), "en")
    [(_, said)] = decoder.decode([text])
    assert engine.model._tokenizer("en").decode(said.tokens).strip().startswith("and I'm calling")
    begins, shares = said.times(len(said.tokens), len(heard) // SAMPLES_PER_STATE)
    assert len(shares) == text.forced + len(said.tokens)
    at_ms = begins[text.forced] * SAMPLES_PER_STATE / 16 + words[0].start_ms - 300
    assert at_ms == pytest.approx(words[7].start_ms, abs=300)


async def test_a_text_that_never_ends(engine: LocalEngine, decoder: Decoder) -> None:
    """Goes up to its cap."""
    [text, *_] = texts(engine)
    [(_, said)] = decoder.decode([replace(text, cap=30, endless=True)])
    assert len(said.tokens) == 30


async def test_the_language_that_is_spoken(engine: LocalEngine, decoder: Decoder) -> None:
    """English, for sure."""
    [text, *_] = texts(engine)
    code, probability = decoder.language(text.states)
    assert code == "en"
    assert 0.8 < probability <= 1.0
