"""The client, and tokens for an app's own users."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Self

import httpx

from bridge.client._sync.resources import Calls, Recordings, Webhooks
from bridge.client._sync.transport import Transport
from bridge.client.policy import Retries, base_of


class Client:
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
        http: httpx.BaseTransport | None = None,
    ) -> None:
        if debug:
            logging.getLogger("callbridge.client").setLevel(logging.DEBUG)
            logging.basicConfig()
        self._transport = Transport(
            base_of(base_url),
            api_secret or api_key,
            timeout=timeout,
            retries=Retries(max_retries, retry_delay),
            http=http,
        )
        self.recordings = Recordings(self._transport, "recordings")
        self.voicenotes = Recordings(self._transport, "voicenotes")
        self.webhooks = Webhooks(self._transport)
        self.calls = Calls(self._transport)

    def request(self, method: str, path: str, **given: Any) -> Any:
        """Whatever else the server has: its JSON answer to `params`, `json`, `data` and `files`."""
        return self._transport.send(method, path, **given)

    def close(self) -> None:
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._transport.base_url!r})"


class AccessToken:
    """`made = AccessToken(key, secret, "user_7")(expires_in=3600)`: `made["token"]` lets that user's browser
    record.
    """

    def __init__(
        self,
        api_key: str,
        api_secret: str | None,
        identity: str,
        base_url: str | None = None,
        *,
        http: httpx.BaseTransport | None = None,
    ) -> None:
        self.identity = identity
        self._client = (api_key, api_secret, base_url)
        self._http = http

    def __call__(self, expires_in: int | None = None, scopes: Sequence[str] | None = None) -> dict[str, Any]:
        """`expires_in` seconds, 60 to 86400. `scopes`: more than recording, e.g. `calls:read` for captions."""
        asked: dict[str, Any] = {"user_id": self.identity}
        asked |= {} if expires_in is None else {"expires_in": expires_in}
        asked |= {} if scopes is None else {"scopes": list(scopes)}
        with Client(*self._client, http=self._http) as client:
            made: dict[str, Any] = client.request("POST", "/token", json=asked)
        return made

    def __repr__(self) -> str:
        return f"{type(self).__name__}(identity={self.identity!r})"
