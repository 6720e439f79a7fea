"""What VocaFuse's browser SDK sends, request for request: ask for leave, then PUT, in parts where it is told so."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import aiohttp

from tests.real_server import RealServer


async def grant(server: RealServer, token: str, size: int, *, status: int = 200, **asked: Any) -> dict[str, Any]:
    """The answer to `POST /upload`."""
    body = {
        "file_name": "recording.webm",
        "file_size": size,
        "audio_format": "webm",
        "duration_seconds": 3.2,
        "use_multipart": size > 5 * 2**20,
        "sdk_metadata": {"sample_rate": 44100, "channels": 1, "bit_rate": 128000},
        **asked,
    }
    headers = {"Authorization": f"Bearer {token}"}
    told: dict[str, Any] = await server.json("POST", "/upload", status=status, json=body, headers=headers)
    return told


async def put(url: str, data: bytes, content_type: str = "audio/webm;codecs=opus") -> tuple[int, str]:
    """No credential goes along: the address is one."""
    headers = {"Content-Type": content_type}
    async with aiohttp.ClientSession() as page, page.put(url, data=io.BytesIO(data), headers=headers) as response:
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        return response.status, await response.text()


async def send(server: RealServer, token: str, data: bytes, **asked: Any) -> str:
    """The id of what was sent."""
    granted = await grant(server, token, len(data), **asked)
    if granted["upload_type"] == "single":
        answers = [await put(granted["presigned_url"], data)]
    else:
        parts = granted["upload_info"]["parts"]
        answers = await asyncio.gather(
            *(put(part["presigned_url"], data[part["start_byte"] : part["end_byte"] + 1], "") for part in parts)
        )
    assert all(status == 200 for status, _ in answers), answers
    recording_id: str = granted["recording_id"]
    return recording_id
