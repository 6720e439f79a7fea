"""One thread that decodes, nicer than the event loop; it can be given up, which no thread of a pool can."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final, ParamSpec, TypeVar

T = TypeVar("T")
A = ParamSpec("A")

NICENESS: Final = 5
"""Sockets and clocks come before decoding when both want a core."""

PATIENT: Final = 15
"""And what nobody waits for comes behind all decoding that somebody waits for."""


class Worker:
    """Does what it is given, one after the other. A daemon: one that hangs does not keep the process from ending."""

    def __init__(self, niceness: int = NICENESS) -> None:
        self._niceness = niceness
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        """As long as those are that wait for an answer: its owner gives it a second thing only after the first."""
        self._thread = threading.Thread(target=self._run, name="decode", daemon=True)
        self._thread.start()

    def submit(self, function: Callable[A, T], *args: A.args, **kwargs: A.kwargs) -> Future[T]:
        """What `function` returns or raises, from the thread."""
        answer: Future[T] = Future()
        self._work.put(lambda: _answer(answer, lambda: function(*args, **kwargs)))
        return answer

    def stop(self) -> None:
        """End after what was given. Returns at once."""
        self._work.put(None)

    def join(self) -> None:
        self._thread.join()

    def _run(self) -> None:
        _be_nice(self._niceness)
        while (work := self._work.get()) is not None:
            work()
            del work  # or the samples of the last decode stay until the next one


def _answer(answer: Future[Any], function: Callable[[], Any]) -> None:
    if not answer.set_running_or_notify_cancel():
        return
    try:
        found = function()
    except Exception as error:  # noqa: BLE001  # the caller's to judge
        answer.set_exception(error)
    except BaseException as error:  # noqa: BLE001  # SystemExit would end the server, and not the thread alone
        answer.set_exception(RuntimeError(f"{type(error).__name__} in a worker: {error}"))
    else:
        answer.set_result(found)


def _be_nice(niceness: int) -> None:
    """Linux keeps niceness per thread; elsewhere, or where it is forbidden, nothing is lost."""
    with contextlib.suppress(AttributeError, OSError):
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + niceness)
