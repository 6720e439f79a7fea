"""What is kept: calls as they are read back, keys, webhook endpoints and their deliveries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from bridge.model.call_key import CallKey
from bridge.model.stream import Leg


class CallStatus(StrEnum):
    """Where a call is in its life."""

    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """One call as the store knows it. Clock times are Unix seconds, UTC."""

    call_id: str
    tenant: str
    carrier: str
    carrier_call_id: str
    legs: tuple[Leg, ...]
    codec: str
    sample_rate: int
    metadata: Mapping[str, str]
    status: CallStatus
    started_at: float
    ended_at: float | None = None
    reason: str | None = None
    error: str | None = None
    duration_ms: int | None = None
    settled: bool = False
    """The text will not be revised any more."""
    last_seq: int = 0
    node: str | None = None
    """The server that has it, where several share the store."""

    @property
    def key(self) -> CallKey:
        return CallKey(self.tenant, self.call_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFilter:
    """What a list of calls is narrowed to; None means any."""

    status: CallStatus | None = None
    started_after: float | None = None
    started_before: float | None = None
    ended_after: float | None = None
    text: str | None = None
    """Words that must occur in the transcript of an ended call, whole and in any order; without case and accents."""
    carrier_call_id: str | None = None
    carrier: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A credential. The key itself is shown once, when made; only its SHA-256 is kept."""

    id: str
    tenant: str
    name: str
    prefix: str
    """The first characters of the key, so that people can tell theirs apart."""
    created_at: float
    revoked_at: float | None = None
    last_used_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a tenant wants to be told, and of what. `secrets` are plain here and encrypted at rest."""

    id: str
    tenant: str
    url: str
    events: tuple[str, ...]
    """Event types; `*` is all of them. `call.completed` and `call.failed` are the webhook-only types."""
    secrets: tuple[str, ...]
    """The current one first; an older one signs too until `secret_rotates_at`."""
    enabled: bool
    created_at: float
    description: str = ""
    disabled_reason: str | None = None
    secret_rotates_at: float | None = None
    style: str = ""
    """Whose way messages are written in; empty is ours."""
    options: Mapping[str, str] = field(default_factory=dict)
    """What that way wants to know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """One call's events for an endpoint, whatever that one hears of others. It may be made before the call begins."""

    tenant: str
    call_id: str
    endpoint_id: str
    events: tuple[str, ...]
    url: str
    """Where they go: at the endpoint's host, with a path and query of the call's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What a tenant has said of itself."""

    tenant: str
    name: str
    settings: Mapping[str, str] = field(default_factory=dict)


class DeliveryStatus(StrEnum):
    """Where a delivery is: `held` until the call's text is settled, `pending` until a try succeeds."""

    HELD = "held"
    PENDING = "pending"
    DELIVERED = "delivered"
    EXHAUSTED = "exhausted"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFilter:
    """What a list of deliveries is narrowed to; None means any."""

    status: DeliveryStatus | None = None
    call_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try of a delivery: what came back, or why nothing did."""

    number: int
    at: float
    status: int | None
    error: str | None
    duration_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One webhook message to one endpoint. `id` is its `webhook-id`, the same on every try."""

    id: str
    tenant: str
    endpoint_id: str
    call_id: str
    type: str
    payload: Mapping[str, Any]
    status: DeliveryStatus
    created_at: float
    due_at: float
    tries: int = 0
    url: str | None = None
    """Where it goes; None: to its endpoint's address."""
    attempts: tuple[Attempt, ...] = field(default=())
