"""Talking back: a bot's audio, over the real server, to a caller who is there as Twilio tells it."""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import json
import wave
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from aiohttp import WSMsgType
from aioice import ice
from click.testing import CliRunner

from bridge.carrier.audio import CallAudio, encode
from bridge.carrier.place import place_call
from bridge.carrier.side import Dialled
from bridge.carrier.twilio import TwilioSide
from bridge.cli.play import command as play
from bridge.clock import SystemClock
from bridge.model.stream import Leg
from callcodecs import g711
from tests.real_server import KEY, RealServer, hear_tones, real_server
from tests.tones import LINE_RATE, _tone

PATIENCE_S = 10
EXAMPLE = Path(__file__).parents[2] / "examples" / "echo_bot.py"


@pytest.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RealServer]:
    hear_tones(monkeypatch)
    async with real_server(tmp_path) as running:
        yield running


ULAW = TwilioSide.media_format


def _tones(*numbers: int) -> np.ndarray:
    gap = np.zeros(LINE_RATE // 8)
    return np.concatenate([part for number in numbers for part in (_tone(number), gap)])


class Caller:
    """Twilio's end of a stream, by hand."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._side = TwilioSide(Dialled(legs=(Leg.CALLER,), parameters={"call_id": "c1", "turns": "bot"}, token=KEY))
        self._frame = 0

    async def ring(self, server: RealServer) -> None:
        """The call is there when this returns."""
        for message in self._side.opening():
            await self._socket.send_str(message)
        await self.say(bytes([255]) * 160)
        async with asyncio.timeout(PATIENCE_S):
            while True:
                async with server.session.get("/v1/calls/c1") as response:
                    if response.status == 200:
                        return
                await asyncio.sleep(0.01)

    async def say(self, payload: bytes) -> None:
        for message in self._side.media(self._frame * 20, {Leg.CALLER: payload}):
            await self._socket.send_str(message)
        self._frame += 1

    async def next(self) -> dict[str, Any]:
        """What comes back next."""
        async with asyncio.timeout(PATIENCE_S):
            told: dict[str, Any] = await self._socket.receive_json()
            return told

    async def hear(self, count: int) -> bytes:
        """So many bytes of what comes back."""
        heard = b""
        while len(heard) < count:
            heard += base64.b64decode((await self.next())["media"]["payload"])
        return heard

    async def give_back(self, name: str) -> None:
        await self._socket.send_str(json.dumps({"event": "mark", "streamSid": "x", "mark": {"name": name}}))

    async def hang_up(self) -> None:
        for message in self._side.closing():
            await self._socket.send_str(message)
        await self._socket.close()


@asynccontextmanager
async def calling(server: RealServer) -> AsyncIterator[Caller]:
    async with server.session.ws_connect("/v1/media/twilio") as socket:
        caller = Caller(socket)
        await caller.ring(server)
        yield caller


@asynccontextmanager
async def talking(server: RealServer, **query: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A bot's socket that is ready."""
    async with server.session.ws_connect("/v1/calls/c1/talk", params=query) as bot:
        assert (await told(bot))["type"] == "ready"
        yield bot


async def told(bot: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE_S):
        found: dict[str, Any] = await bot.receive_json()
        return found


async def test_what_a_bot_says_reaches_the_caller_sample_for_sample(server: RealServer) -> None:
    """In Twilio's messages, in its order, and the mark behind it goes to the carrier and comes back."""
    said = bytes(np.random.default_rng(1).integers(0, 256, 1600, dtype=np.uint8))
    async with calling(server) as caller, talking(server, encoding="mulaw") as bot:
        await bot.send_bytes(said[:700])
        await bot.send_bytes(said[700:])
        await bot.send_json({"type": "mark", "name": "greeting"})
        heard = await caller.hear(len(said))
        assert np.array_equal(g711.decode_ulaw(heard), g711.decode_ulaw(said))
        await caller.give_back((await caller.next())["mark"]["name"])
        assert await told(bot) == {"type": "mark", "name": "greeting", "state": "played"}


async def test_a_bot_that_is_stopped_is_silent_at_once(server: RealServer) -> None:
    """`clear`: the carrier is told within 100 ms, nothing of the rest is sent, and its mark comes back as cleared."""
    async with calling(server) as caller, talking(server, encoding="mulaw") as bot:
        await bot.send_bytes(bytes(40_000))
        await bot.send_json({"type": "mark", "name": "end"})
        await caller.hear(800)
        asked = asyncio.get_running_loop().time()
        await bot.send_json({"type": "clear"})
        while (message := await caller.next())["event"] != "clear":
            pass
        assert asyncio.get_running_loop().time() - asked < 0.1
        assert message == {"event": "clear", "streamSid": message["streamSid"]}
        assert await told(bot) == {"type": "mark", "name": "end", "state": "cleared"}
        assert await told(bot) == {"type": "cleared", "reason": "asked"}
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.15):
                await caller._socket.receive()


async def test_who_speaks_over_the_bot_is_not_spoken_over(server: RealServer) -> None:
    """`barge_in=clear`: a turn that starts while something is played stops it."""
    words = encode(CallAudio({Leg.CALLER: (_tone(3) * 32767).astype(np.int16)}, LINE_RATE), TwilioSide.media_format)
    async with calling(server) as caller, talking(server, encoding="mulaw", barge_in="clear") as bot:
        await bot.send_bytes(bytes(80_000))
        await caller.hear(1600)
        for frame in words.frames:
            await caller.say(frame[Leg.CALLER])
        while (await caller.next())["event"] != "clear":
            pass
        assert await told(bot) == {"type": "cleared", "reason": "barge_in"}


async def test_the_bots_own_echo_does_not_stop_it(server: RealServer) -> None:
    """What comes back of its words, softer, is nobody's turn; a voice over them stops it."""
    sentence = encode(CallAudio({Leg.CALLER: (_tones(4, 5, 6) * 32767).astype(np.int16)}, LINE_RATE), ULAW)
    voice = encode(CallAudio({Leg.CALLER: (_tone(9) * 32767).astype(np.int16)}, LINE_RATE), ULAW)
    async with calling(server) as caller, talking(server, encoding="mulaw", barge_in="clear") as bot:
        await bot.send_bytes(b"".join(frame[Leg.CALLER] for frame in sentence.frames))
        await bot.send_json({"type": "mark", "name": "said"})
        for _ in sentence.frames:
            heard = g711.decode_ulaw(await caller.hear(160))
            await caller.say(g711.encode_ulaw((heard * 0.4).astype(np.int16)))
        await caller.give_back((await caller.next())["mark"]["name"])
        assert await told(bot) == {"type": "mark", "name": "said", "state": "played"}
        await bot.send_bytes(bytes(80_000))
        for frame in voice.frames:
            await caller.say(frame[Leg.CALLER])
        assert await told(bot) == {"type": "cleared", "reason": "barge_in"}


async def test_the_bot_is_sent_away_when_the_call_is_over(server: RealServer) -> None:
    """With a normal close; whoever comes then is refused."""
    async with calling(server) as caller, talking(server) as bot:
        await caller.hang_up()
        async with asyncio.timeout(PATIENCE_S):
            assert (await bot.receive()).type is WSMsgType.CLOSE
        assert bot.close_code == 1000
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await server.session.ws_connect("/v1/calls/c1/talk")
    assert refused.value.status == 409


async def test_one_bot_talks_at_a_time(server: RealServer) -> None:
    """A second one is refused; when the first has left there is room."""
    async with calling(server):
        async with talking(server):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await server.session.ws_connect("/v1/calls/c1/talk")
            assert refused.value.status == 409
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    async with talking(server):
                        return
                except aiohttp.WSServerHandshakeError:
                    await asyncio.sleep(0.01)


@pytest.mark.parametrize("order", ["nonsense", "[1]", '{"type": "dance"}', '{"type": "mark"}'])
async def test_an_order_that_is_none_ends_the_bots_socket_alone(server: RealServer, order: str) -> None:
    """By name; the call goes on."""
    async with calling(server) as caller:
        async with talking(server) as bot:
            await bot.send_str(order)
            message = await bot.receive()
            assert (message.type, message.data) == (WSMsgType.CLOSE, 1008)
            assert message.extra.startswith("invalid_request")
        await caller.say(bytes(160))
        assert (await server.json("GET", "/v1/calls/c1"))["status"] == "in_progress"


@pytest.mark.parametrize(
    ("path", "status"),
    [("/v1/calls/nobody/talk", 404), ("/v1/calls/c1/talk?sample_rate=7", 400), ("/v1/calls/c1/talk?encoding=mp3", 422)],
)
async def test_who_cannot_talk_is_told_why(server: RealServer, path: str, status: int) -> None:
    """By an HTTP status, before the upgrade."""
    async with calling(server):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await server.session.ws_connect(path)
        assert refused.value.status == status


async def test_the_example_bot_answers_a_caller(server: RealServer, tmp_path: Path) -> None:
    """A simulated Twilio call: two words and silence; when the turn is over, two beeps come back on the line."""
    spec = importlib.util.spec_from_file_location("echo_bot", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    echo_bot = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(echo_bot)
    bot = asyncio.create_task(echo_bot.run(server.url, KEY))
    await asyncio.sleep(0.2)
    gap = np.zeros(LINE_RATE // 8)
    line = np.concatenate([gap, _tone(1), gap, _tone(2), np.zeros(5 * LINE_RATE // 2)])
    audio = CallAudio({Leg.CALLER: (line * 32767).astype(np.int16)}, LINE_RATE)
    side = TwilioSide(Dialled(legs=(Leg.CALLER,), parameters={"turns": "bot", "eot_threshold": "0.4"}, token=KEY))
    url = f"{server.ws_url}/v1/media/twilio"
    await place_call(url, encode(audio, side.media_format), side, clock=SystemClock())
    bot.cancel()
    heard = g711.decode_ulaw(b"".join(side.answer)).astype(float)
    loud = np.abs(heard) > 1000
    assert np.count_nonzero(np.diff(np.flatnonzero(loud)) > 400) == 1, "two beeps"
    assert np.argmax(np.abs(np.fft.rfft(heard, 8000))) == pytest.approx(440, abs=8)


async def twilio_address(server: RealServer) -> list[str]:
    return ["--to", f"{server.ws_url}/v1/media/twilio", "--param", "call_id=c1"]


async def rtp_address(server: RealServer) -> list[str]:
    opened = await server.json("POST", "/v1/rtp", status=201, json={"call_id": "c1"})
    return ["--to", f"rtp://127.0.0.1:{opened['legs'][0]['port']}"]


async def whip_address(server: RealServer) -> list[str]:
    return ["--to", f"{server.url}/v1/whip", "--param", "call_id=c1", "--codec", "PCMU"]


@pytest.mark.parametrize("address", [twilio_address, rtp_address, whip_address])
async def test_play_keeps_the_answer(
    server: RealServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    address: Callable[[RealServer], Awaitable[list[str]]],
) -> None:
    """`callbridge play --answer`: what a bot said, as a WAV file, sample for sample."""
    monkeypatch.setattr(ice, "get_host_addresses", lambda **_: ["127.0.0.1"])
    said = bytes(np.random.default_rng(2).integers(0, 256, 3200, dtype=np.uint8))
    quiet, answer = tmp_path / "quiet.wav", tmp_path / "answer.wav"
    with wave.open(str(quiet), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(3 * 16_000))
    arguments = [str(quiet), *await address(server), "--token", KEY, "--answer", str(answer)]
    placing = asyncio.create_task(asyncio.to_thread(CliRunner().invoke, play, arguments))
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                async with talking(server, encoding="mulaw") as bot:
                    await bot.send_bytes(said)
                    await bot.send_json({"type": "mark", "name": "end"})
                    assert (await told(bot))["state"] == "played"
                    break
            except aiohttp.WSServerHandshakeError:
                await asyncio.sleep(0.02)
    assert (await placing).exit_code == 0
    with wave.open(str(answer), "rb") as file:
        heard = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    assert np.array_equal(heard, g711.decode_ulaw(said))
