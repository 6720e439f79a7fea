"""What a job asks of the real model: keywords, forced text, limits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bridge.errors import EngineError
from bridge.model.frame import Samples
from bridge.model.stream import Leg
from bridge.ports import DecodeJob, Urgency
from bridge.recognise.local import LocalEngine
from tests.fixture_calls import fixture_call

pytestmark = [pytest.mark.model, pytest.mark.asyncio(loop_scope="session")]

SENTENCE = "and then we talked about the order that has not arrived yet. "


LENGTHS_APART = (0, 5, 10)
"""Utterances of the demo call whose windows are of three lengths."""


def spoken(number: int) -> Samples:
    """An utterance of the demo call as it was heard, a little silence around it."""
    call = fixture_call("two-party")
    said = call.reference["utterances"][number]
    leg = Leg(said["leg"])
    return call.part(leg, said["start_ms"] - 200, said["end_ms"] + 200).heard(leg)


def job(seconds: float = 2.0, **given: object) -> DecodeJob:
    samples = np.zeros(round(seconds * 16_000), np.float32)
    return DecodeJob(**{"samples": samples, "urgency": Urgency.FINAL, "deadline": 0.0, "language": "en", **given})  # type: ignore[arg-type]


@pytest.mark.parametrize("said", ["", SENTENCE, SENTENCE * 20], ids=["first words", "a sentence before", "a long call"])
@pytest.mark.parametrize("keywords", [("Kaczmarek",), tuple(f"Name{n}" for n in range(10))], ids=["one", "ten"])
async def test_keywords_are_in_the_prompt_whatever_was_said(
    engine: LocalEngine, said: str, keywords: tuple[str, ...]
) -> None:
    """A call's keywords help from its first word to its last."""
    plan = engine.model.plan(job(keywords=keywords, previous_text=said))
    prompt = engine.model._tokenizer("en").decode(list(plan.previous))
    assert all(word in prompt for word in keywords)


async def test_speech_longer_than_a_window_is_refused(engine: LocalEngine) -> None:
    """Never cut in silence."""
    with pytest.raises(EngineError, match="do not fit"):
        await engine.decode(job(31.0))


async def test_a_language_that_the_model_does_not_know_is_refused(engine: LocalEngine) -> None:
    """In our words, so that a recogniser elsewhere is not asked again for what it can never answer."""
    with pytest.raises(EngineError, match="nonsense"):
        await engine.decode(job(language="nonsense"))


async def test_forced_text_does_not_come_back(engine: LocalEngine) -> None:
    """What is known of the audio's beginning is the decoder's prefix; the words are those behind it."""
    call = fixture_call("two-party")
    words = call.words(Leg.CALLER)[:18]
    heard = call.part(Leg.CALLER, words[0].start_ms - 300, words[-1].end_ms + 200).heard(Leg.CALLER)
    decoded = await engine.decode(
        job(samples=heard, prefix_text="Hi Grace. My name is Daniel Carter,", want_words=True)
    )
    assert decoded is not None
    assert decoded.text.lower().startswith("and i'm calling about an order")
    assert [word.text for word in decoded.words] == decoded.text.split()
    begin = words[0].start_ms - 300
    first = decoded.words[0]
    assert first.start / 16 + begin == pytest.approx(words[7].start_ms, abs=300)


@pytest.mark.parametrize("prefix", ["", "Good morning, you have reached"], ids=["nothing known", "text forced"])
async def test_a_decode_gets_all_its_tokens_behind_any_prefix(engine: LocalEngine, prefix: str) -> None:
    """What is forced takes nothing from what may be said; and nothing more is said than may be."""
    call = fixture_call("two-party")
    samples = call.part(Leg.AGENT, 500, 14_000).heard(Leg.AGENT)
    plan = replace(engine.model.plan(job(samples=samples, prefix_text=prefix)), cap=8)
    [(_, _, raw)] = engine.model._generate([engine.model.encode(plan)])
    assert len(raw.tokens) == plan.cap


async def test_windows_of_different_lengths_decoded_together_say_what_they_say_alone(engine: LocalEngine) -> None:
    """Short windows last on in their own quiet: what is decoded beside them changes no word."""
    plans = [engine.model.plan(job(samples=spoken(number))) for number in LENGTHS_APART]
    assert len({plan.window_s for plan in plans}) == len(plans)
    alone = [one.text for plan in plans for _, one in engine.model.decode([engine.model.encode(plan)])]
    together = dict(engine.model.decode([engine.model.encode(plan) for plan in plans]))
    assert [together[place].text for place in range(len(plans))] == alone


async def test_words_without_times_are_the_words(engine: LocalEngine) -> None:
    """What is spread evenly is what the model said, in order and inside the samples."""
    samples = spoken(0)
    [(_, decoded)] = engine.model.decode([engine.model.encode(engine.model.plan(job(samples=samples)))])
    assert "".join(word.spaced for word in decoded.words).strip() == decoded.text
    edges = [edge for word in decoded.words for edge in (word.start, word.end)]
    assert edges == sorted(edges)
    assert 0 <= edges[0] <= edges[-1] <= len(samples)
