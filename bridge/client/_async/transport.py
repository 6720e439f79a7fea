"""Requests with their retries: the one place that talks HTTP."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, Self

import httpx

from bridge.client.errors import TransportError, error_of, seconds_of
from bridge.client.policy import Retries

SILENCE_S: Final = 60.0
"""The server says something at least every 15 s; a stream that is silent for longer is a line that broke unnoticed."""

log = logging.getLogger("callbridge.client")


class AsyncTransport:
    """One connection pool, one credential."""

    def __init__(
        self,
        base_url: str,
        credential: str,
        *,
        timeout: float,
        retries: Retries,
        http: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.base_url = base_url
        self.retries = retries
        self._http = httpx.AsyncClient(
            base_url=base_url,
            headers={"Authorization": f"Bearer {credential}", "User-Agent": "callbridge-python"},
            timeout=timeout,
            transport=http,
        )

    async def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        data: Mapping[str, Any] | None = None,
        files: Mapping[str, Any] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # httpx's, for one request
    ) -> Any:
        """The answer's JSON, `{}` for an empty one, text for what is no JSON. Raises CallbridgeError."""
        given = {name: value for name, value in (params or {}).items() if value is not None}
        extra: dict[str, Any] = {} if timeout is None else {"timeout": timeout}
        tried = 0
        while True:
            tried += 1
            began = time.monotonic()
            answer: httpx.Response | None = None
            try:
                answer = await self._http.request(
                    method, path, params=given, json=json, data=data, files=files, **extra
                )
            except httpx.HTTPError as error:
                wait_s = self.retries.wait_s(tried, method, status=None)
                if isinstance(error, httpx.ConnectError):  # nothing was sent
                    wait_s = self.retries.wait_s(tried, "GET", status=None)
                if wait_s is None:
                    raise TransportError(f"{method} {path}: {type(error).__name__}: {error}") from error
            else:
                log.debug("%s %s %s in %.0f ms", method, path, answer.status_code, 1000 * (time.monotonic() - began))
                if answer.status_code < 400:
                    return _body(answer)
                asked_s = seconds_of(answer.headers.get("retry-after"))
                wait_s = self.retries.wait_s(tried, method, status=answer.status_code, asked_s=asked_s)
                if wait_s is None:
                    raise error_of(answer.status_code, _body(answer), answer.headers.get("retry-after"))
            log.debug("%s %s again in %.1f s", method, path, wait_s)
            await asyncio.sleep(wait_s)

    @asynccontextmanager
    async def stream(self, path: str, headers: Mapping[str, str]) -> AsyncIterator[httpx.Response]:
        """An answer that is read while it comes. Raises CallbridgeError, and httpx.HTTPError when the line breaks."""
        timeout = httpx.Timeout(self._http.timeout.connect, read=SILENCE_S)
        async with self._http.stream("GET", path, headers=dict(headers), timeout=timeout) as answer:
            if answer.status_code >= 400:
                await answer.aread()
                raise error_of(answer.status_code, _body(answer), answer.headers.get("retry-after"))
            yield answer

    async def aclose(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


def _body(answer: httpx.Response) -> Any:
    if not answer.content:
        return {}
    if "json" not in answer.headers.get("content-type", ""):
        return answer.text
    try:
        return answer.json()
    except ValueError:
        return answer.text
