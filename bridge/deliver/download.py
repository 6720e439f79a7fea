"""A customer's file, fetched through the guard: no redirects, and no more bytes or time than it may have."""

from __future__ import annotations

from typing import BinaryIO, Final

import aiohttp
from aiohttp import hdrs

from bridge.deliver.guard import GuardedSession
from bridge.errors import InvalidRequestError

PIECE: Final = 64 * 1024
"""Bytes read at a time."""

AS_IT_IS: Final = "identity"
"""RFC 9110 §8.4: not compressed."""


async def download(session: GuardedSession, url: str, into: BinaryIO, *, most_bytes: int, within_s: float) -> int:
    """Write what `url` answers with `into` a file; the number of its bytes.

    Raises InvalidRequestError when the address is not public, does not answer with a 2xx in time, redirects, or has
    more than `most_bytes`: of those no more than a piece too many is read, and none of them written.
    """
    try:
        async with await session.request(
            hdrs.METH_GET,
            url,
            headers={hdrs.ACCEPT_ENCODING: AS_IT_IS},
            timeout=aiohttp.ClientTimeout(total=within_s),
        ) as response:
            _check(response, most_bytes)
            written = 0
            async for piece in response.content.iter_chunked(PIECE):
                written += len(piece)
                if written > most_bytes:
                    raise _too_large(most_bytes)
                into.write(piece)
            return written
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
    if response.content_length is not None and response.content_length > most_bytes:
        raise _too_large(most_bytes)


def _too_large(most_bytes: int) -> InvalidRequestError:
    return _unread(f"has more than {most_bytes} bytes")


def _unread(why: str) -> InvalidRequestError:
    return InvalidRequestError(f"url: {why}", fields={"url": why})
