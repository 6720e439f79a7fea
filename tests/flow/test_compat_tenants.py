"""A tenant never sees another's through other services' APIs either. The routes are the router's own: a new surface
cannot be forgotten.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pytest
from aiohttp import web

from bridge.compat.table import add_surfaces
from bridge.compat.twilio.messages import call_sid
from bridge.model.recordings import Order
from bridge.model.records import Account
from bridge.ports import Store
from bridge.settings import Settings
from bridge.web.auth import Scope
from bridge.web.server import application
from tests.clock import VirtualClock
from tests.http_server import HttpServer
from tests.story import ended, final, started

MARK: Final = "acme-secret"
"""Stands in everything of acme's: ids, words, addresses."""

IN_ALONE: Final = {
    "/v1/audio/transcriptions": "a recording in, its own words out",
    "/v1/listen": "audio in, its own words out",
    "/waves/v1/stt": "audio in, its own words out",
    "/waves/v1/stt/live": "audio in, its own words out",
    "/waves/v1/pulse/get_text": "audio in, its own words out",
    "/api/v1/pulse/get_text": "audio in, its own words out",
    "/v2/speech-to-text/transcription": "audio in, its own words out",
    "/v1/realtime": "audio in, its own words out",
    "/v2": "audio in, its own words out",
    "/v2/listen": "audio in, its own words out",
    "/v3/ws": "audio in, its own words out",
    "/v2/ai/audio/transcriptions": "a recording in, its own words out",
    "POST /api/v1/jobs": "a recording in; asked for by its id",
    "POST /api/v2/jobs": "a recording in; asked for by its id",
}
"""Paths, or one of their methods, where nothing that is kept can be named, and why."""

STREAMS: Final = "/voice/stream/live/transcribe/"
"""Below it audio in, its own words out; the parts of the path are a language, a token and the client's own id."""

SAME_FOR_ALL: Final = {
    "/v1/models": "the server's models",
    "/v2/speech-to-text/providers": "the server's languages",
    "/api/v1/languages": "the server's languages",
    "/api/v2/languages": "the server's languages",
}

MADE: Final = {
    "/v1/auth/grant": "a token for whoever asks",
    "/v1/realtime/client_secrets": "a token for whoever asks",
    "/v1/realtime/transcription_sessions": "a token for whoever asks",
    "/v3/token": "a token for whoever asks",
    "/api/v1/token": "a token for whoever asks",
    "/api/v2/token": "a token for whoever asks",
    "/token": "a token for whoever asks",
    "/upload": "an address for whoever asks",
}
"""Paths that make something of the asker's own."""

SEALED: Final = {"/upload/{recording_id}", "/upload/{recording_id}/part/{number}"}
"""Opened by their own address alone: tests/compat/test_vocafuse_wire.py."""

BODIES: Final[Mapping[str, Any]] = {
    "/token": {"user_id": "somebody"},
    "/upload": {"file_size": 1000},
    "/account/api-keys": {"name": "another"},
    "/webhooks": {"url": "https://rival.example.org/hook", "events": ["recording.failed"]},
    "/webhooks/{webhook_id}": {"url": "https://rival.example.org/hook", "events": ["recording.failed"]},
    "/account": {"name": "Rival Ltd"},
}

QUERIES: Final[Mapping[str, Any]] = {"/v3/token": {"expires_in_seconds": "60"}}


@dataclass(frozen=True)
class Path:
    """One route of a surface."""

    method: str
    pattern: str

    @property
    def spelt(self) -> set[str]:
        """As the lists above may name it: with or without a version, with its method or for all of them."""
        return {self.pattern, self.pattern.removeprefix("/v1"), str(self)}

    def __str__(self) -> str:
        return f"{self.method} {self.pattern}"


def of_surfaces() -> list[Path]:
    """What the application serves with surfaces and not without; each may end with a slash, and is the same then."""
    bare, whole = application(lambda: None), application(lambda: None)  # type: ignore[arg-type, return-value]
    add_surfaces(whole)
    found = sorted(_served(whole) - _served(bare), key=str)
    return [path for path in found if not path.pattern.endswith("/")]


def _served(app: web.Application) -> set[Path]:
    return {
        Path(route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None and route.method not in {"HEAD", "OPTIONS"}
    }


PATHS: Final = [
    path
    for path in of_surfaces()
    if not path.spelt & {*IN_ALONE, *SAME_FOR_ALL, *SEALED} and not path.pattern.startswith(STREAMS)
]
MAKERS: Final = [path for path in PATHS if path.spelt & MADE.keys()]
NAMED: Final = [path for path in PATHS if "{" in path.pattern]
LISTS: Final = [path for path in PATHS if path not in MAKERS and path not in NAMED]


@dataclass
class Shop:
    """A server with every surface, where acme has one of everything."""

    http: HttpServer
    ids: dict[str, str]

    async def answer(
        self, path: Path, tenant: str | None, ids: Mapping[str, str] | None = None, **given: Any
    ) -> tuple[int, str]:
        """Status and text of one request, with acme's ids in its path or these."""
        where = re.sub(r"{(\w+)}", lambda found: (ids or self.ids)[found[1]], path.pattern)
        unnamed = re.sub(r"^/v1(?=/)", "", path.pattern)
        body = {"json": BODIES[unnamed]} if path.method != "GET" and unnamed in BODIES else {}
        body |= {"params": QUERIES[unnamed]} if unnamed in QUERIES else {}
        response = await self.http.ask(path.method, where, tenant=tenant, **body, **given)
        return response.status, await response.text()

    async def everything(self) -> list[str]:
        """All that acme has, as its own routes tell it."""
        paths = ["/v1/calls", f"/v1/calls/{self.ids['recording_id']}/transcript", "/recordings"]
        found = [await (await self.http.ask("GET", path)).text() for path in paths]
        keys = await self.http.store.keys("acme")
        endpoints = await self.http.store.endpoints("acme")
        found += [str(endpoints), str(await self.http.store.account("acme"))]
        return [*found, *(f"{key.id} {key.revoked_at}" for key in keys), str(self.http.transcriber.cancelled)]


@pytest.fixture
async def shop(sqlite_store: Store, clock: VirtualClock) -> AsyncIterator[Shop]:
    server = HttpServer(sqlite_store, clock, Settings())
    add_surfaces(server.app)
    async with server as http:
        call_id = f"rec_{MARK}"
        await http.tell(call_id, started(f"CA-{MARK}", identity=MARK), final(1, MARK), ended(), last_seq=0)
        await http.settle(call_id)
        http.transcriber.orders.append(
            Order(call_id=f"rec_waiting-{MARK}", tenant="acme", created_at=clock.now(), name=f"{MARK}.wav")
        )
        [key] = await http.store.keys("acme")
        hook = await http.add_endpoint(f"we_{MARK}", url=f"https://{MARK}.example.org", style="vocafuse")
        await http.store.keep_account(Account(tenant="acme", name=MARK))
        ids = {"recording_id": call_id, "key_id": key.id, "webhook_id": hook.id, "job": call_id}
        goes_on = f"live-{MARK}"
        await http.tell(goes_on, started(f"CA-{goes_on}"), last_seq=0)
        begun = {"account": f"AC-{MARK}", "call": call_sid(goes_on, f"CA-{goes_on}"), "sid": f"GT-{MARK}"}
        yield Shop(http, ids | begun)


def test_every_path_is_in_this_suite() -> None:
    """Each names what acme has, lists it, makes something new, or stands in one of the lists above with its reason."""
    named = {name for path in NAMED for name in re.findall(r"{(\w+)}", path.pattern)}
    assert named == {"recording_id", "key_id", "webhook_id", "job", "account", "call", "sid"}
    listed = {path.pattern.removeprefix("/v1") for path in LISTS}
    assert listed == {
        *("/recordings", "/voicenotes", "/account", "/account/api-keys", "/webhooks"),
        *("/api/v1/jobs", "/api/v2/jobs"),
    }


async def test_anothers_thing_is_not_there(shop: Shop) -> None:
    """With acme's ids rival gets 404, word for word as for an id that nobody has; and acme's thing stays as it is."""
    before = await shop.everything()
    for path in NAMED:
        nobodys = await shop.answer(path, "rival", dict.fromkeys(shop.ids, "nobody"))
        for call_id in (shop.ids["recording_id"], f"rec_waiting-{MARK}"):
            status, text = await shop.answer(path, "rival", {**shop.ids, "recording_id": call_id, "job": call_id})
            assert (status, text.replace(call_id, "nobody")) == nobodys, path
            assert status == 404, path
    assert await shop.everything() == before


async def test_lists_hold_ones_own_alone(shop: Shop) -> None:
    """Nothing of acme's is in any answer to rival, whatever rival makes of its own."""
    before = await shop.everything()
    for path in [*LISTS, *MAKERS]:
        status, text = await shop.answer(path, "rival")
        assert status in {200, 201}, path
        assert MARK not in text, path
        assert not [name for name, own in shop.ids.items() if own in text], path
    assert await shop.everything() == before


async def test_a_shared_path_is_as_private(shop: Shop) -> None:
    """`/v1/webhooks` is ours and theirs: their key header makes it theirs, and shows rival nothing of acme's."""
    rival = {"X-VocaFuse-API-Key": shop.http.keys["rival"], "X-VocaFuse-API-Secret": shop.http.keys["rival"]}
    before = await shop.everything()
    for method, path, status in (
        ("GET", "/v1/webhooks", 200),
        ("POST", "/v1/webhooks", 201),
        ("GET", f"/v1/webhooks/{shop.ids['webhook_id']}", 404),
        ("DELETE", f"/v1/webhooks/{shop.ids['webhook_id']}", 404),
    ):
        body = {"json": BODIES["/webhooks"]} if method == "POST" else {}
        response = await shop.http.ask(method, path, tenant=None, headers=rival, **body)
        text = await response.text()
        assert (response.status, MARK in text) == (status, False), text
        assert "uri" in text or "WEBHOOK_NOT_FOUND" in text
    assert await shop.everything() == before


async def test_nobody_is_let_in_without_a_credential(shop: Shop) -> None:
    """401 before anything is looked up."""
    for path in [*NAMED, *LISTS, *MAKERS]:
        status, text = await shop.answer(path, None)
        assert status == 401, path
        assert MARK not in text, path


async def test_another_user_of_the_same_app_is_not_let_in(shop: Shop) -> None:
    """A token for uploads opens its own identity's recordings: another's are not there, and none may be deleted."""
    token = {"Authorization": f"Bearer {shop.http.token(Scope.UPLOAD)}"}
    for path in [path for path in NAMED if "recording_id" in path.pattern]:
        status, text = await shop.answer(path, None, headers=token)
        assert status == (403 if path.method == "DELETE" else 404), path
        assert MARK not in text, path
