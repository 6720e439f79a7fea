"""Webhook deliveries: what was sent, what came of it, and sending again."""

from __future__ import annotations

import secrets
from typing import Annotated, Final

from aiohttp import hdrs, web
from pydantic import Field

from bridge.model.events import rfc3339
from bridge.model.records import Delivery, DeliveryFilter, DeliveryStatus
from bridge.web.auth import Scope
from bridge.web.calls import Cursor
from bridge.web.moments import Moment
from bridge.web.route import Answer, Ask, Incoming, Nothing, Outgoing, Route, answer

TEST_TYPE: Final = "webhook.test"


class AttemptOut(Outgoing):
    number: int
    at: Moment
    status: int | None = Field(description="the receiver's HTTP status; null when none came")
    error: str | None
    duration_ms: int


class DeliveryOut(Outgoing):
    id: str = Field(description="the `webhook-id`, the same on every try")
    endpoint_id: str
    call_id: str
    type: str
    status: DeliveryStatus
    created_at: Moment
    due_at: Moment
    tries: int
    url: str | None = Field(description="where it goes; null: to its endpoint's address")
    attempts: tuple[AttemptOut, ...]


class DeliveryPage(Outgoing):
    deliveries: tuple[DeliveryOut, ...]
    cursor: str | None = Field(description="asks for the next page; null at the end")


class DeliveryQuery(Incoming):
    status: DeliveryStatus | None = None
    call_id: Annotated[str, Field(max_length=200)] | None = None
    limit: int = Field(default=50, ge=1, le=200)
    cursor: Cursor = None


async def test_webhook(ask: Ask[Nothing, Nothing]) -> web.StreamResponse:
    """A message of type `webhook.test`, by the same way as every other."""
    endpoint = await ask.context.store.endpoint(ask.tenant, ask.path("webhook_id"))
    now = ask.context.clock.now()
    data = {"endpoint_id": endpoint.id, "message": "This endpoint is reached, and can check our signature."}
    delivery = Delivery(
        id=f"msg_{secrets.token_hex(16)}",
        tenant=ask.tenant,
        endpoint_id=endpoint.id,
        call_id="",
        type=TEST_TYPE,
        payload={"type": TEST_TYPE, "timestamp": rfc3339(now), "data": data},
        status=DeliveryStatus.PENDING,
        created_at=now,
        due_at=now,
    )
    await ask.context.store.add(delivery)
    return answer(DeliveryOut.of(delivery), status=202)


async def list_deliveries(ask: Ask[DeliveryQuery, Nothing]) -> web.StreamResponse:
    query = ask.query
    page = await ask.context.store.deliveries(
        ask.tenant,
        ask.path("webhook_id"),
        DeliveryFilter(status=query.status, call_id=query.call_id),
        cursor=query.cursor,
        limit=query.limit,
    )
    shown = tuple(DeliveryOut.of(delivery) for delivery in page.deliveries)
    return answer(DeliveryPage(deliveries=shown, cursor=page.cursor))


async def redeliver(ask: Ask[Nothing, Nothing]) -> web.StreamResponse:
    now = ask.context.clock.now()
    found = await ask.context.store.redeliver(ask.tenant, ask.path("delivery_id"), now)
    return answer(DeliveryOut.of(found), status=202)


ROUTES: Final = (
    Route(
        method=hdrs.METH_POST,
        path="/v1/webhooks/{webhook_id}/test",
        handler=test_webhook,
        scope=Scope.WEBHOOKS,
        summary="Send a test message",
        tag="webhooks",
        answers=(Answer(description="the delivery, on its way", status=202, model=DeliveryOut),),
    ),
    Route(
        method=hdrs.METH_GET,
        path="/v1/webhooks/{webhook_id}/deliveries",
        handler=list_deliveries,
        scope=Scope.WEBHOOKS,
        summary="An endpoint's deliveries with their tries, newest first",
        tag="webhooks",
        query=DeliveryQuery,
        answers=(Answer(description="a page of deliveries", model=DeliveryPage),),
    ),
    Route(
        method=hdrs.METH_POST,
        path="/v1/deliveries/{delivery_id}/redeliver",
        handler=redeliver,
        scope=Scope.WEBHOOKS,
        summary="Send a delivery again, under the same id",
        tag="webhooks",
        answers=(Answer(description="the delivery, on its way", status=202, model=DeliveryOut),),
    ),
)
