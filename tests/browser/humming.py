"""A bot that hums on a call, and how a page tells that it hears it."""

from __future__ import annotations

from typing import Final

import aiohttp
import numpy as np

from tests.browser.scripted_server import KEY

PITCH_HZ: Final = 440
RATE: Final = 16_000
SECONDS: Final = 3

PITCH: Final = """const pitchOf = (stream) => {
    const context = new AudioContext();
    const analyser = new AnalyserNode(context, { fftSize: 8192 });
    context.createMediaStreamSource(stream).connect(analyser);
    const levels = new Float32Array(analyser.frequencyBinCount);
    return () => {
      analyser.getFloatFrequencyData(levels);
      const best = levels.indexOf(Math.max(...levels));
      return levels[best] > -50 ? (best * context.sampleRate) / analyser.fftSize : 0;
    };
  };
"""
"""A script's function: a stream's loudest pitch now, in Hz, as it is asked for; 0 while nothing is loud."""


async def hum(server: str, call_id: str) -> str:
    """To its end; how the mark behind it came back."""
    time = np.arange(SECONDS * RATE) / RATE
    sound = (8000 * np.sin(2 * np.pi * PITCH_HZ * time)).astype("<i2").tobytes()
    async with (
        aiohttp.ClientSession(server, headers={"Authorization": f"Bearer {KEY}"}) as session,
        session.ws_connect(f"/v1/calls/{call_id}/talk", params={"sample_rate": str(RATE)}) as bot,
    ):
        assert (await bot.receive_json())["type"] == "ready"
        await bot.send_bytes(sound)
        await bot.send_json({"type": "mark", "name": "hummed"})
        mark = await bot.receive_json()
        return str(mark["state"])
