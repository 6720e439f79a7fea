"""Values that several contract tests make."""

from __future__ import annotations

from typing import Any

from bridge.model.known_voice import KnownVoice
from bridge.model.records import Attempt, Delivery, Endpoint, Subscription
from bridge.ports import Outbox
from tests.story import START


def an_endpoint(endpoint_id: str = "we_1", tenant: str = "acme", **changes: Any) -> Endpoint:
    given: dict[str, Any] = {
        "url": "https://hooks.example.org/calls",
        "events": ("call.completed",),
        "secrets": ("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3",),
        "enabled": True,
        "created_at": START,
    }
    return Endpoint(id=endpoint_id, tenant=tenant, **(given | changes))


def a_try(number: int = 1, at: float = START, status: int | None = 500, error: str | None = None) -> Attempt:
    return Attempt(number=number, at=at, status=status, error=error, duration_ms=12)


def a_voice(voice_id: str = "spk_1", tenant: str = "acme", name: str = "Grace", at: float = START) -> KnownVoice:
    return KnownVoice(
        id=voice_id,
        tenant=tenant,
        name=name,
        model="campplus",
        direction=(0.6, -0.8, 1e-9),
        speech_ms=12_345,
        created_at=at,
    )


async def claimed(outbox: Outbox, now: float, **options: Any) -> list[Delivery]:
    """One claim with everything set generously."""
    given: dict[str, Any] = {"lease_s": 60.0, "limit": 100, "each": 100, "room": {}}
    return [delivery for delivery, _endpoint in await outbox.claim(now, **(given | options))]


def a_subscription(tenant: str = "acme", **changes: Any) -> Subscription:
    given: dict[str, Any] = {
        "call_id": "call-1",
        "endpoint_id": "we_1",
        "events": ("call.completed",),
        "url": "https://hooks.example.org/done?job=7",
    }
    return Subscription(tenant=tenant, **(given | changes))
