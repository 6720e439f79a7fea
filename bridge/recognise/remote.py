"""The engine of a Ray cluster, seen from a bridge: `CALLBRIDGE_ENGINE=ray://HOST:8000`.

Jobs go over HTTP to Ray Serve's proxy, which gives each to one of the replicas (`ray_replica.py`); those decode what
comes from all bridges together. A bridge needs nothing of Ray installed. What nobody answered is asked again: a
replica that dies loses no final.
"""

from __future__ import annotations

import random
from typing import Final
from urllib.parse import urlsplit

import aiohttp
import structlog

from bridge.errors import EngineError, SetupError
from bridge.metrics import ENGINE_OVERHEAD, ENGINE_TRIES
from bridge.ports import Clock, Decoded, DecodeJob, Urgency
from bridge.recognise.wire import pack_job, unpack_decoded

log = structlog.get_logger(__name__)

SCHEME: Final = "ray"
PORT: Final = 8000
"""Ray Serve's, unless it was told another (docs.ray.io, Serve, HTTPOptions)."""
PATH: Final = "/decode"
REPLICA: Final = "X-Replica"
PRESSURE: Final = "X-Pressure"
TOOK: Final = "X-Took"

CONNECTIONS: Final = 256
TRY_S: Final = 60.0
"""For one try of what must be decoded. A dead replica is known sooner; this is for a proxy whose machine has gone. Who
asks again too soon asks a busy cluster to begin anew.
"""
GIVE_UP_S: Final = 180.0
"""After so long without an answer a piece of speech is named as a gap."""
PARTIAL_S: Final = 2.0
"""A partial that is so late shows what nobody waits for any more."""
FIRST_BACKOFF_S: Final = 0.05
LONGEST_BACKOFF_S: Final = 2.0
REMEMBERED_S: Final = 5.0
"""How long a replica's word on its load counts."""
OPTIONAL: Final = frozenset({Urgency.PARTIAL, Urgency.SETTLE})

UNDECODABLE: Final = 422
SHED: Final = 204


class RemoteEngine:
    """Fills the `Engine` port. `close` after use."""

    def __init__(self, address: str, clock: Clock) -> None:
        """Raises SetupError for an address that cannot be read."""
        try:
            parts = urlsplit(address)
            host, port = parts.hostname, parts.port or PORT
        except ValueError:
            host, port = None, PORT
        if not host or parts.scheme != SCHEME:
            raise SetupError("CALLBRIDGE_ENGINE must be local, or the address of Ray Serve: ray://HOST:8000")
        self._url = f"http://[{host}]:{port}{PATH}" if ":" in host else f"http://{host}:{port}{PATH}"
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None
        self._loads: dict[str, tuple[float, float]] = {}
        """By replica: its pressure, and when it said so."""
        self._unanswered_since: float | None = None
        self._fault: str | None = None

    @property
    def fault(self) -> str | None:
        """For readiness: why nothing is decoded, if so."""
        return self._fault

    def pressure(self) -> float:
        """The mean of the replicas'; 1 while none answers."""
        if self._fault is not None:
            return 1.0
        now = self._clock.monotonic()
        fresh = [pressure for pressure, at in self._loads.values() if now - at < REMEMBERED_S]
        return sum(fresh) / len(fresh) if fresh else 0.0

    async def decode(self, job: DecodeJob) -> Decoded | None:
        """See `bridge.ports.Engine.decode`. What nobody waits for is tried once."""
        began, backoff_s = self._clock.monotonic(), FIRST_BACKOFF_S
        while True:
            try:
                return await self._try(job, began)
            except (aiohttp.ClientError, TimeoutError, _UnansweredError) as error:
                ENGINE_TRIES.labels("unanswered").inc()
                self._unanswered(error)
                if job.urgency in OPTIONAL:
                    return None
                if self._clock.monotonic() - began > GIVE_UP_S:
                    raise EngineError(f"no answer within {GIVE_UP_S:.0f} s: {error}") from error
            await self._clock.sleep(backoff_s * random.uniform(0.5, 1.0))  # noqa: S311  # so that not all ask at once
            backoff_s = min(2 * backoff_s, LONGEST_BACKOFF_S)

    async def check(self) -> None:
        """Ask whether the cluster is there. Raises EngineError."""
        try:
            async with self._open().get(self._url, timeout=aiohttp.ClientTimeout(total=TRY_S)) as answer:
                answer.raise_for_status()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise EngineError(f"Ray Serve does not answer at {self._url}: {error!r}") from error
        self._answered()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONNECTIONS))
        return self._session

    async def _try(self, job: DecodeJob, began: float) -> Decoded | None:
        now = self._clock.monotonic()
        patience_s = max(PARTIAL_S, job.deadline - now + PARTIAL_S) if job.urgency is Urgency.PARTIAL else TRY_S
        timeout = aiohttp.ClientTimeout(total=patience_s)
        async with self._open().post(self._url, data=pack_job(job, now), timeout=timeout) as answer:
            body = await answer.read()
        if answer.status == UNDECODABLE:
            self._answered()
            raise EngineError(body.decode("utf-8", "replace"))
        if answer.status not in {200, SHED}:
            raise _UnansweredError(f"HTTP {answer.status}")
        self._answered()
        self._note(answer.headers.get(REPLICA, ""), answer.headers.get(PRESSURE, "0"))
        ENGINE_TRIES.labels("answered").inc()
        ENGINE_OVERHEAD.observe(max(0.0, self._clock.monotonic() - began - float(answer.headers.get(TOOK, "0"))))
        return unpack_decoded(body) if answer.status == 200 else None

    def _note(self, replica: str, pressure: str) -> None:
        now = self._clock.monotonic()
        self._loads = {name: load for name, load in self._loads.items() if now - load[1] < REMEMBERED_S}
        self._loads[replica] = float(pressure), now

    def _answered(self) -> None:
        if self._fault is not None:
            log.info("the recogniser answers again")
        self._fault = self._unanswered_since = None

    def _unanswered(self, error: Exception) -> None:
        now = self._clock.monotonic()
        if self._unanswered_since is None:
            self._unanswered_since = now
            log.warning("the recogniser does not answer, will ask again", error=repr(error))
        if now - self._unanswered_since > REMEMBERED_S:
            self._fault = f"Ray Serve does not answer at {self._url}"


class _UnansweredError(Exception):
    """An answer that is none: the proxy has no replica, or lost it on the way."""
