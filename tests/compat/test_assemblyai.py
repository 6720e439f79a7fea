"""AssemblyAI's own SDK, pointed at us: live audio over a WebSocket, in turns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from callcodecs.g711 import encode_ulaw
from tests.compat.wire import PATIENCE_S, refused, rest, socket
from tests.real_server import KEY, RealServer
from tests.recorded import channels, file_of, said_in_turn
from tests.tones import DURATION_MS, LINE_RATE, SCRIPT

v3 = pytest.importorskip("assemblyai.streaming.v3", reason="the SDK is not installed: pip install assemblyai")

pytestmark = pytest.mark.surface("assemblyai")

MONO = channels()[0]
PCM = MONO.tobytes()
CHUNK = LINE_RATE // 10
CUT = (SCRIPT[0][1][-1].end_ms + 60) * LINE_RATE // 1000
"""In the silence behind the first utterance, too short to end it."""


class Session:
    """One session of the SDK, and all that it was told."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.told: list[Any] = []
        self.news = asyncio.Event()
        for event in v3.StreamingEvents:
            client.on(event, self._hear)

    def _hear(self, _: Any, event: Any) -> None:
        self.told.append(event)
        self.news.set()

    async def send(self, data: bytes, *, pause_s: float = 0) -> None:
        for at in range(0, len(data), 2 * CHUNK + 1):
            await self.client.stream(data[at : at + 2 * CHUNK + 1])
            await asyncio.sleep(pause_s)

    async def until(self, kind: str, **fields: Any) -> Any:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                for event in self.of(kind):
                    if all(getattr(event, name) == value for name, value in fields.items()):
                        return event
                self.news.clear()
                await self.news.wait()

    def of(self, kind: str) -> list[Any]:
        return [event for event in self.told if getattr(event, "type", None) == kind]

    def ends(self) -> list[Any]:
        return [turn for turn in self.of("Turn") if turn.end_of_turn]


@asynccontextmanager
async def session(server: RealServer, **asked: Any) -> AsyncIterator[Session]:
    options = v3.StreamingClientOptions(api_key=KEY, api_host=server.ws_url, connect_timeout=PATIENCE_S)
    client = v3.AsyncStreamingClient(options)
    live = Session(client)
    await client.connect(v3.StreamingParameters(**{"sample_rate": LINE_RATE, **asked}))
    try:
        yield live
    finally:
        await client.disconnect(terminate=True)


@pytest.mark.shows("live audio")
@pytest.mark.shows("words with times")
@pytest.mark.shows("last words before the close")
@pytest.mark.shows("speech events")
async def test_turns(server: RealServer) -> None:
    """`Begin`, a turn for each stretch of speech with times in whole milliseconds, `Termination` as the last word."""
    async with session(server, keyterms_prompt=["tone"]) as live:
        await live.send(PCM)
    begin, *_, last = live.told
    assert (begin.type, last.type) == ("Begin", "Termination")
    assert last.audio_duration_seconds == DURATION_MS // 1000
    assert [turn.turn_order for turn in live.ends()] == list(range(len(SCRIPT)))
    assert [turn.transcript.split() for turn in live.ends()] == [[w.word for w in words] for _, words in SCRIPT]
    for turn, (_, words) in zip(live.ends(), SCRIPT, strict=True):
        assert turn.turn_is_formatted is False
        assert [word.text for word in turn.words] == [word.word for word in words]
        assert [word.start for word in turn.words] == pytest.approx([word.start_ms for word in words], abs=100)
        assert all(word.word_is_final for word in turn.words)
        assert turn.language_code is None
    assert len(live.of("SpeechStarted")) == len(SCRIPT)


@pytest.mark.shows("interim results", differs="words that are not final yet have estimated times")
async def test_what_is_not_final_yet(server: RealServer) -> None:
    """Turns grow while somebody speaks, with the number that they end with; none are shown that are not wanted."""
    for wanted in (True, False):
        async with session(server, include_partial_turns=wanted) as live:
            await live.send(PCM[: 2 * CUT], pause_s=0.015)  # time for a partial
        growing = [turn for turn in live.of("Turn") if not turn.end_of_turn]
        assert bool(growing) is wanted
        for turn in growing:
            assert turn.turn_order == 0
            assert turn.transcript.split() == [word.text for word in turn.words if word.word_is_final]
            starts = [word.start for word in turn.words]
            assert starts == sorted(starts)


@pytest.mark.shows("G.711 at 8 kHz")
@pytest.mark.shows("language found out")
async def test_formatted_turns_end_twice(server: RealServer) -> None:
    """First as it was heard, then again under the same number as it is written."""
    async with session(server, format_turns=True, encoding="pcm_mulaw", language_detection=True) as live:
        await live.send(encode_ulaw(MONO))
    ends = [(turn.turn_order, turn.turn_is_formatted) for turn in live.ends()]
    assert ends == [(order, formatted) for order in range(len(SCRIPT)) for formatted in (False, True)]
    assert " ".join(turn.transcript for turn in live.ends() if turn.turn_is_formatted).split() == said_in_turn()
    assert {turn.language_code for turn in live.ends()} == {"en"}


@pytest.mark.shows("containers while they come")
async def test_ogg(server: RealServer) -> None:
    """A container says itself what it holds."""
    async with socket(server, "/v3/ws?encoding=ogg_opus", headers={"Authorization": KEY}) as live:
        await live.send_bytes(file_of("ogg", channels()))
        await live.send_json({"type": "Terminate"})
        told = await rest(live)
        assert live.close_code == 1000
    ends = [one["transcript"] for one in told if one["type"] == "Turn" and one["end_of_turn"]]
    assert " ".join(ends).split() == said_in_turn()


@pytest.mark.shows("finalize")
async def test_an_end_that_the_client_forces(server: RealServer) -> None:
    """The turn ends at once; what cannot be changed on the way is said, what can be is."""
    async with session(server) as live:
        await live.send(PCM[: 2 * CUT])
        await live.client.force_endpoint()
        turn = await live.until("Turn", end_of_turn=True)
        assert turn.transcript.split() == [word.word for word in SCRIPT[0][1]]
        await live.client.keep_alive()
        await live.client.set_params(v3.StreamingSessionParameters(format_turns=True, max_turn_silence=200))
        warning = await live.until("Warning")
        assert "max_turn_silence" in warning.warning
        assert "format_turns" not in warning.warning
        await live.send(PCM[2 * CUT :])
    assert sum(turn.turn_is_formatted for turn in live.ends()) == len(SCRIPT) - 1


@pytest.mark.shows("short-lived tokens", differs="good until they expire, not for one session alone")
async def test_tokens_for_browsers(server: RealServer) -> None:
    """A token opens a session from the address alone; it has an end that is asked for."""
    granted = await server.json("GET", "/v3/token?expires_in_seconds=60")
    where = f"/v3/ws?sample_rate={LINE_RATE}&token={granted['token']}"
    async with socket(server, where, headers={}) as live:
        assert (await live.receive_json(timeout=PATIENCE_S))["type"] == "Begin"
    for seconds in ("0", "601", "soon"):
        await server.json("GET", f"/v3/token?expires_in_seconds={seconds}", status=400)


@pytest.mark.shows("faults in its shape")
@pytest.mark.parametrize(
    "query",
    [
        pytest.param("encoding=pcm_s16le", id="no-rate"),
        pytest.param("encoding=g729&sample_rate=8000", id="an-encoding-nobody-decodes"),
        pytest.param("sample_rate=8000&language_code=tlh", id="a-language-nobody-writes"),
        pytest.param("sample_rate=8000&keyterms_prompt=[1", id="no-array"),
    ],
)
async def test_what_is_wrong_is_said_on_the_socket(server: RealServer, query: str) -> None:
    """With AssemblyAI's code, which the socket is closed with too."""
    async with socket(server, f"/v3/ws?{query}", headers={"Authorization": KEY}) as live:
        [told] = await rest(live)
        assert (told["type"], told["error_code"], live.close_code) == ("Error", 3006, 3006)


async def test_strangers(server: RealServer) -> None:
    """Without a key no socket opens."""
    assert await refused(server, f"/v3/ws?sample_rate={LINE_RATE}", headers={"Authorization": "wrong"}) == 401
    assert await server.json("GET", "/v3/ws", status=400) == {"error": "this is a WebSocket"}


async def test_what_is_no_message(server: RealServer) -> None:
    """It ends the session as the client's fault."""
    async with socket(server, f"/v3/ws?sample_rate={LINE_RATE}", headers={"Authorization": KEY}) as live:
        await live.send_str("{")
        told = await rest(live)
        assert live.close_code == 3006
    assert [one["type"] for one in told] == ["Begin", "Error", "Termination"]
