"""Sends what is due: claims deliveries from the outbox, posts them, records how it went."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

import aiohttp
import structlog

from bridge import __version__, metrics
from bridge.deliver.circuit import Circuits
from bridge.deliver.guard import GuardedSession
from bridge.deliver.retry import TRY_LIMIT_S, Outcome, next_due
from bridge.deliver.signing import signed_headers
from bridge.deliver.style import METHOD, STANDARD, Style
from bridge.errors import BridgeError, NotFoundError, StoreError
from bridge.model.records import Attempt, Delivery, Endpoint
from bridge.ports import Clock, Store
from bridge.pulse import Pulse

log: Final = structlog.get_logger(__name__)

AT_ONCE: Final = 128
"""Tries under way; more wait in the store."""
FOR_SUSPECTS: Final = AT_ONCE // 2
"""Of those, for endpoints that failed last time: receivers that hang cannot take all places."""
EACH: Final = 4
"""Tries under way to one endpoint."""
LEASE_S: Final = 60.0
"""Well over what a try and its recording take. Who dies holding a lease delays that delivery by so much."""
POLL_S: Final = 10.0
"""How late this process may notice what another one has put into the outbox."""
STORE_PAUSE_S: Final = 1.0
SUSPICIOUS: Final = frozenset({408, 429})
"""Answers below 500 that say something about the receiver, not about the message."""


class Webhooks:
    """The delivery worker. Several may work on one outbox. `start` before use, `close` after."""

    def __init__(
        self, store: Store, session: GuardedSession, clock: Clock, styles: Mapping[str, Style] | None = None
    ) -> None:
        """`styles`: ways to write messages beside ours, by what endpoints call them."""
        self._store = store
        self._styles = {"": STANDARD, **(styles or {})}
        self._session = session
        self._clock = clock
        self._circuits = Circuits()
        self._tries: dict[asyncio.Task[None], Delivery] = {}
        self._busy: Counter[str] = Counter()
        self._freed = Pulse()
        self._worker: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._worker = asyncio.create_task(self._work(), name="webhooks")

    async def close(self, *, grace_s: float = TRY_LIMIT_S) -> None:
        """Begin nothing more; finish what is under way, or after `grace_s` give it back to the outbox."""
        if self._worker is None:
            return
        self._worker.cancel()
        with suppress(asyncio.CancelledError):
            await self._worker
        limit = asyncio.create_task(self._clock.sleep(grace_s))
        while self._tries and not limit.done():
            await asyncio.wait({limit, *self._tries}, return_when=asyncio.FIRST_COMPLETED)
        limit.cancel()
        unfinished = dict(self._tries)
        for task in unfinished:
            task.cancel()
        if unfinished:
            await asyncio.wait(unfinished)
            with suppress(StoreError):  # then the leases run out
                await self._store.release(list(unfinished.values()), self._clock.now())

    async def _work(self) -> None:
        while True:
            changed, freed = self._store.changed(), self._freed.next()
            now = self._clock.now()
            for endpoint_id in self._store.wanted():
                self._circuits.forget(endpoint_id)
            try:
                claimed = await self._claim(now)
                under_way = {delivery.id for delivery in self._tries.values()}
                for delivery, endpoint in claimed:
                    if delivery.id not in under_way:  # or the wall clock was set on, and its lease looks over
                        self._begin(delivery, endpoint)
                pause_s = 0.0 if claimed else await self._pause_s(now)
            except BridgeError as error:
                log.warning("outbox cannot be read, will try again", error=error.message)
                await self._clock.sleep(STORE_PAUSE_S)
                continue
            if pause_s > 0:
                await self._first_of(changed, freed, pause_s)

    async def _claim(self, now: float) -> Sequence[tuple[Delivery, Endpoint]]:
        free = AT_ONCE - len(self._tries)
        if free <= 0:
            return ()
        room = self._circuits.room(self._busy, now, each=EACH, suspects=FOR_SUSPECTS)
        return await self._store.claim(now, lease_s=LEASE_S, limit=free, each=EACH, room=room)

    async def _pause_s(self, claimed_at: float) -> float:
        """How long nothing can become due, unless something changes or a place is freed. What was due when nothing
        was claimed waits for one of those.
        """
        due, probe = await self._store.next_due(), self._circuits.next_probe(claimed_at)
        now = self._clock.now()
        return min([POLL_S, *(at - now for at in (due, probe) if at is not None and at > claimed_at)])

    async def _first_of(self, changed: asyncio.Event, freed: asyncio.Event, pause_s: float) -> None:
        waits = [asyncio.ensure_future(waited) for waited in (changed.wait(), freed.wait(), self._clock.sleep(pause_s))]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def _begin(self, delivery: Delivery, endpoint: Endpoint) -> None:
        task = asyncio.create_task(self._try(delivery, endpoint), name=f"webhook {delivery.id}")
        self._tries[task] = delivery
        self._busy[endpoint.id] += 1
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        delivery = self._tries.pop(task)
        self._busy[delivery.endpoint_id] -= 1
        if not self._busy[delivery.endpoint_id]:
            del self._busy[delivery.endpoint_id]
        if not task.cancelled() and (error := task.exception()) is not None:
            # Its lease runs out, then it is tried again.
            log.error("webhook try broke off", delivery_id=delivery.id, exc_info=error)
        self._freed.send()

    async def _try(self, delivery: Delivery, endpoint: Endpoint) -> None:
        at, started = self._clock.now(), self._clock.monotonic()
        style = self._styles.get(endpoint.style, STANDARD)
        outcome = await self._post(delivery, endpoint, style, at)
        took_s = self._clock.monotonic() - started
        attempt = Attempt(
            number=delivery.tries + 1,
            at=at,
            status=outcome.status,
            error=outcome.error,
            duration_ms=round(took_s * 1000),
        )
        now = self._clock.now()
        if outcome.status is None or outcome.status >= 500 or outcome.status in SUSPICIOUS:
            self._circuits.failed(endpoint.id, now)
        else:
            self._circuits.forget(endpoint.id)
        chance = random.random()  # noqa: S311  # no secret
        due = next_due(outcome, number=attempt.number, now=now, chance=chance, schedule_s=style.schedule_s)
        _note(delivery, outcome, attempt, due, took_s)
        if outcome.gone:
            await self._disable(endpoint)
        await self._record(delivery, attempt, due, delivered=outcome.delivered)

    async def _post(self, delivery: Delivery, endpoint: Endpoint, style: Style, at: float) -> Outcome:
        answer = asyncio.create_task(self._answer(delivery, endpoint, style, at))
        limit = asyncio.create_task(self._clock.sleep(style.limit_s))
        try:
            await asyncio.wait({answer, limit}, return_when=asyncio.FIRST_COMPLETED)
            return answer.result() if answer.done() else Outcome(error=f"no answer within {style.limit_s:.0f} s")
        finally:
            answer.cancel()
            limit.cancel()

    async def _answer(self, delivery: Delivery, endpoint: Endpoint, style: Style, at: float) -> Outcome:
        body = style.body(delivery, endpoint)
        headers = {
            "content-type": "application/json",
            "user-agent": f"callbridge/{__version__}",
            **signed_headers(endpoint, delivery.id, at, body),
            **style.headers(delivery, endpoint, at, body),
        }
        method, url = endpoint.options.get(METHOD, "POST"), delivery.url or endpoint.url
        try:
            async with await self._session.request(method, url, data=body, headers=headers) as response:
                return Outcome(status=response.status, retry_after=response.headers.get("retry-after"))
        except BridgeError as error:
            return Outcome(error=error.message)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Outcome(error=f"{type(error).__name__}: {error}"[:200])

    async def _disable(self, endpoint: Endpoint) -> None:
        changes = {"enabled": False, "disabled_reason": "the receiver answered 410 Gone"}
        with suppress(NotFoundError, StoreError):  # deleted; or the database is away and the next 410 does it
            await self._store.update_endpoint(endpoint.tenant, endpoint.id, changes)

    async def _record(self, delivery: Delivery, attempt: Attempt, due: float | None, *, delivered: bool) -> None:
        """Until the store has taken it, or the lease is over: somebody else then sends it again."""
        while True:
            try:
                await self._store.record(delivery.id, attempt, next_due=due, delivered=delivered)
            except StoreError:
                if self._clock.now() >= delivery.due_at:
                    return
                await self._clock.sleep(STORE_PAUSE_S)
            else:
                return


def _note(delivery: Delivery, outcome: Outcome, attempt: Attempt, due: float | None, took_s: float) -> None:
    kind = "delivered" if outcome.delivered else "gone" if outcome.gone else "exhausted" if due is None else "failed"
    metrics.DELIVERIES.labels(kind).inc()
    if outcome.status is not None:
        metrics.DELIVERY_SECONDS.observe(took_s)
    if kind != "delivered":
        log.warning(
            "webhook try failed",
            delivery_id=delivery.id,
            endpoint_id=delivery.endpoint_id,
            type=delivery.type,
            number=attempt.number,
            status=attempt.status,
            error=attempt.error,
            outcome=kind,
        )
