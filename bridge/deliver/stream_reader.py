"""What a node hears of other nodes' calls: one connection that reads every stream somebody here waits for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from bridge.deliver.streams import Keys
from bridge.ports import Clock

log = structlog.get_logger(__name__)

BLOCK_MS: Final = 2_000
AT_ONCE: Final = 500
"""Entries of one stream in one answer."""
GATHERED_S: Final = 0.01
"""Between two answers: each asks for all streams again, so many events had better share one."""
LOOK_AGAIN_S: Final = 2.0
SILENT_S: Final = 10.0
"""A call of which nothing was heard for so long is looked up in the store, in case its news was lost."""
BACKOFF_S: Final = 0.5

Fields = Mapping[str, str]
Take = Callable[[Fields], None]


@dataclass(slots=True, eq=False)
class Stream:
    """A stream that somebody here reads."""

    key: str
    take: Take
    """Hears of each entry."""
    doubt: Callable[[], None]
    """Hears that entries may be lost."""
    place: str | None
    """The id of the last entry that was read; None: from now on, which is not resolved yet."""
    heard_at: float
    readers: int = 0


class StreamReader:
    """`reading` a stream brings its entries to `take`; `run` and `look_again` do the work."""

    def __init__(self, redis: Redis, keys: Keys, node: str, clock: Clock) -> None:
        """`redis` is for this reader alone: it blocks."""
        self._redis = redis
        self._clock = clock
        self._bell = keys.bell(node)
        self._bell_place = "0-0"
        self._ringing = False
        self._streams: dict[str, Stream] = {}
        self.fault: str | None = None

    @contextmanager
    def reading(self, key: str, take: Take, doubt: Callable[[], None], *, from_now: bool) -> Iterator[None]:
        """From what the stream holds on, or `from_now` on. Any number may read one stream; the first one's `take` and
        `doubt` serve all.
        """
        stream = self._streams.get(key)
        if stream is None:
            place = None if from_now else "0-0"
            stream = self._streams[key] = Stream(key, take, doubt, place, self._clock.monotonic())
            self._ringing = True
        stream.readers += 1
        try:
            yield
        finally:
            stream.readers -= 1
            if not stream.readers:
                del self._streams[key]

    async def ring(self, redis: Redis) -> None:
        """Wake the reader for streams that are new to it. `redis` is another connection than the one that blocks."""
        if not self._ringing or self.fault is not None:
            return
        self._ringing = False
        try:
            async with redis.pipeline() as pipe:
                pipe.xadd(self._bell, {"new": "1"}, maxlen=1, approximate=False)
                pipe.expire(self._bell, 60)
                await pipe.execute()
        except (RedisError, OSError):
            self._ringing = True  # the reader looks again after `BLOCK_MS` by itself

    async def run(self) -> None:
        while True:
            try:
                await self._read()
            except (RedisError, OSError) as error:
                if self.fault is None:
                    log.warning("live events of other nodes cannot be read, the store is asked", error=str(error))
                self.fault = f"other nodes' live events come late, from the store: {error}"
                await self._clock.sleep(BACKOFF_S)

    async def look_again(self) -> None:
        """Send those to the store who wait for something that may never come from Redis."""
        while True:
            await self._clock.sleep(LOOK_AGAIN_S)
            now = self._clock.monotonic()
            for stream in list(self._streams.values()):
                if self.fault is not None or now - stream.heard_at > SILENT_S:
                    stream.heard_at = now
                    stream.doubt()

    async def _read(self) -> None:
        await self._redis.ping()
        if self.fault is not None:
            log.info("live events of other nodes are read again")
            self.fault = None
            for stream in self._streams.values():
                stream.doubt()
        while True:
            places = {self._bell: self._bell_place}
            for stream in list(self._streams.values()):
                if stream.place is None:
                    stream.place = await self._newest(stream.key)
                places[stream.key] = stream.place
            answer = await self._redis.xread(places, count=AT_ONCE, block=BLOCK_MS)
            for key, entries in _rows(answer):
                self._took(key, entries)
            await self._clock.sleep(GATHERED_S)

    async def _newest(self, key: str) -> str:
        found: Sequence[Any] = await self._redis.xrevrange(key, count=1)
        return str(found[0][0]) if found else "0-0"

    def _took(self, key: str, entries: Sequence[tuple[str, Fields]]) -> None:
        if key == self._bell:
            self._bell_place = entries[-1][0]
            return
        stream = self._streams.get(key)
        if stream is None:  # its last reader has left meanwhile
            return
        stream.heard_at = self._clock.monotonic()
        for place, fields in entries:
            stream.place = place
            try:
                stream.take(fields)
            except (ValueError, LookupError) as error:
                log.warning("a live event cannot be read", key=key, error=repr(error))


def _rows(answer: Any) -> Iterator[tuple[str, Sequence[tuple[str, Fields]]]]:
    """XREAD's answer in RESP2 (rows) and in RESP3 (a map, each value in a list of its own)."""
    if isinstance(answer, dict):
        for key, entries in answer.items():
            yield key, entries[0] if entries and isinstance(entries[0], list) else entries
    else:
        yield from answer or ()
