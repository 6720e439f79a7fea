"""Webhook receivers, in place of the guarded HTTP session."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from random import Random
from typing import TYPE_CHECKING, Self

from aiohttp import ClientConnectionError

from bridge.deliver.signing import sign

if TYPE_CHECKING:
    from tests.sim.world import World

SECRET = "whsec_c2ltdWxhdGlvbnMgYXJlIG5vdCBzZWNyZXQ="


class Answer:
    def __init__(self, status: int, headers: dict[str, str] | None = None) -> None:
        self.status = status
        self.headers = headers or {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass


class Receivers:
    """All endpoints; number `n` listens at `https://receiver-n/`."""

    def __init__(self, world: World, rng: Random) -> None:
        self._world = world
        self._rng = rng
        self.taken: defaultdict[int, set[tuple[str, str]]] = defaultdict(set)
        """By endpoint: call_id and type of what it answered 2xx to."""
        self.ids: defaultdict[tuple[int, str, str, str], set[str]] = defaultdict(set)
        """By endpoint, call, type and event: the `webhook-id`s seen."""
        self.under_way: Counter[tuple[str, str]] = Counter()
        self.faults: list[str] = []
        self.log: list[tuple[float, str, str, str]] = []

    async def request(self, method: str, url: str, *, data: bytes, headers: dict[str, str]) -> Answer:
        number = int(url.rpartition("-")[2].rstrip("/"))
        message = (url, headers["webhook-id"])
        self._check(number, data, headers)
        self.under_way[message] += 1
        if self.under_way[message] > 1:
            self.faults.append(f"{message} is sent twice at once")
        try:
            return await self._answer(number, data)
        finally:
            self.under_way[message] -= 1

    async def close(self) -> None: ...

    def _check(self, number: int, data: bytes, headers: dict[str, str]) -> None:
        expected = sign(SECRET, headers["webhook-id"], int(headers["webhook-timestamp"]), data)
        if headers["webhook-signature"] != expected:
            self.faults.append("a signature does not verify")
        body = json.loads(data)
        about = body["data"]
        self.ids[number, about["call_id"], body["type"], about.get("id", "")].add(headers["webhook-id"])

    async def _answer(self, number: int, data: bytes) -> Answer:
        world, rng = self._world, self._rng
        ways = {} if world.now() >= world.plan.well_again_s else world.plan.receivers[number]
        await asyncio.sleep(rng.uniform(0.0, 0.1))
        for way, chance in ways.items():
            if rng.random() < chance:
                match way:
                    case "refused":
                        raise ClientConnectionError("refused")
                    case "hangs":
                        await asyncio.sleep(3600)
                    case "slow":
                        await asyncio.sleep(rng.uniform(1, 14))
                    case "lost":
                        self._take(number, data)
                        raise ClientConnectionError("the answer was lost")
                    case "429":
                        return Answer(429, {"retry-after": str(rng.choice([1, 20, 60]))})
                    case "500":
                        return Answer(500)
        self._take(number, data)
        return Answer(rng.choice([200, 204]))

    def _take(self, number: int, data: bytes) -> None:
        body = json.loads(data)
        self.taken[number].add((body["data"]["call_id"], body["type"]))
        self.log.append((round(self._world.now(), 6), body["data"]["call_id"], body["type"], str(number)))
