"""The whole HTTP face over a real SQLite store, hub and journal; only calls are told instead of heard."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Self

from aiohttp import ClientResponse, ClientSession, ClientWebSocketResponse, web
from aiohttp.test_utils import TestServer

from bridge.deliver.hub import Hub
from bridge.deliver.journal import Journal
from bridge.errors import NotFoundError
from bridge.model.call_key import CallKey
from bridge.model.events import Body
from bridge.model.recordings import Job, JobStatus, Order
from bridge.model.records import Delivery, DeliveryFilter, Endpoint
from bridge.ports import Store, Upload
from bridge.settings import Settings
from bridge.web.auth import Auth, Scope, TokenSigner
from bridge.web.context import Context
from bridge.web.keys import make_key
from bridge.web.server import application
from tests.clock import VirtualClock
from tests.media_server import WritingTaker

PATIENCE_S = 5
"""Real seconds a test waits for what must come."""


class WritingTranscriber:
    """A Transcriber that takes orders and does nothing about them."""

    def __init__(self) -> None:
        self.orders: list[Order] = []
        self.cancelled: set[str] = set()

    def check_room(self, tenant: str) -> None:
        pass

    async def submit(self, order: Order, upload: Upload | None) -> Job:
        self.orders.append(order)
        return await self.job(order.tenant, order.call_id)

    async def job(self, tenant: str, call_id: str) -> Job:
        if not any((order.tenant, order.call_id) == (tenant, call_id) for order in self.orders):
            raise NotFoundError(f"no recording {call_id}")
        status = JobStatus.FAILED if call_id in self.cancelled else JobStatus.QUEUED
        return Job(call_id=call_id, status=status, created_at=0.0, progress=0.0)

    def waiting(self, tenant: str) -> list[Order]:
        return [order for order in self.orders if order.tenant == tenant]

    async def finished(self, tenant: str, call_id: str) -> None:
        pass

    async def cancel(self, tenant: str, call_id: str) -> None:
        await self.job(tenant, call_id)
        self.cancelled.add(call_id)


@dataclass
class HttpServer:
    """A running server with one API key a tenant."""

    store: Store
    clock: VirtualClock
    settings: Settings
    taker: WritingTaker = field(default_factory=WritingTaker)
    transcriber: WritingTranscriber = field(default_factory=WritingTranscriber)
    keys: dict[str, str] = field(default_factory=dict)
    patience_s: float = 10

    def __post_init__(self) -> None:
        self.hub = Hub(self.store)
        self.journal = Journal(self.store, self.hub, self.clock)
        self.signer = TokenSigner(["installation key"], self.clock)
        self.checks: dict[str, Any] = {"database": self.store.ping}
        self.advice: dict[str, Any] = {}
        self.app: web.Application = application(self._opening)
        self._server = TestServer(self.app, host="127.0.0.1")

    @asynccontextmanager
    async def _opening(self) -> AsyncIterator[Context]:
        self.journal.start()
        self.context = Context(
            settings=self.settings,
            clock=self.clock,
            store=self.store,
            feed=self.hub,
            calls=self.taker,
            transcriber=self.transcriber,
            auth=Auth(settings=self.settings, keys=self.store, signer=self.signer),
            checks=self.checks,
            advice=self.advice,
            patience_s=self.patience_s,
        )
        yield self.context
        await self.journal.close()

    async def __aenter__(self) -> Self:
        await self._server.start_server(shutdown_timeout=1)
        self.url = str(self._server.make_url("")).rstrip("/")
        self.session = ClientSession(self.url)
        for tenant in ("acme", "rival"):
            _, self.keys[tenant] = await make_key(self.store, tenant=tenant, name=tenant, now=self.clock.now())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()
        await self._server.close()

    # -- asking ----------------------------------------------------------------------------------------------------

    def _headers(self, tenant: str | None, given: dict[str, str] | None) -> dict[str, str]:
        own = {} if tenant is None else {"Authorization": f"Bearer {self.keys[tenant]}"}
        return own | (given or {})

    async def ask(
        self,
        method: str,
        path: str,
        *,
        tenant: str | None = "acme",
        headers: dict[str, str] | None = None,
        **given: Any,
    ) -> ClientResponse:
        """One request, read to its end."""
        headers = self._headers(tenant, headers)
        async with (
            asyncio.timeout(PATIENCE_S),
            self.session.request(method, path, headers=headers, **given) as response,
        ):
            await response.read()
            return response

    async def json(self, method: str, path: str, *, status: int = 200, **given: Any) -> Any:
        """The body of an answer that must have this status."""
        response = await self.ask(method, path, **given)
        text = await response.text()
        assert response.status == status, text
        return json.loads(text) if text else None

    async def fault(self, method: str, path: str, *, status: int, **given: Any) -> dict[str, Any]:
        """The `error` of an answer that must have this status."""
        error: dict[str, Any] = (await self.json(method, path, status=status, **given))["error"]
        assert set(error) == {"code", "message", "type", "details"}
        return error

    def token(self, *scopes: Scope, tenant: str = "acme", lifetime_s: int = 60) -> str:
        return self.signer.issue(tenant=tenant, identity="tester", scopes=scopes, lifetime_s=lifetime_s).token

    @asynccontextmanager
    async def sse(
        self, path: str, *, tenant: str | None = "acme", headers: dict[str, str] | None = None
    ) -> AsyncIterator[SseReader]:
        async with self.session.get(path, headers=self._headers(tenant, headers)) as response:
            yield SseReader(response)

    @asynccontextmanager
    async def socket(self, path: str, *, tenant: str | None = "acme") -> AsyncIterator[ClientWebSocketResponse]:
        async with self.session.ws_connect(path, headers=self._headers(tenant, None)) as socket:
            yield socket

    # -- what happens in calls -------------------------------------------------------------------------------------

    async def tell(self, call_id: str, *bodies: Body, tenant: str = "acme", last_seq: int | None = None) -> None:
        """Events of a call, kept and shown; with `last_seq` the call is opened first."""
        if last_seq is not None:
            self.journal.open(CallKey(tenant, call_id), last_seq=last_seq)
        for body in bodies:
            await self.journal.publish(CallKey(tenant, call_id), body)

    async def settle(self, call_id: str, tenant: str = "acme") -> None:
        await self.journal.settled(CallKey(tenant, call_id))

    # -- what webhooks need ----------------------------------------------------------------------------------------

    async def add_endpoint(self, endpoint_id: str = "we_1", tenant: str = "acme", **changes: Any) -> Endpoint:
        endpoint = Endpoint(
            id=endpoint_id,
            tenant=tenant,
            url="https://hooks.example.org/calls",
            events=("call.completed",),
            secrets=("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3",),
            enabled=True,
            created_at=self.clock.now(),
        )
        endpoint = replace(endpoint, **changes)
        await self.store.create_endpoint(endpoint)
        return endpoint

    async def deliveries(self, endpoint_id: str = "we_1", tenant: str = "acme") -> list[Delivery]:
        return list((await self.store.deliveries(tenant, endpoint_id, DeliveryFilter(), limit=100)).deliveries)


async def until(holds: Callable[[], bool]) -> None:
    """Wait for what the server does behind a real socket."""
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110  # nothing is told to tests that they could wait for
            await asyncio.sleep(0.005)


class SseReader:
    """A stream of Server-Sent Events, field by field."""

    def __init__(self, response: ClientResponse) -> None:
        self.response = response

    async def block(self) -> dict[str, str] | None:
        """The next block's fields (a comment is the field without a name); None at the stream's end."""
        found: dict[str, str] = {}
        async with asyncio.timeout(PATIENCE_S):
            while line := (await self.response.content.readline()).decode():
                if line == "\n":
                    return found
                name, _, value = line.rstrip("\n").partition(":")
                found[name] = value.removeprefix(" ")
        return None

    async def event(self) -> dict[str, Any] | None:
        """The next event's object; None at the stream's end."""
        while (block := await self.block()) is not None:
            if "data" in block:
                event: dict[str, Any] = json.loads(block["data"])
                assert block.get("id", str(event["seq"])) == str(event["seq"])
                return event
        return None

    async def rest(self) -> list[dict[str, Any]]:
        """Every event until the stream ends."""
        found = []
        while (event := await self.event()) is not None:
            found.append(event)
        return found
