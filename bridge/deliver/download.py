"""A customer's recording, fetched through the guard: no redirects, no more than it may have, in the time it has."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import aiohttp
from aiohttp import hdrs

from bridge.deliver.guard import GuardedSession
from bridge.errors import FetchError, InvalidRequestError, TooLargeError

PIECE: Final = 64 * 1024
"""Bytes read at a time."""

AS_IT_IS: Final = "identity"
"""RFC 9110 §8.4: not compressed."""

TYPES: Final = ("audio/", "video/", "application/octet-stream", "binary/octet-stream", "application/ogg")
"""What a recording is sent as. A page that asks for a password is none."""


async def download(
    session: GuardedSession, url: str, write: Callable[[bytes], Awaitable[None]], *, most_bytes: int, within_s: float
) -> None:
    """Hand what `url` answers with to `write`, piece by piece.

    Raises FetchError when the address is not public, does not answer with a 2xx and a recording in time, or redirects;
    TooLargeError when it has more than `most_bytes`: of those no more than a piece too many is read, and none of them
    written; and what `write` raises.
    """
    try:
        async with await session.request(
            hdrs.METH_GET,
            url,
            headers={hdrs.ACCEPT_ENCODING: AS_IT_IS},
            timeout=aiohttp.ClientTimeout(total=within_s),
        ) as response:
            _check(response, most_bytes)
            read = 0
            async for piece in response.content.iter_chunked(PIECE):
                read += len(piece)
                if read > most_bytes:
                    raise _too_large(most_bytes)
                await write(piece)
    except InvalidRequestError as error:
        raise FetchError(error.message, **error.details) from None
    except TimeoutError:
        raise _unread(f"was not read within {within_s:g} s") from None
    except aiohttp.ClientConnectorError as error:
        raise _unread(f"cannot be reached: {error.strerror}") from None
    except (aiohttp.ClientError, ValueError) as error:
        raise _unread(f"cannot be read: {type(error).__name__}") from None


def _check(response: aiohttp.ClientResponse, most_bytes: int) -> None:
    if 300 <= response.status < 400:
        raise _unread("redirects, which is not followed; give the address it leads to")
    if not 200 <= response.status < 300:
        raise _unread(f"answers with status {response.status}")
    if response.headers.get(hdrs.CONTENT_ENCODING, AS_IT_IS).lower() != AS_IT_IS:
        raise _unread("answers compressed, which was not asked for")
    if hdrs.CONTENT_TYPE in response.headers and not response.content_type.startswith(TYPES):
        raise _unread(f"answers with {response.content_type[:64]!r}, which is no recording")
    if response.content_length is not None and response.content_length > most_bytes:
        raise _too_large(most_bytes)


def _too_large(most_bytes: int) -> TooLargeError:
    return TooLargeError(f"url: has more than {most_bytes} bytes", limit=most_bytes)


def _unread(why: str) -> FetchError:
    return FetchError(f"url: {why}", fields={"url": why})
