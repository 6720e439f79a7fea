"""Worker threads over one model in this process, off the event loop and nicer than it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from bridge.ports import Decoded, DecodeJob
from bridge.recognise.whisper import Plan, Whisper

NICENESS: Final = 5
"""Sockets and clocks come before decoding when both want a core."""


class ThreadWorkers:
    """One model, `count` threads. The model is loaded by a nice thread, so that its own threads are nice too."""

    def __init__(self, load: Callable[[], Whisper], *, count: int) -> None:
        """Raises SetupError when the weights do not load."""
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="decode", initializer=_be_nice)
        self._model = self._pool.submit(load).result()
        self._count = count

    @property
    def count(self) -> int:
        return self._count

    @property
    def model(self) -> Whisper:
        return self._model

    def plan(self, job: DecodeJob) -> Plan:
        return self._model.plan(job)

    async def decode(self, plans: Sequence[Plan]) -> list[Decoded]:
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._model.decode, plans)

    async def close(self) -> None:
        await asyncio.to_thread(self._pool.shutdown)


def _be_nice() -> None:
    """Linux keeps niceness per thread; elsewhere, or where it is forbidden, nothing is lost."""
    with contextlib.suppress(AttributeError, OSError):
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + NICENESS)
