"""Deepgram's own SDK, pointed at us: turns over `/v2/listen`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.compat.wire import PATIENCE_S, refused, rest, socket
from tests.real_server import KEY, RealServer
from tests.recorded import channels, said_in_turn
from tests.tones import LINE_RATE, SCRIPT

pytest.importorskip("deepgram", reason="the SDK is not installed: pip install deepgram-sdk")

from tests.compat.deepgram_client import pointed  # which imports the SDK

pytestmark = pytest.mark.surface("deepgram")

MONO = channels()[0]
AS_PCM = {"model": "flux-general-en", "encoding": "linear16", "sample_rate": LINE_RATE}
QUERY = f"/v2/listen?model=flux-general-en&encoding=linear16&sample_rate={LINE_RATE}"
CUT = (SCRIPT[0][1][-1].end_ms + 60) * LINE_RATE // 1000
"""In the silence behind the first utterance, too short to end it."""
AGAIN = (SCRIPT[1][1][0].start_ms - 60) * LINE_RATE // 1000
"""In the silence before the second utterance, at its end."""
FIRST = " ".join(word.word for word in SCRIPT[0][1])


@asynccontextmanager
async def session(server: RealServer, **options: Any) -> AsyncIterator[Any]:
    async with pointed(server, api_key=KEY) as client, client.listen.v2.connect(**AS_PCM, **options) as connection:
        yield connection


async def told_of(connection: Any, samples: Any) -> list[Any]:
    """All that is told until the server closes."""
    for at in range(0, len(samples), 1280):
        await connection.send_media(samples[at : at + 1280].tobytes())
    await connection.send_close_stream()
    async with asyncio.timeout(PATIENCE_S):
        return [message async for message in connection]


@pytest.mark.shows("turns")
@pytest.mark.parametrize("eager", [None, 0.5])
async def test_turns(server: RealServer, eager: float | None) -> None:
    """Each starts and ends once, in order, with all its words; eager ends come only where they are asked for."""
    options = {} if eager is None else {"eager_eot_threshold": eager}
    async with session(server, **options, eot_timeout_ms=1000) as live:
        told = await told_of(live, MONO)
    assert told[0].type == "Connected"
    assert [message.sequence_id for message in told] == list(range(len(told)))
    turns = [message for message in told if message.type == "TurnInfo"]
    ends = [turn for turn in turns if turn.event == "EndOfTurn"]
    assert [turn.turn_index for turn in ends] == list(range(len(ends)))
    assert [turn.turn_index for turn in turns if turn.event == "StartOfTurn"] == list(range(len(ends)))
    assert " ".join(turn.transcript for turn in ends).split() == said_in_turn()
    assert {turn.trigger for turn in ends} <= {"model", "timeout"}
    for turn in ends:
        assert [word.word for word in turn.words] == turn.transcript.split()
        assert all(0 < word.confidence <= 1 for word in turn.words)
        assert turn.audio_window_start < turn.audio_window_end
    last: dict[int, Any] = {}
    for turn in turns:
        before = last.get(turn.turn_index)
        if turn.event == "EagerEndOfTurn":
            assert eager is not None
            assert turn.transcript
        if turn.event == "TurnResumed":
            assert before.event == "EagerEndOfTurn"
        if turn.event == "EndOfTurn" and before.event == "EagerEndOfTurn":
            assert turn.transcript == before.transcript
        last[turn.turn_index] = turn


@pytest.mark.shows("turns")
@pytest.mark.parametrize(("threshold", "turns"), [(0.5, 6), (0.7, 4), (0.9, 2)])
async def test_thresholds(server: RealServer, threshold: float, turns: int) -> None:
    """The surer it must be the longer a silence it takes, two parties on one line and faster than in life, too."""
    async with session(server, eot_threshold=threshold) as live:
        told = [message for message in await told_of(live, MONO) if message.type == "TurnInfo"]
    ends = [turn for turn in told if turn.event == "EndOfTurn"]
    assert len(ends) == turns
    assert min(turn.end_of_turn_confidence for turn in ends) >= threshold
    assert " ".join(turn.transcript for turn in ends).split() == said_in_turn()


@pytest.mark.shows("turns")
async def test_an_end_that_is_taken_back(server: RealServer) -> None:
    """Told when the silence is long enough to think of an answer; withdrawn when the voice goes on."""
    async with session(server, eager_eot_threshold=0.5, eot_threshold=0.9) as live:
        await live.send_media(MONO[:CUT].tobytes())
        for at in range(CUT, AGAIN, 640):  # the silence comes when the words are there, as in life
            await live.send_media(MONO[at : min(at + 640, AGAIN)].tobytes())
            await asyncio.sleep(0.005)
        async with asyncio.timeout(PATIENCE_S):
            while (eager := await live.recv()).type != "TurnInfo" or eager.event != "EagerEndOfTurn":
                pass
        assert (eager.turn_index, eager.transcript) == (0, FIRST)
        assert 0.5 <= eager.end_of_turn_confidence < 0.9
        told = [message for message in await told_of(live, MONO[AGAIN:]) if message.type == "TurnInfo"]
    events = [turn.event for turn in told if turn.turn_index == 0 and turn.event != "Update"]
    assert events[0] == "TurnResumed"
    assert events[-1] == "EndOfTurn"
    [end] = [turn for turn in told if turn.turn_index == 0 and turn.event == "EndOfTurn"]
    assert end.transcript.startswith(f"{FIRST} {SCRIPT[1][1][0].word}")


@pytest.mark.shows("turns")
async def test_thresholds_that_change_on_the_way(server: RealServer) -> None:
    """From then on they count; a change that is none is refused, and changes nothing."""
    async with session(server, eot_threshold=0.9, keyterm=["callbridge"]) as live:
        for wrong in (
            {"thresholds": {"eot_threshold": 7}},
            {"thresholds": {"eager_eot_threshold": 0.9, "eot_threshold": 0.5}},
            {"keyterms": ["else"]},
        ):
            await live.send_configure({"type": "Configure", **wrong})
        await live.send_configure({"type": "Configure", "thresholds": {"eot_threshold": 0.5}})
        told = await told_of(live, MONO)
    failed = [message for message in told if message.type == "ConfigureFailure"]
    [changed] = [message for message in told if message.type == "ConfigureSuccess"]
    assert len(failed) == 3
    assert (changed.thresholds.eot_threshold, changed.thresholds.eot_timeout_ms) == (0.5, 5000)
    assert (changed.thresholds.eager_eot_threshold, changed.keyterms) == (None, ["callbridge"])
    ends = [message for message in told if message.type == "TurnInfo" and message.event == "EndOfTurn"]
    assert len(ends) == 6
    assert [message.sequence_id for message in told] == list(range(len(told)))


@pytest.mark.shows("turns", differs="keyterms and hints are given when a stream is opened, not by `Configure`")
async def test_a_turn_that_the_client_ends(server: RealServer) -> None:
    """It ends at once, marked; what cannot be changed on the way is said; unknown messages do nothing."""
    async with socket(server, QUERY) as live:
        assert (await live.receive_json(timeout=PATIENCE_S))["type"] == "Connected"
        await live.send_json({"type": "KeepAlive"})
        await live.send_bytes(MONO[:CUT].tobytes())
        await live.send_json({"type": "ForceEndTurn"})
        told = [await live.receive_json(timeout=PATIENCE_S)]
        while told[-1].get("event") != "EndOfTurn":
            told.append(await live.receive_json(timeout=PATIENCE_S))
        assert (told[-1]["trigger"], told[-1]["transcript"]) == ("manual", FIRST)
        await live.send_json({"type": "Configure", "keyterms": ["callbridge"]})
        assert (await live.receive_json(timeout=PATIENCE_S))["type"] == "ConfigureFailure"
        await live.send_bytes(MONO[CUT:].tobytes())
        await live.send_json({"type": "CloseStream"})
        ends = [one for one in await rest(live) if one.get("event") == "EndOfTurn"]
        assert live.close_code == 1000
    assert " ".join(one["transcript"] for one in ends).split() == said_in_turn()[len(SCRIPT[0][1]) :]
    assert ends[0]["turn_index"] == 1


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("model=nova-3", id="a-model-without-turns"),
        pytest.param("model=flux-general-en&encoding=linear16", id="no-rate"),
        pytest.param("model=flux-general-en&eot_threshold=0.1", id="a-threshold-out-of-bounds"),
        pytest.param("model=flux-general-en&eager_eot_threshold=0.9", id="eager-above-the-end"),
        pytest.param("model=flux-general-multi&language_hint=tlh", id="a-language-nobody-writes"),
    ],
)
async def test_refused_before_the_upgrade(server: RealServer, query: str) -> None:
    """With a status."""
    assert await refused(server, f"/v2/listen?{query}") == 400
    assert await refused(server, QUERY, headers={}) == 401


async def test_what_is_no_message(server: RealServer) -> None:
    """It ends the session with an error that is counted, too."""
    async with socket(server, QUERY) as live:
        await live.send_str("{")
        connected, error = await rest(live)
        assert live.close_code == 1008
    assert (connected["sequence_id"], error["type"], error["sequence_id"]) == (0, "Error", 1)
