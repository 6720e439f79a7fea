"""VocaFuse's webhooks: managed by its own SDK, sent by us, verified by its own RequestValidator."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.compat.vocafuse_browser import send
from tests.real_server import KEY, RealServer
from tests.receiver import until
from tests.recorded import channels, file_of, said_in_turn

vocafuse = pytest.importorskip("vocafuse", reason="the SDK is not installed: pip install vocafuse")

pytestmark = pytest.mark.surface("vocafuse")

WAV = file_of("wav", channels())
SECRET = "my-webhook-secret"
THEIRS = {"X-VocaFuse-API-Key": "bootstrap", "X-VocaFuse-API-Secret": KEY}

Found = TypeVar("Found")


class App:
    """A customer's receiver: each message with its headers, as it came."""

    def __init__(self) -> None:
        self.url = ""
        self.seen: list[tuple[str, dict[str, str]]] = []

    async def receive(self, request: web.Request) -> web.Response:
        self.seen.append((await request.text(), dict(request.headers)))
        return web.Response()


@pytest.fixture
async def app() -> AsyncIterator[App]:
    customer = App()
    served = web.Application()
    served.router.add_post("/hooks", customer.receive)
    async with TestServer(served, host="127.0.0.1") as running:
        customer.url = str(running.make_url("/hooks"))
        yield customer


@pytest.fixture
def webhooks(server: RealServer) -> Any:
    return vocafuse.Client(KEY, KEY, base_url=f"{server.url}/v1").webhooks


async def ask(call: Callable[..., Found], *given: Any, **named: Any) -> Found:
    return await asyncio.to_thread(call, *given, **named)


async def record(server: RealServer) -> str:
    token = await server.json("POST", "/token", json={"user_id": "user_7"})
    return await send(server, token["token"], WAV)


async def test_managed_by_the_sdk(server: RealServer, webhooks: Any) -> None:
    """Made, listed, replaced, deleted; what is wrong raises what it raises there."""
    made = await ask(webhooks.create, url="https://app.example.org/hook", events=["recording.completed"])
    assert made["code"] == "WEBHOOK_CONFIGURED"
    assert made["secret"]
    with pytest.raises(vocafuse.ConflictError):
        await ask(webhooks.create, url="https://app.example.org/hook", events=["recording.failed"])
    for wrong in (
        {"url": "http://10.0.0.7/", "events": ["recording.failed"]},
        {"url": "https://x.example.org", "events": ["lost"]},
        {"url": "https://x.example.org", "events": []},
        {"url": "", "events": ["recording.failed"]},
    ):
        with pytest.raises(vocafuse.ValidationError):
            await ask(webhooks.create, **wrong)
    changed = await ask(webhooks.update, made["id"], "https://app.example.org/new", ["voicenote.failed"])
    assert (changed["url"], changed["events"], changed["secret"]) == (
        "https://app.example.org/new",
        ["voicenote.failed"],
        made["secret"],
    )
    [listed] = (await ask(webhooks.list))["webhooks"]
    assert (listed["id"], listed["events"], "secret" in listed) == (made["id"], ["voicenote.failed"], False)
    [ours] = (await server.json("GET", "/v1/webhooks"))["webhooks"]
    assert (ours["id"], ours["style"], ours["events"]) == (made["id"], "vocafuse", ["call.failed"])
    assert await ask(webhooks.delete, made["id"]) == {}
    with pytest.raises(vocafuse.WebhookNotFoundError):
        await ask(webhooks.delete, made["id"])


async def test_without_the_version(server: RealServer) -> None:
    """The SDK's own default has none: the same paths are there."""
    client = vocafuse.Client(KEY, KEY, base_url=server.url)
    made = await ask(client.webhooks.create, url="https://app.example.org/hook", events=["recording.completed"])
    assert await ask(client.webhooks.delete, made["id"]) == {}
    assert (await ask(client.recordings.list))["uri"].startswith("/recordings?")
    assert (await ask(client.api_keys.list))["api_keys"] == []


async def test_ours_are_not_theirs(server: RealServer, webhooks: Any) -> None:
    """An endpoint of `/v1/webhooks` is told in our way: their clients neither see nor touch it."""
    ours = await server.json("POST", "/v1/webhooks", status=201, json={"url": "https://app.example.org/ours"})
    assert (await ask(webhooks.list))["webhooks"] == []
    with pytest.raises(vocafuse.WebhookNotFoundError):
        await ask(webhooks.delete, ours["id"])


@pytest.mark.shows("webhooks")
async def test_what_was_said_is_verified_by_their_validator(server: RealServer, app: App) -> None:
    """Whether a receiver passes the body alone, or whatever headers there are; and a timestamped one with all three."""
    events = ["recording.transcribed", "recording.failed"]
    for query, mode in (("", "body"), ("?timed", "timestamped")):
        hook = {"url": f"{app.url}{query}", "events": events, "secret": SECRET, "signature_mode": mode}
        await server.json("POST", "/webhooks", status=201, json=hook, headers=THEIRS)
    recording_id = await record(server)
    await until(lambda: len(app.seen) == 2)
    validator = vocafuse.RequestValidator(SECRET)
    for body, headers in app.seen:
        given = {
            "signature": headers["X-VocaFuse-Signature"],
            "timestamp": headers.get("X-VocaFuse-Timestamp"),
            "delivery_id": headers["X-VocaFuse-Delivery-ID"],
        }
        assert validator.validate(body, **given)
        assert not validator.validate(body.replace("tone", "tune"), **given)
        assert not vocafuse.RequestValidator("another").validate(body, **given)
        message = json.loads(body)
        assert (message["event"], message["recording"]["id"]) == ("recording.transcribed", recording_id)
        assert message["recording"]["identity"] == "user_7"
        assert message["recording"]["transcription"]["text"].split() == said_in_turn()
    plain = next(headers for _, headers in app.seen if "X-VocaFuse-Timestamp" not in headers)
    body = next(body for body, headers in app.seen if headers is plain)
    assert validator.validate(body, plain["X-VocaFuse-Signature"])


@pytest.mark.shows("webhooks")
@pytest.mark.parametrize("by", ["theirs", "ours"])
async def test_a_recording_that_is_deleted(server: RealServer, app: App, by: str) -> None:
    """It is told whichever way it goes: whose it was, and nothing of its words."""
    hook = {"url": app.url, "events": ["recording.deleted", "account.insufficient_balance"], "secret": SECRET}
    await server.json("POST", "/webhooks", status=201, json=hook, headers=THEIRS)
    recording_id = await record(server)
    await server.context.transcriber.finished("default", recording_id)
    path = f"/recordings/{recording_id}" if by == "theirs" else f"/v1/calls/{recording_id}"
    async with server.session.delete(path, headers=THEIRS if by == "theirs" else {}) as answer:
        assert answer.status == 204
    await until(lambda: len(app.seen) == 1)
    [(body, headers)] = app.seen
    assert vocafuse.RequestValidator(SECRET).validate(body, headers["X-VocaFuse-Signature"])
    message = json.loads(body)
    told = message["recording"]
    assert (message["event"], told["id"], told["status"]) == ("recording.deleted", recording_id, "deleted")
    assert told["identity"] == "user_7"
    assert "tone" not in body


async def test_an_account(server: RealServer) -> None:
    """What is said of it stands, and the language it names is what recordings are read in."""
    account = vocafuse.Client(KEY, KEY, base_url=server.url).account
    changed = await ask(account.update, name="Acme Ltd", settings={"default_language": "de"})
    assert (changed["name"], changed["data"]["settings"]["default_language"]) == ("Acme Ltd", "de")
    for wrong in (
        {"webhook_url": "https://x.example.org"},
        {"plan": "gold"},
        {"settings": {"default_language": "tlh"}},
    ):
        with pytest.raises(vocafuse.ValidationError):
            await ask(account.update, **wrong)
    recording_id = await record(server)
    await server.context.transcriber.finished("default", recording_id)
    assert (await server.json("GET", f"/recordings/{recording_id}/transcription"))["language"] == "german"
    found = await ask(account.get)
    assert (found["name"], found["usage"]["recordings_count"]) == ("Acme Ltd", 1)
