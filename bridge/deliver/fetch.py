"""Recordings fetched from a customer's address: through the guard, without redirects, within size and time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import aiohttp

from bridge.deliver.guard import GuardedSession
from bridge.errors import FetchError, InvalidRequestError

CONNECT_S: Final = 10
SILENCE_S: Final = 30
"""Nothing comes for so long: the other side is stuck."""
WHOLE_S: Final = 900
PIECE: Final = 64 * 1024

TYPES: Final = ("audio/", "video/", "application/octet-stream", "binary/octet-stream", "application/ogg")
"""What a recording is sent as. A page that asks for a password is none."""


async def fetch(session: GuardedSession, url: str, write: Callable[[bytes], Awaitable[None]]) -> None:
    """Hand what is at `url` to `write`, piece by piece.

    Raises FetchError that says why there is nothing, and what `write` raises: it counts the bytes.
    """
    limits = aiohttp.ClientTimeout(total=WHOLE_S, sock_connect=CONNECT_S, sock_read=SILENCE_S)
    plain = {"Accept-Encoding": "identity"}  # what is packed is not as large as it says
    try:
        async with await session.request("GET", url, timeout=limits, headers=plain) as response:
            _check(response)
            async for piece in response.content.iter_chunked(PIECE):
                await write(piece)
    except InvalidRequestError as error:
        raise FetchError(error.message) from None
    except (TimeoutError, aiohttp.ClientError, OSError) as error:
        # An address inside the network is answered like one that nobody listens at.
        why = "took too long" if isinstance(error, TimeoutError) else "could not be reached, or broke off"
        raise FetchError(f"the recording's address {why}") from None


def _check(response: aiohttp.ClientResponse) -> None:
    """Raises FetchError."""
    if 300 <= response.status < 400:
        raise FetchError("the recording's address answers with a redirect, which is not followed")
    if response.status != 200:
        raise FetchError(f"the recording's address answers with status {response.status}")
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise FetchError("the recording's address answers with packed bytes, which were not asked for")
    if "Content-Type" in response.headers and not response.content_type.startswith(TYPES):
        raise FetchError(f"the recording's address answers with {response.content_type[:64]!r}, which is no recording")
