"""The client, and tokens for an app's own users."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Self

import httpx

from bridge.client._async.resources import AsyncCalls, AsyncRecordings, AsyncWebhooks
from bridge.client._async.transport import AsyncTransport
from bridge.client.policy import Retries, base_of


class AsyncClient:
    """`api_key` is the id of an API key and `api_secret` the key itself; where there is one alone, it is the key.

    `base_url` defaults to `CALLBRIDGE_URL`. Requests that another try may better are repeated `max_retries` times,
    `retry_delay` seconds apart at first, twice as long each time, or as long as the server asks for. `debug` logs every
    request to `callbridge.client`, without credentials.
    """

    def __init__(
        self,
        api_key: str,
        api_secret: str | None = None,
        base_url: str | None = None,
        *,
        timeout: float = 30.0,
        max_retries: int = 3,
        retry_delay: float = 1.0,
        debug: bool = False,
        http: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        if debug:
            logging.getLogger("callbridge.client").setLevel(logging.DEBUG)
            logging.basicConfig()
        self._transport = AsyncTransport(
            base_of(base_url),
            api_secret or api_key,
            timeout=timeout,
            retries=Retries(max_retries, retry_delay),
            http=http,
        )
        self.recordings = AsyncRecordings(self._transport, "recordings")
        self.voicenotes = AsyncRecordings(self._transport, "voicenotes")
        self.webhooks = AsyncWebhooks(self._transport)
        self.calls = AsyncCalls(self._transport)

    async def request(self, method: str, path: str, **given: Any) -> Any:
        """Whatever else the server has: its JSON answer to `params`, `json`, `data` and `files`."""
        return await self._transport.send(method, path, **given)

    async def aclose(self) -> None:
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._transport.base_url!r})"


class AsyncAccessToken:
    """`made = await AsyncAccessToken(key, secret, "user_7")(expires_in=3600)`: `made["token"]` lets that user's browser
    record.
    """

    def __init__(
        self,
        api_key: str,
        api_secret: str | None,
        identity: str,
        base_url: str | None = None,
        *,
        http: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.identity = identity
        self._client = (api_key, api_secret, base_url)
        self._http = http

    async def __call__(self, expires_in: int | None = None, scopes: Sequence[str] | None = None) -> dict[str, Any]:
        """`expires_in` seconds, 60 to 86400. `scopes`: more than recording, e.g. `calls:read` for captions."""
        asked: dict[str, Any] = {"user_id": self.identity}
        asked |= {} if expires_in is None else {"expires_in": expires_in}
        asked |= {} if scopes is None else {"scopes": list(scopes)}
        async with AsyncClient(*self._client, http=self._http) as client:
            made: dict[str, Any] = await client.request("POST", "/token", json=asked)
        return made

    def __repr__(self) -> str:
        return f"{type(self).__name__}(identity={self.identity!r})"
