"""The few shapes an adapter fills. What each promises stands here; one behaviour suite runs over every adapter."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, Protocol

from bridge.model.call_key import CallKey
from bridge.model.events import Body, Event
from bridge.model.frame import Samples
from bridge.model.known_voice import KnownVoice
from bridge.model.likeness import Likeness, Vector
from bridge.model.recordings import Job, Order
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
from bridge.model.stream import StreamItem, StreamStarted
from bridge.model.words import Segment


class Clock(Protocol):
    """Time, injected: the machine's, or a test's that moves when told."""

    def now(self) -> float:
        """Unix seconds, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back."""
        ...

    async def sleep(self, seconds: float) -> None: ...


# -- recognising ---------------------------------------------------------------------------------------------------


class Urgency(IntEnum):
    """What a decode is for; smaller goes first. Finals are never shed."""

    FINAL = 0
    SPECULATIVE = 1
    PARTIAL = 2
    SETTLE = 3
    RECORDING = 4
    """Of a file, for which nobody is on the phone. Never shed; it takes what is left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeJob:
    """Speech to be put into words.

    `samples` are 16 kHz. `prefix_text` is what the first `known` of them say: it is forced, and does not come back.
    `previous_text` was said before `samples` begin. `language` None asks for detection.
    """

    samples: Samples
    urgency: Urgency
    deadline: float
    """On the engine's monotonic clock."""
    language: str | None = None
    previous_text: str = ""
    prefix_text: str = ""
    known: int = 0
    keywords: tuple[str, ...] = ()
    want_words: bool = False
    """Each with its own time; otherwise they are spread evenly, which costs nothing."""
    brisk: bool = False
    """The engine is busy: a smaller window will do."""
    careful: bool = False
    """Nobody waits, or a first try went wrong: the full window, and more than one hypothesis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedWord:
    """A word inside its job's samples: positions in samples, probability 0–1."""

    text: str
    start: int
    end: int
    probability: float
    space: bool = True
    """Whether a space stands before it; languages that write none between words have none here."""

    @property
    def spaced(self) -> str:
        """The word with its space."""
        return f" {self.text}" if self.space else self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """What a decode found behind the forced prefix. Empty text: nothing was said."""

    text: str
    language: str
    language_probability: float
    average_log_probability: float
    no_speech_probability: float
    words: tuple[DecodedWord, ...] = ()
    retried: bool = False

    @classmethod
    def nothing(cls, language: str) -> Decoded:
        """What silence says."""
        return cls(
            text="",
            language=language,
            language_probability=0.0,
            average_log_probability=0.0,
            no_speech_probability=1.0,
        )


class Engine(Protocol):
    """Speech in, words out, for every call of the process."""

    async def decode(self, job: DecodeJob) -> Decoded | None:
        """None when a partial, a speculation or a settling was shed. Cancel the task to take a job back.

        Raises EngineError when the decode failed twice.
        """
        ...

    def pressure(self) -> float:
        """0 idle … 1 full: how much of what the engine can do is wanted now."""
        ...


class VoiceEncoder(Protocol):
    """A voice as a direction: what tells speakers apart, for every call of the process."""

    @property
    def likeness(self) -> Likeness:
        """What its directions mean."""
        ...

    async def embed(self, samples: Samples) -> Vector:
        """The voice in 16 kHz speech, a window of `likeness` long or shorter. Raises EngineError, SetupError."""
        ...

    async def overlaps(self, samples: Samples) -> Sequence[tuple[int, int]]:
        """Where two speak at once in up to ten seconds of 16 kHz speech: from where to before where, in samples.

        Nowhere, for who cannot tell. Raises EngineError.
        """
        ...


# -- telling -------------------------------------------------------------------------------------------------------


class EventSink(Protocol):
    """Where a call's events go: kept first, then shown."""

    def open(self, key: CallKey, *, last_seq: int = 0) -> None:
        """A call begins (or goes on after `last_seq`). Raises ConflictError when it is open already."""
        ...

    async def publish(self, key: CallKey, body: Body) -> None:
        """Stamp, keep, show. Returns when the event is durable; for partials at once, and the store may
        never see one that a newer partial of the same segment has overtaken.

        Raises NotFoundError for a call that is not open, ConflictError when another call has taken its id: then it
        is not open any more.
        """
        ...

    async def settled(self, key: CallKey) -> None:
        """The text of an ended call stands: its held deliveries may go out. Closes the call."""
        ...


class EventBoard(Protocol):
    """Where events go once they are kept, for subscribers to find: in this process, or a stream that all nodes read."""

    async def show(self, events: Sequence[Event]) -> None:
        """Durable events, each call's in order of `seq`. Never raises: live views may suffer, calls may not."""
        ...

    async def finish(self, key: CallKey) -> None:
        """The call has ended and is settled: no event of it will follow."""
        ...


class EventFeed(Protocol):
    """Events as subscribers read them."""

    def call(self, tenant: str, call_id: str, *, after: int = 0, coming: bool = False) -> AsyncIterator[Event]:
        """Every event of one call behind `seq` `after`, in order, none missing or twice; ends when the call is settled.

        `coming`: it is about to begin in this process, and is waited for. Raises NotFoundError when the tenant has no
        such call.
        """
        ...

    def tenant(self, tenant: str) -> AsyncIterator[Event]:
        """Events of all the tenant's calls from now on. Never ends."""
        ...


# -- keeping -------------------------------------------------------------------------------------------------------

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


# -- taking calls --------------------------------------------------------------------------------------------------


class Upload(Protocol):
    """A file that is coming in, on the disk and not in memory."""

    @property
    def size(self) -> int:
        """Bytes so far."""
        ...

    async def write(self, data: bytes) -> None:
        """Raises TooLargeError, SpoolError."""
        ...

    async def place(self, data: bytes, at: int) -> None:
        """`data` at a byte of its own, for files that come in pieces side by side. Raises TooLargeError, SpoolError."""
        ...

    def discard(self) -> None:
        """It is not wanted after all. Once submitted, it is not ours to discard: nothing happens."""
        ...


class Transcriber(Protocol):
    """Where recordings are put into words, behind live calls. Each becomes a call of carrier `recording`."""

    def check_room(self, tenant: str) -> None:
        """Raises CapacityError when too many wait, TooManyRequestsError when too many of one tenant's do."""
        ...

    def receive(self, tenant: str) -> Upload:
        """Raises CapacityError, TooManyRequestsError, SpoolError."""
        ...

    async def submit(self, order: Order, upload: Upload | None) -> Job:
        """Returns once the order outlives this process. Without an upload, `order.url` is fetched later.

        Raises InvalidRequestError (no recording), ConflictError (there is such a call), and as `check_room` does.
        """
        ...

    async def job(self, tenant: str, call_id: str) -> Job:
        """Raises NotFoundError."""
        ...

    def waiting(self, tenant: str) -> Sequence[Order]:
        """Orders here that are no call yet, newest first."""
        ...

    async def finished(self, tenant: str, call_id: str) -> None:
        """Returns when the order has ended, one way or the other: at once if it has."""
        ...

    async def cancel(self, tenant: str, call_id: str) -> None:
        """End an order that has not ended: its call fails as `cancelled`. Raises NotFoundError, ConflictError."""
        ...


class CallTaker(Protocol):
    """Where a media socket takes a call that a carrier has started."""

    def check_room(self, tenant: str | None = None) -> None:
        """Raises CapacityError (with `details["retry_after"]`) when another call would hurt those in progress, or the
        tenant, if that is known yet, has as many as it may.
        """
        ...

    async def take(self, started: StreamStarted, items: AsyncIterator[StreamItem], *, tenant: str) -> None:
        """Run one call to its end; returns when it has ended and its end is durable.

        `items` running out is the hang-up; a CarrierError raised by it ends the call with that error's code, and
        what was heard before stays. Cancelling (a dropped socket, a shutdown) ends the call as an ordinary hang-up.
        Raises CapacityError or ConflictError (the chosen call_id exists) before reading anything.
        """
        ...

    def play(self, key: CallKey, samples: Samples) -> None:
        """What a call's caller is played from now on, if it is in progress: its echo is nobody's turn."""
        ...

    def active(self) -> int:
        """Calls in progress."""
        ...
