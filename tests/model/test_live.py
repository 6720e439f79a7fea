"""Whole calls through the real model: the words, not how long they took."""

from __future__ import annotations

import json

import pytest

from bridge.bench.score import WordErrors, lost_at_end, word_errors
from bridge.model.stream import Leg
from bridge.recognise.tongue import TRIES
from tests.fixture_calls import fixture_call, recording
from tests.model.conftest import DEV, Transcribe

pytestmark = [pytest.mark.model, pytest.mark.asyncio(loop_scope="session")]

SCORED = {"two-party": 0.05, "spelled-name": 0.35, "digit-groups": 0.15, "short-answers": 0.15, "monologue": 0.10}
"""Calls and the word error rate that their live finals may have."""

needs_dev = pytest.mark.skipif(not DEV.is_dir(), reason="no evaluation audio at ../shared/audio/dev")


@pytest.mark.parametrize(("name", "most"), SCORED.items(), ids=SCORED.keys())
async def test_live_finals_say_what_was_said(transcribe: Transcribe, name: str, most: float) -> None:
    """Within the stated error rate, and with the last words of every leg."""
    call = fixture_call(name)
    told = await transcribe(call)
    errors = sum((word_errors(call.text(leg), told.text(leg)) for leg in call.legs), WordErrors())
    assert errors.rate <= most, {leg: told.text(leg) for leg in call.legs}
    assert [lost_at_end(call.text(leg), told.text(leg)) for leg in call.legs] == [0] * len(call.legs)


@pytest.mark.parametrize("name", ["two-party", "tones", "hold-music", "short-answers"])
async def test_keywords_never_appear_unspoken(transcribe: Transcribe, name: str) -> None:
    """Names that nobody says leave a call's words as they are, and music without any."""
    call = fixture_call(name)
    told = await transcribe(call, keywords="Kaczmarek,Oberammergau,Xylotine")
    errors = sum((word_errors(call.text(leg), told.text(leg)) for leg in call.legs), WordErrors())
    heard = " ".join(told.text(leg) for leg in call.legs)
    assert not [word for word in ("Kaczmarek", "Oberammergau", "Xylotine") if word.lower() in heard.lower()]
    assert errors.rate <= SCORED.get(name, 0)


async def test_a_keyword_decides_how_a_name_is_written(transcribe: Transcribe) -> None:
    """The model writes a name its own way; named as a keyword it comes out as the company writes it."""
    call = fixture_call("two-party").part(Leg.AGENT, 300, 6_800)
    told = [await transcribe(call, keywords=keywords) for keywords in ("", "Harbour Layne Furniture")]
    assert ["Harbour Layne" in one.text(Leg.AGENT) for one in told] == [False, True]


def _cuts() -> list[int]:
    """Every 100 ms of the demo call's first utterance by the caller, 4.9 s long."""
    first = fixture_call("two-party").reference["utterances"][1]
    return list(range(first["start_ms"] + 300, first["end_ms"] + 100, 100))


@pytest.mark.parametrize("cut_ms", _cuts())
async def test_a_hang_up_at_any_moment_loses_no_word_said_before(transcribe: Transcribe, cut_ms: int) -> None:
    """The line dies: what had been said until then is in the final, to its last word."""
    call = fixture_call("two-party")
    begin = call.words(Leg.CALLER)[0].start_ms - 300
    told = await transcribe(call.part(Leg.CALLER, begin, cut_ms))
    said = " ".join(word.word for word in call.words(Leg.CALLER) if word.end_ms + 50 <= cut_ms)
    heard = told.text(Leg.CALLER)
    assert lost_at_end(said, heard) == 0, (said, heard)
    assert bool(told.finals(Leg.CALLER)) >= bool(said)


@pytest.mark.parametrize("name", ["silence", "tones", "hold-music"])
async def test_nothing_is_heard_where_nobody_speaks(transcribe: Transcribe, name: str) -> None:
    """Calls without a word have no word."""
    call = fixture_call(name)
    told = await transcribe(call, language=None)
    assert {leg: told.text(leg) for leg in call.legs} == dict.fromkeys(call.legs, "")


def _dev(kinds: set[str], languages: set[str] | None = None, *, each: int = 100) -> list[dict[str, str]]:
    if not DEV.is_dir():
        return []
    items = [json.loads(line) for line in (DEV / "manifest.jsonl").read_text("utf-8").splitlines()]
    found = [one for one in items if one["kind"] in kinds and (languages is None or one["language"][:2] in languages)]
    found.sort(key=lambda one: one["duration_s"], reverse=True)
    return [one for n, one in enumerate(found) if sum(o["language"] == one["language"] for o in found[:n]) < each]


@needs_dev
@pytest.mark.parametrize("item", _dev({"music", "noise"}), ids=lambda item: item["id"])
async def test_real_music_and_noise_have_no_text(transcribe: Transcribe, item: dict[str, str]) -> None:
    """Hold music, ringback and noise as they are on real lines."""
    call = recording(DEV / item["file"])
    told = await transcribe(call, language=None)
    assert {leg: told.text(leg) for leg in call.legs} == dict.fromkeys(call.legs, "")


@needs_dev
@pytest.mark.parametrize(
    "item", _dev({"prompt", "read"}, {"fr", "es", "it", "ru", "de"}, each=1), ids=lambda item: item["id"]
)
async def test_a_language_that_is_found_is_kept(transcribe: Transcribe, item: dict[str, str]) -> None:
    """Without a setting, the longest recording of each language ends in its own, which is left no more once held.

    Until the model is sure it goes by its best guess, and of a short first utterance that may be a neighbour's.
    """
    call = recording(DEV / item["file"])
    told = await transcribe(call, language=None)
    for leg in call.legs:
        spoken = [final.language for final in told.finals(leg)]
        own = spoken.index(item["language"][:2])
        assert set(spoken[own:]) == {item["language"][:2]}
        assert own < TRIES
