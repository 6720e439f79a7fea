"""A voice bot in forty lines: whenever a caller has finished speaking, it answers with a beep for each word.

    python examples/echo_bot.py http://127.0.0.1:8080 "$CALLBRIDGE_TOKEN"

The call's stream needs the parameter `turns=bot`, and must be one that can be answered (Twilio: `<Connect><Stream>`).
"""

import asyncio
import sys

import aiohttp
import numpy as np

RATE = 16_000


def beeps(count: int) -> bytes:
    """A quarter of a second for each: half of it a tone, the rest silence; 16-bit samples."""
    time = np.arange(RATE // 8) / RATE
    tone = 8000 * np.sin(2 * np.pi * 440 * time) * np.hanning(len(time))
    return np.tile(np.concatenate([tone, np.zeros(RATE // 8)]), count).astype("<i2").tobytes()


async def run(server: str, key: str) -> None:
    """Follow all calls; speak in those in which somebody has finished a turn."""
    async with aiohttp.ClientSession(server, headers={"Authorization": f"Bearer {key}"}) as session:
        lines: dict[str, aiohttp.ClientWebSocketResponse] = {}
        async with session.ws_connect("/v1/events") as events:
            async for message in events:
                event = message.json()
                call = event["call_id"]
                if event["type"] == "turn.ended" and event["leg"] == "caller":
                    if call not in lines:
                        query = {"encoding": "linear16", "sample_rate": str(RATE), "barge_in": "clear"}
                        lines[call] = await session.ws_connect(f"/v1/calls/{call}/talk", params=query)
                    await lines[call].send_bytes(beeps(len(event["text"].split())))
                elif event["type"] == "call.ended" and call in lines:
                    await lines.pop(call).close()


if __name__ == "__main__":
    asyncio.run(run(*sys.argv[1:3]))
