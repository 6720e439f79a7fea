"""How evenly a bot's audio reaches its carrier while many do the same, and what the server spends on it.

    python scripts/measure_talk_back.py [CALLS] [SECONDS]

A server in a process of its own; here, as many Twilio calls as asked for, silent, and a bot on each that sends noise
without end. Each frame of 20 ms is timed when it comes, against the even beat that fits its call best; the first second
is left out: the carrier's queue is filled then. For figures of the program, and not of what else the machine does, give
it priority: `chrt -r 5 python scripts/measure_talk_back.py`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path

import aiohttp
import numpy as np

from bridge.bench.child import child_server
from bridge.bench.load import Server
from bridge.carrier.side import Dialled
from bridge.carrier.twilio import TwilioSide
from bridge.model.stream import Leg

FRAME_S = 0.02
FILLED = 50
"""Frames of the first second."""
SILENCE = bytes([0xFF]) * 160


async def call(session: aiohttp.ClientSession, server: Server, number: int, seconds: float) -> list[float]:
    """When each frame of one call came, in seconds."""
    name = f"talk-{number}"
    side = TwilioSide(Dialled(legs=(Leg.CALLER,), parameters={"call_id": name}, token=server.key))
    came: list[float] = []
    async with session.ws_connect("/v1/media/twilio") as carrier:
        for message in side.opening():
            await carrier.send_str(message)
        tasks = [
            asyncio.create_task(speak(carrier, side)),
            asyncio.create_task(talk(session, name)),
            asyncio.create_task(listen(carrier, came)),
        ]
        await asyncio.sleep(seconds)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return came


async def speak(carrier: aiohttp.ClientWebSocketResponse, side: TwilioSide) -> None:
    began, frame = time.monotonic(), 0
    while True:
        for message in side.media(frame * 20, {Leg.CALLER: SILENCE}):
            await carrier.send_str(message)
        frame += 1
        await asyncio.sleep(max(0.0, began + frame * FRAME_S - time.monotonic()))


async def listen(carrier: aiohttp.ClientWebSocketResponse, came: list[float]) -> None:
    async for message in carrier:
        moment = time.monotonic()
        if json.loads(message.data)["event"] == "media":
            came += [moment]


async def talk(session: aiohttp.ClientSession, name: str) -> None:
    noise = np.random.default_rng(1).integers(-3000, 3000, 8000).astype("<i2").tobytes()
    while True:
        try:
            async with session.ws_connect(f"/v1/calls/{name}/talk") as bot:
                while True:
                    await bot.send_bytes(noise)
        except aiohttp.WSServerHandshakeError:  # the call is not there yet
            await asyncio.sleep(0.05)


def jitter_ms(came: list[float]) -> np.ndarray:
    """How far each frame lies off the beat."""
    off = np.array(came)[FILLED:] - FRAME_S * np.arange(len(came) - FILLED)
    return 1000 * np.abs(off - np.median(off))


def child_of_ours() -> int:
    """The server's process."""
    [child] = Path(f"/proc/self/task/{os.getpid()}/children").read_text("ascii").split()
    return int(child)


def cpu_s(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


async def main(calls: int, seconds: float) -> None:
    async with child_server({}) as server:
        pid = child_of_ours()
        headers = {"Authorization": f"Bearer {server.key}"}
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(server.url, headers=headers, connector=connector) as session:
            before = cpu_s(pid)
            print(f"{calls} calls for {seconds:g} s", flush=True)
            came = await asyncio.gather(*(call(session, server, number, seconds) for number in range(calls)))
            spent = (cpu_s(pid) - before) / seconds
    off = np.concatenate([jitter_ms(each) for each in came])
    fast = sum(len(each) for each in came) / calls / seconds
    print(f"{len(off)} frames, {fast:.1f} a second and call")
    print(f"off the beat: median {np.median(off):.1f} ms, p95 {np.percentile(off, 95):.1f} ms, most {off.max():.0f} ms")
    print(f"the server took {100 * spent:.0f} % of one core")


if __name__ == "__main__":
    given = sys.argv[1:]
    asyncio.run(main(int(given[0]) if given else 24, float(given[1]) if len(given) > 1 else 30.0))
