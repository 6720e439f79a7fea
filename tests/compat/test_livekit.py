"""LiveKit Agents' own speech-to-text plugins, pointed at us: how a voice agent changes its recogniser.

They are no dependency of the tests: LiveKit Agents brings a media stack. In a virtual environment of its own:
`pip install livekit-plugins-deepgram livekit-plugins-smallestai livekit-plugins-telnyx`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from tests.compat.wire import PATIENCE_S
from tests.real_server import KEY, RealServer
from tests.recorded import channels, said_in_turn
from tests.tones import LINE_RATE

rtc = pytest.importorskip("livekit.rtc", reason="LiveKit is not installed: pip install livekit-agents")
agents = pytest.importorskip("livekit.agents", reason="LiveKit is not installed: pip install livekit-agents")
deepgram = pytest.importorskip("livekit.plugins.deepgram", reason="pip install livekit-plugins-deepgram")
smallestai = pytest.importorskip("livekit.plugins.smallestai", reason="pip install livekit-plugins-smallestai")
telnyx = pytest.importorskip("livekit.plugins.telnyx", reason="pip install livekit-plugins-telnyx")

MONO = channels()[0]
ONCE = agents.APIConnectOptions(max_retry=0, timeout=PATIENCE_S)

PLUGINS: dict[str, Callable[[RealServer, aiohttp.ClientSession], Any]] = {
    "deepgram": lambda server, http: deepgram.STT(
        base_url=f"{server.url}/v1/listen", api_key=KEY, http_session=http, endpointing_ms=300
    ),
    "deepgram-flux": lambda server, http: deepgram.STTv2(
        base_url=f"{server.ws_url}/v2/listen", api_key=KEY, http_session=http, eot_threshold=0.5
    ),
    "smallestai": lambda server, http: smallestai.STT(
        base_url=f"{server.url}/waves/v1", stream_path="/stt/live", api_key=KEY, http_session=http
    ),
    "telnyx": lambda server, http: telnyx.STT(
        base_url=f"{server.ws_url}/v2/speech-to-text/transcription", api_key=KEY, http_session=http
    ),
}


def frames() -> list[Any]:
    """Ten milliseconds each."""
    step = LINE_RATE // 100
    return [
        rtc.AudioFrame(MONO[at : at + step].tobytes(), LINE_RATE, 1, len(MONO[at : at + step]))
        for at in range(0, len(MONO), step)
    ]


@pytest.mark.parametrize("name", PLUGINS)
async def test_an_agent_hears(server: RealServer, name: str) -> None:
    """Every word as a final, with starts and ends of speech around them, until the agent's audio ends."""
    async with aiohttp.ClientSession() as http:
        stream = PLUGINS[name](server, http).stream(conn_options=ONCE)
        for frame in frames():
            stream.push_frame(frame)
        stream.end_input()
        async with asyncio.timeout(2 * PATIENCE_S):
            told = [event async for event in stream]
        await stream.aclose()
    kinds = [event.type for event in told]
    finals = [event for event in told if event.type == agents.stt.SpeechEventType.FINAL_TRANSCRIPT]
    assert " ".join(event.alternatives[0].text for event in finals).split() == said_in_turn()
    assert kinds.count(agents.stt.SpeechEventType.START_OF_SPEECH) >= 1
    assert kinds.count(agents.stt.SpeechEventType.END_OF_SPEECH) >= 1


@pytest.mark.parametrize("name", ["deepgram", "smallestai"])
async def test_an_agent_has_a_recording_read(server: RealServer, name: str) -> None:
    """By HTTP."""
    async with aiohttp.ClientSession() as http:
        told = await PLUGINS[name](server, http).recognize(frames(), conn_options=ONCE)
    assert told.alternatives[0].text.split() == said_in_turn()
