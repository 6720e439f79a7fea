"""What must survive a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from bridge.model.call_key import CallKey
from bridge.model.events import Event
from bridge.model.known_voice import KnownVoice
from bridge.model.records import (
    Account,
    ApiKey,
    Attempt,
    CallFilter,
    CallRecord,
    Delivery,
    DeliveryFilter,
    Endpoint,
    Subscription,
)
from bridge.model.words import Segment

SETTLE_LIMIT_S: Final = 120.0
"""How long after a call's end its `call.completed` waits for the settled text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of calls, newest first; `cursor` asks for the next one, None at the end."""

    calls: tuple[CallRecord, ...]
    cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberedPage:
    """A page of calls out of the middle, newest first; `total` counts those of all pages."""

    calls: tuple[CallRecord, ...]
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryPage:
    """A page of deliveries with their attempts, newest first; `cursor` asks for the next one, None at the end."""

    deliveries: tuple[Delivery, ...]
    cursor: str | None


class CallStore(Protocol):
    """What must survive a restart."""

    async def append(self, events: Sequence[Event]) -> None:
        """Keep events and all that follows from them, in one transaction.

        `call.started` makes the call (ConflictError if its tenant has one of that id); finals, revisions and speaker
        updates change its transcript; `call.ended` ends it. Each event makes a delivery for every endpoint that asked
        for its type, and `call.ended` one of `call.completed` (or `call.failed` when it carries an error), held until
        `settle` or for `SETTLE_LIMIT_S`, whichever comes first.
        """
        ...

    async def settle(self, key: CallKey, now: float) -> None:
        """The transcript stands: mark the call, put the settled text into its held deliveries and let them go."""
        ...

    async def call(self, tenant: str, call_id: str) -> CallRecord:
        """Raises NotFoundError."""
        ...

    async def knows(self, key: CallKey) -> bool:
        """Whether there is such a call, whatever has become of it."""
        ...

    async def calls(self, tenant: str, wanted: CallFilter, *, cursor: str | None, limit: int) -> Page: ...

    async def calls_behind(self, tenant: str, wanted: CallFilter, *, skip: int, limit: int) -> NumberedPage:
        """`limit` calls behind the `skip` newest: for clients that count pages. `wanted.text` is not looked at."""
        ...

    async def unfinished(self) -> Sequence[CallRecord]:
        """Calls of every tenant that have no end, or an end and no settled text; not those of another living server."""
        ...

    async def segments(self, tenant: str, call_id: str) -> Sequence[Segment]:
        """The transcript as it stands, by start time. Raises NotFoundError."""
        ...

    async def texts(self, tenant: str, call_ids: Collection[str]) -> Mapping[str, str]:
        """Transcripts without their times, a line a segment, by call_id; calls of other tenants are left out."""
        ...

    async def events(self, tenant: str, call_id: str, *, after: int, limit: int) -> Sequence[Event]:
        """In order of `seq`. Raises NotFoundError."""
        ...

    async def delete_call(self, tenant: str, call_id: str, *, telling: Sequence[Delivery] = ()) -> None:
        """The call, its transcript, events and deliveries; `telling` takes their place.

        Raises NotFoundError; ConflictError while in progress.
        """
        ...

    async def expire(self, ended_before: float, *, limit: int) -> Sequence[CallKey]:
        """Delete up to `limit` calls of any tenant that ended before then, the oldest first, and old test messages.

        Whose they were; fewer than `limit` when no more are left. Who asks at the same time gets others.
        """
        ...

    async def scrub(self) -> bool:
        """A short step towards no trace of what was deleted in files of ours; whether there are more to come."""
        ...


class NodeStore(Protocol):
    """Servers that share the store, and whose calls are whose."""

    async def beat(self, lease_s: float) -> None:
        """The server lives, and its calls are nobody else's, for so long from now."""
        ...

    async def leave(self) -> None:
        """It has gone: its calls are anybody's."""
        ...

    async def adopt(self, record: CallRecord) -> bool:
        """An `unfinished` call is this server's from now on; False when another was faster, or its own lives again."""
        ...


class Outbox(Protocol):
    """Webhook deliveries, from due to done."""

    async def claim(
        self, now: float, *, lease_s: float, limit: int, each: int, room: Mapping[str, int]
    ) -> Sequence[tuple[Delivery, Endpoint]]:
        """Up to `limit` due deliveries of enabled endpoints, each leased to the caller alone until `now + lease_s`.

        Endpoints are served in turn, each with `each` deliveries at most, or as many as `room` says for its id: what
        one endpoint has waiting delays no other. A held delivery whose time is up comes with the text as it stands.
        """
        ...

    async def record(self, delivery_id: str, attempt: Attempt, *, next_due: float | None, delivered: bool) -> None:
        """A try has ended: delivered, due again at `next_due`, or (None) exhausted."""
        ...

    async def release(self, claimed: Sequence[Delivery], now: float) -> None:
        """Give leases back that are still the caller's: due again now, the try not counted."""
        ...

    async def inherit(self, now: float) -> None:
        """For a process that is alone with the database: what another had claimed for its first try when it went is
        due now, not after its lease. Later tries keep the wait that their schedule gave them anyway.
        """
        ...

    async def next_due(self) -> float | None:
        """When the earliest open delivery of an enabled endpoint is due; None when there is none."""
        ...

    def changed(self) -> asyncio.Event:
        """Set once this process makes deliveries due: take it before `claim`, wait on it when nothing was claimed."""
        ...

    def wanted(self) -> Collection[str]:
        """Endpoints that a person in this process wants tried now, however they did before. Each is told once."""
        ...

    async def deliveries(
        self, tenant: str, endpoint_id: str, wanted: DeliveryFilter, *, cursor: str | None = None, limit: int
    ) -> DeliveryPage:
        """Raises NotFoundError, InvalidRequestError for a cursor that no such list gave."""
        ...

    async def redeliver(self, tenant: str, delivery_id: str, now: float) -> Delivery:
        """Due again now, tries counted afresh, same id. Raises NotFoundError."""
        ...

    async def add(self, delivery: Delivery) -> None:
        """A delivery made by hand: an endpoint's test message."""
        ...


class EndpointStore(Protocol):
    """Webhook endpoints."""

    async def create_endpoint(self, endpoint: Endpoint) -> None: ...

    async def endpoints(self, tenant: str) -> Sequence[Endpoint]: ...

    async def endpoint(self, tenant: str, endpoint_id: str) -> Endpoint:
        """Raises NotFoundError."""
        ...

    async def update_endpoint(self, tenant: str, endpoint_id: str, changes: Mapping[str, Any]) -> Endpoint:
        """Fields of Endpoint by name. Raises NotFoundError."""
        ...

    async def delete_endpoint(self, tenant: str, endpoint_id: str) -> None:
        """With its deliveries. Raises NotFoundError."""
        ...

    async def subscribe(self, wanted: Subscription) -> None:
        """Tell an endpoint of one call; again: as now wanted. It goes with its call. Raises NotFoundError."""
        ...

    async def unsubscribe(self, wanted: Subscription) -> None:
        """Its call does not come after all. One that has been changed since stays."""
        ...


class KeyStore(Protocol):
    """API keys."""

    async def create_key(self, key: ApiKey, sha256: str) -> None: ...

    async def keys(self, tenant: str | None) -> Sequence[ApiKey]:
        """None: every tenant's."""
        ...

    async def find_key(self, sha256: str) -> ApiKey | None:
        """The live key with this hash."""
        ...

    async def revoke_key(self, key_id: str, now: float) -> ApiKey:
        """Raises NotFoundError."""
        ...


class VoiceStore(Protocol):
    """Enrolled voices."""

    async def create_voice(self, voice: KnownVoice) -> None:
        """Raises ConflictError when the tenant has one of that name."""
        ...

    async def voices(self, tenant: str) -> Sequence[KnownVoice]:
        """Oldest first."""
        ...

    async def delete_voice(self, tenant: str, voice_id: str) -> None:
        """Raises NotFoundError."""
        ...


class AccountStore(Protocol):
    """What tenants say of themselves."""

    async def account(self, tenant: str) -> Account:
        """With nothing said, one that has the tenant's name."""
        ...

    async def keep_account(self, account: Account) -> None: ...


class Store(CallStore, NodeStore, Outbox, EndpointStore, KeyStore, VoiceStore, AccountStore, Protocol):
    """One database fills all of them, so that a call's end and its deliveries share a transaction."""

    async def ping(self) -> None:
        """Raises StoreError when the database does not answer or cannot be written."""
        ...

    async def close(self) -> None: ...
