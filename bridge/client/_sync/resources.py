"""What the client has: recordings, webhooks, calls. Objects come back as the server's JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import quote

from bridge.client._sync.live import follow, watch
from bridge.client._sync.transport import Transport
from bridge.client.results import Item, Listed

WAIT_BEYOND_S: Final = 30.0
"""How much longer than the server's wait for words ours is for its answer."""


class Transcription:
    """One recording's words."""

    def __init__(self, transport: Transport, path: str) -> None:
        self._transport, self._path = transport, path

    def get(self) -> Item:
        """`text`, `confidence`, `language`, `words`. Raises TranscriptionNotFoundError while they are not there."""
        found: Item = self._transport.send("GET", f"{self._path}/transcription")
        return found


class Recording:
    """One recording, by its id."""

    def __init__(self, transport: Transport, path: str) -> None:
        self._transport, self._path = transport, path
        self.transcription = Transcription(transport, path)

    def get(self) -> Item:
        found: Item = self._transport.send("GET", self._path)
        return found

    def delete(self) -> None:
        """Its words and audio with it; one that is not done is taken back."""
        self._transport.send("DELETE", self._path)


class Recordings:
    """`recordings.list(…)`, `recordings(id).transcription.get()`; `voicenotes` are the same under their older name."""

    def __init__(self, transport: Transport, name: str) -> None:
        self._transport, self._name = transport, name

    def __call__(self, recording_id: str) -> Recording:
        return Recording(self._transport, f"/{self._name}/{quote(recording_id, safe='')}")

    def list(
        self,
        page: int = 0,
        limit: int = 50,
        status: str | None = None,
        date_from: str | None = None,
        date_to: str | None = None,
    ) -> Listed:
        """Newest first, 100 at most; `page` counts from 0; dates are ISO 8601."""
        params = {"page": page, "limit": limit, "status": status, "date_from": date_from, "date_to": date_to}
        return Listed(self._transport.send("GET", f"/{self._name}", params=params), self._name)

    def get(self, recording_id: str) -> Item:
        return self(recording_id).get()

    def delete(self, recording_id: str) -> None:
        self(recording_id).delete()

    def create(
        self,
        file: str | Path | bytes | IO[bytes] | None = None,
        *,
        url: str | None = None,
        wait: int = 0,
        filename: str | None = None,
        **options: Any,
    ) -> Item:
        """Send a recording (a path, its bytes, an open file) or its `url` to be put into words.

        `options`: `language`, `keywords`, `metadata`, `callback_url`, `callback_secret`, `call_id` … as in
        `POST /v1/transcriptions`. With `wait` seconds the answer has the words, if they are there by then.
        """
        sent = {name: value for name, value in {**options, "url": url}.items() if value is not None}
        params, timeout = {"wait": wait or None}, wait + WAIT_BEYOND_S if wait else None
        if file is None:
            found: Item = self._transport.send(
                "POST", "/v1/transcriptions", params=params, json=sent, timeout=timeout
            )
            return found
        named, content = _file(file)
        answer: Item = self._transport.send(
            "POST",
            "/v1/transcriptions",
            params=params,
            data=_as_form(sent),
            files={"file": (filename or named, content)},
            timeout=timeout,
        )
        return answer


def _file(file: str | Path | bytes | IO[bytes]) -> tuple[str, bytes | IO[bytes]]:
    if isinstance(file, str | Path):
        return Path(file).name, Path(file).read_bytes()
    return "recording", file


def _as_form(options: Mapping[str, Any]) -> dict[str, Any]:
    """A form has text alone: lists are comma-separated, objects are JSON."""
    told: dict[str, Any] = {}
    for name, value in options.items():
        if isinstance(value, Mapping):
            told[name] = json.dumps(value)
        else:
            told[name] = ",".join(value) if isinstance(value, list | tuple) else str(value)
    return told


class Webhook:
    """One webhook, by its id."""

    def __init__(self, transport: Transport, path: str) -> None:
        self._transport, self._path = transport, path

    def get(self) -> Item:
        found: Item = self._transport.send("GET", self._path)
        return found

    def update(self, url: str, events: Sequence[str], secret: str | None = None) -> Item:
        """All of it anew; a secret that is not given stays."""
        wanted = {"url": url, "events": list(events), **({} if secret is None else {"secret": secret})}
        found: Item = self._transport.send("PUT", self._path, json=wanted)
        return found

    def delete(self) -> None:
        self._transport.send("DELETE", self._path)


class Webhooks:
    """Webhooks of `recording.*` and `voicenote.*`; `RequestValidator` checks what they send."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def __call__(self, webhook_id: str) -> Webhook:
        return Webhook(self._transport, f"/webhooks/{quote(webhook_id, safe='')}")

    def list(self) -> Listed:
        return Listed(self._transport.send("GET", "/webhooks"), "webhooks")

    def create(self, url: str, events: Sequence[str], secret: str | None = None) -> Item:
        """The answer has the secret that signs, this once."""
        wanted = {"url": url, "events": list(events), **({} if secret is None else {"secret": secret})}
        found: Item = self._transport.send("POST", "/webhooks", json=wanted)
        return found

    def update(self, webhook_id: str, url: str, events: Sequence[str], secret: str | None = None) -> Item:
        return self(webhook_id).update(url, events, secret)

    def delete(self, webhook_id: str) -> None:
        self(webhook_id).delete()


class Call:
    """One call, by its id."""

    def __init__(self, transport: Transport, path: str) -> None:
        self._transport, self._path = transport, path

    def get(self) -> Item:
        found: Item = self._transport.send("GET", self._path)
        return found

    def transcript(self, format: str = "json") -> Any:  # noqa: A002  # the API's own word
        """The transcript as it stands: a dict, or text for `txt`, `srt`, `vtt`."""
        return self._transport.send("GET", f"{self._path}/transcript", params={"format": format})

    def delete(self) -> None:
        self._transport.send("DELETE", self._path)

    def events(self, after: int = 0) -> Iterator[Item]:
        """Every event behind `seq` `after`, as they happen, to the call's last one; broken lines are taken up again."""
        return follow(self._transport, f"{self._path}/events", after)


class Calls:
    """Phone calls, and whatever else has been put into words."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def __call__(self, call_id: str) -> Call:
        return Call(self._transport, f"/v1/calls/{quote(call_id, safe='')}")

    def list(self, **filters: Any) -> Listed:
        """Newest first. `filters`: `limit`, `cursor`, `status`, `text`, `started_after` … as in `GET /v1/calls`."""
        return Listed(self._transport.send("GET", "/v1/calls", params=filters), "calls")

    def each(self, **filters: Any) -> Iterator[Item]:
        """Calls of all pages."""
        cursor: str | None = None
        while True:
            page = self.list(**{**filters, "cursor": cursor})
            for call in page:
                yield call
            cursor = page.cursor
            if cursor is None:
                return

    def get(self, call_id: str) -> Item:
        return self(call_id).get()

    def events(self) -> Iterator[Item]:
        """Events of all calls, from now on and without end."""
        return watch(self._transport, "/v1/events")
