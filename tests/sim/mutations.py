"""The product broken on purpose, one promise at a time: what the simulation must see, or it proves nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from bridge.audio.leg import LegAudio
from bridge.deliver import webhooks
from bridge.deliver.hub import _Recent
from bridge.deliver.webhooks import Webhooks
from bridge.model.call_key import CallKey
from bridge.recognise.hearing import Hearing
from bridge.recovery import Recovery, Resumed
from bridge.spool import file
from bridge.spool.file import TapeFile
from bridge.spool.tape import Tape


@dataclass(frozen=True)
class Mutation:
    """`break_it` changes something for as long as its block lasts; a seed must then say `seen`."""

    break_it: Callable[[], contextlib.AbstractContextManager[None]]
    seen: tuple[str, ...]


@contextlib.contextmanager
def _with(where: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(where, name)
    setattr(where, name, value)
    try:
        yield
    finally:
        setattr(where, name, before)


async def _no_recovery(_recovery: Recovery) -> None:
    return


async def _all_again(self: Resumed, key: CallKey, body: Any) -> None:
    await self._sink.publish(key, body)


def _skips(recent: Any, place: int, *, real: Any = _Recent.behind) -> Any:
    found = real(recent, place)
    return found[1:] if found is not None and len(found) > 1 else found


async def _twice(worker: Any, now: float, *, real: Any = Webhooks._claim) -> Any:
    return [*await real(worker, now)] * 2


def _unnamed(leg: LegAudio, count: int, _reason: str) -> list[Any]:
    return [*leg._writer.drain(), *leg._writer.silence(count)]


def _unsaid(hearing: Hearing, utterance: Any, decoded: Any, *, real: Any = Hearing._conclude) -> None:
    if decoded is not None:
        real(hearing, utterance, decoded)


def _leaks(hearing: Hearing, *, real: Any = Hearing.close) -> None:
    real(hearing)
    _leaked.add(asyncio.get_running_loop().create_task(asyncio.sleep(1e9)))


_leaked: set[Any] = set()


MUTATIONS: Final = {
    "what carriers say reaches no disk": Mutation(lambda: _with(Tape, "write", lambda *_: None), ("reached no disk",)),
    "no redo log is followed": Mutation(
        lambda: _with(file, "redo", lambda _: (set(), set())), ("is lost", "nor is named as a gap")
    ),
    "nobody finishes what a dead process left": Mutation(
        lambda: _with(Recovery, "run", _no_recovery), ("not at rest",)
    ),
    "what was told is told again": Mutation(
        lambda: _with(Resumed, "publish", _all_again), ("starts and", "holes", "not at rest")
    ),
    "gaps are not named": Mutation(lambda: _with(LegAudio, "_gap", _unnamed), ("nor is named as a gap",)),
    "speech that cannot be decoded is passed over": Mutation(
        lambda: _with(Hearing, "_conclude", _unsaid), ("is lost",)
    ),
    "a failed delivery is not tried again": Mutation(
        lambda: _with(webhooks, "next_due", lambda *_, **__: None), ("never took",)
    ),
    "a try is begun twice": Mutation(lambda: _with(Webhooks, "_claim", _twice), ("sent twice at once",)),
    "live readers miss an event": Mutation(lambda: _with(_Recent, "behind", _skips), ("a reader saw",)),
    "files stay": Mutation(lambda: _with(TapeFile, "finish", lambda file, keep: file.close()), (".tape",)),
    "a task is left behind": Mutation(lambda: _with(Hearing, "close", _leaks), ("left behind",)),
}
