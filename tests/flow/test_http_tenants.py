"""A tenant never sees another's calls, by any route. The table is the router's own: a new route cannot be forgotten."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import pytest
from aiohttp import hdrs

from bridge.web.audiosocket import ANNOUNCEMENTS
from bridge.web.auth import Scope
from bridge.web.route import Route
from bridge.web.server import TABLE
from bridge.web.voice.table import VOICES
from bridge.web.whip import SESSIONS
from tests.contract.builders import a_voice
from tests.http_server import HttpServer
from tests.story import ended, final, started
from tests.whip_client import OFFER

OPEN: Final = {
    "/": "the page itself knows nothing",
    "/call": "the page itself knows nothing",
    "/docs": "the same for everybody",
    "/docs/{name}": "the same for everybody",
    "/sdk/{name}": "the same for everybody",
    "/openapi.json": "the same for everybody",
    "/healthz": "says that the process answers",
    "/readyz": "says what is wrong with the machine",
    "/metrics": "counts without names",
}
"""Routes without a scope, and why they may be."""

BESIDE: Final = {
    "/static": "files of the page",
    "/v1/media/{dialect}": "calls come in, nothing goes out; tests/flow/test_media.py",
    **{voice.path: "answers a signature or a key with a document; tests/flow/test_voice.py" for voice in VOICES},
}
"""Routes beside the table, and what guards them."""

BODIES: Final[dict[str, dict[str, Any]]] = {
    "create_webhook": {"url": "https://rival.example.org/hook"},
    "update_webhook": {"description": "mine now", "enabled": False},
    "create_key": {"name": "another"},
    "create_token": {"identity": "somebody"},
    "create_transcription": {"url": "https://rival.example.org/monday.mp3"},
}

SENT: Final = {
    "publish": ("application/sdp", OFFER),
    "trickle": ("application/trickle-ice-sdpfrag", "m=audio 9 RTP/AVP 0\r\na=mid:0\r\n"),
}
"""Bodies that are no JSON: type and text."""

REFUSED: Final = "POST /v1/speakers"
"""Voices are not enrolled unless that is set; where it is: tests/flow/test_http_speakers.py."""

MARK: Final = "acme-secret"
"""Stands in everything of acme's: ids, words, addresses."""

SCOPED: Final = [route for route in TABLE if route.scope is not None]


def name_of(route: Route[Any, Any]) -> str:
    return f"{route.method} {route.path}"


@dataclass
class Shop:
    """A server where acme has one of everything."""

    http: HttpServer
    ids: dict[str, str]
    """What acme has for each `{name}` in a path."""

    async def answer(
        self, route: Route[Any, Any], tenant: str | None, ids: dict[str, str] | None = None, **given: Any
    ) -> tuple[int, str]:
        """Status and text of one request by this route, with acme's ids in its path or these."""
        path = re.sub(r"{(\w+)}", lambda found: (ids or self.ids)[found[1]], route.path)
        headers, name = {}, route.handler.__name__
        if path.endswith("/live"):
            headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
        body: dict[str, Any] = {"json": BODIES[name]} if name in BODIES else {}
        if name in SENT:
            headers = {"Content-Type": SENT[name][0], "If-Match": "*"}
            body = {"data": SENT[name][1]}
        response = await self.http.ask(route.method, path, tenant=tenant, headers=headers, **body, **given)
        return response.status, await response.text()

    async def everything(self) -> list[str]:
        """All that acme has, as its own routes tell it."""
        paths = [
            "/v1/calls",
            f"/v1/calls/{self.ids['call_id']}/transcript",
            "/v1/webhooks",
            f"/v1/webhooks/{self.ids['webhook_id']}/deliveries",
            f"/v1/transcriptions/{self.ids['call_id']}",
            f"/v1/rtp/{self.ids['rtp_id']}",
            "/v1/speakers",
        ]
        found = [await (await self.http.ask(hdrs.METH_GET, path)).text() for path in paths]
        keys = await self.http.store.keys("acme")
        publisher = self.http.app[SESSIONS].find(self.ids["session"], "acme")
        return [*found, *(f"{key.id} {key.revoked_at}" for key in keys), f"{publisher.id} {publisher._ending}"]


@pytest.fixture
async def shop(http: HttpServer) -> Shop:
    call_id, webhook_id = f"call-{MARK}", f"we_{MARK}"
    await http.add_endpoint(webhook_id, url=f"https://{MARK}.example.org/hook", description=MARK)
    await http.tell(call_id, started(f"CA-{MARK}", note=MARK), final(1, MARK), ended(), last_seq=0)
    await http.settle(call_id)
    (delivery,), (key,) = await http.deliveries(webhook_id), await http.store.keys("acme")
    order = {"url": f"https://{MARK}.example.org/monday.mp3", "call_id": call_id}
    await http.json("POST", "/v1/transcriptions", status=202, json=order)
    await http.store.create_voice(a_voice(f"spk_{MARK}", name=MARK))
    ports = await http.json("POST", "/v1/rtp", status=201, json={"carrier_call_id": MARK})
    publisher = await http.ask("POST", "/v1/whip", data=OFFER, headers={"Content-Type": "application/sdp"})
    ids = {
        "call_id": call_id,
        "webhook_id": webhook_id,
        "delivery_id": delivery.id,
        "key_id": key.id,
        "speaker_id": f"spk_{MARK}",
        "rtp_id": ports["id"],
        "session": publisher.headers["Location"].rpartition("/")[2],
    }
    return Shop(http, ids)


def test_every_route_is_in_this_suite(http_routes: set[str]) -> None:
    """A route is scoped, or stands in one of the two lists with its reason; nothing else is served."""
    scoped = {route.path for route in SCOPED}
    opened = {route.path for route in TABLE if route.scope is None}
    assert opened == set(OPEN)
    assert http_routes == scoped | set(OPEN) | set(BESIDE)


@pytest.fixture
def http_routes(http: HttpServer) -> set[str]:
    """What the running application really serves."""
    paths = {resource.canonical for resource in http.app.router.resources()}
    return {re.sub(r"^/v1/media/\w+$", "/v1/media/{dialect}", path) for path in paths}


def test_every_path_names_things_this_suite_knows(shop: Shop) -> None:
    """A new `{name}` in a path must say what acme has for it."""
    assert {name for route in SCOPED for name in re.findall(r"{(\w+)}", route.path)} == set(shop.ids)


@pytest.mark.parametrize("route", [r for r in SCOPED if "{" in r.path], ids=name_of)
async def test_anothers_thing_is_not_there(shop: Shop, route: Route[Any, Any]) -> None:
    """With acme's ids rival gets 404, word for word as for an id that nobody has; and acme's thing stays as it is."""
    before = await shop.everything()
    status, text = await shop.answer(route, "rival")
    unknown = {name: f"{name}-of-nobody" for name in shop.ids}
    status_unknown, text_unknown = await shop.answer(route, "rival", unknown)
    for name in shop.ids:
        text = text.replace(shop.ids[name], "ID")
        text_unknown = text_unknown.replace(unknown[name], "ID")
    assert (status, text) == (404, text_unknown)
    assert status_unknown == 404
    assert await shop.everything() == before


@pytest.mark.parametrize("route", [r for r in SCOPED if "{" not in r.path and r.path != "/v1/events"], ids=name_of)
async def test_lists_hold_ones_own_alone(shop: Shop, route: Route[Any, Any]) -> None:
    """Nothing of acme's is in any answer to rival, whatever rival makes of its own."""
    before = await shop.everything()
    status, text = await shop.answer(route, "rival")
    assert status in {200, 201, 202} or name_of(route) == REFUSED
    assert MARK not in text
    assert not [name for name, own in shop.ids.items() if own in text]
    assert await shop.everything() == before


async def test_a_search_does_not_find_anothers_words(shop: Shop) -> None:
    """Not by words, not by the carrier's id."""
    for given in ({"text": MARK}, {"carrier_call_id": f"CA-{MARK}"}):
        assert (await shop.http.json("GET", "/v1/calls", params=given))["calls"]
        assert not (await shop.http.json("GET", "/v1/calls", params=given, tenant="rival"))["calls"]


async def test_an_announced_call_stays_its_owners(shop: Shop) -> None:
    """Whoever announces acme's UUID as well is told that it is taken, not by whom; the call that comes is acme's."""
    uuid = str(UUID(int=7))
    await shop.http.json("POST", "/v1/audiosocket", status=201, json={"uuid": uuid, "metadata": {"note": MARK}})
    error = await shop.http.fault("POST", "/v1/audiosocket", status=409, json={"uuid": uuid}, tenant="rival")
    assert "acme" not in str(error)
    announced = shop.http.app[ANNOUNCEMENTS].take(uuid, now=shop.http.clock.now())
    assert announced is not None
    assert (announced.tenant, announced.expected.parameters["metadata.note"]) == ("acme", MARK)


async def test_anothers_cursor_leads_to_ones_own(shop: Shop) -> None:
    """A cursor says where a page begins, not whose it is."""
    await shop.http.tell("second", started(), ended(), last_seq=0)
    page = await shop.http.json("GET", "/v1/calls", params={"limit": "1"})
    assert page["cursor"]
    found = await shop.http.json("GET", "/v1/calls", params={"cursor": page["cursor"]}, tenant="rival")
    assert found["calls"] == []


@pytest.mark.parametrize("route", SCOPED, ids=name_of)
async def test_nobody_is_let_in_without_a_credential(shop: Shop, route: Route[Any, Any]) -> None:
    """401 on every scoped route, before anything is looked up; the same with a revoked key."""
    status, text = await shop.answer(route, None)
    assert status == 401
    assert MARK not in text
    await shop.http.store.revoke_key(shop.ids["key_id"], shop.http.clock.now())
    assert (await shop.answer(route, "acme"))[0] == 401


@pytest.mark.parametrize("route", SCOPED, ids=name_of)
async def test_a_token_without_the_scope_is_forbidden(shop: Shop, route: Route[Any, Any]) -> None:
    """403 on every scoped route for a token that holds every other scope a token can have."""
    others = [
        scope for scope in (Scope.CALLS_READ, Scope.CALLS_WRITE, Scope.MEDIA, Scope.WEBHOOKS) if scope != route.scope
    ]
    status, text = await shop.answer(route, None, params={"token": shop.http.token(*others)})
    assert status == 403
    assert str(route.scope) in text
