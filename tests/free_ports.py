"""Ports that nobody has: for what has to be told a number before it opens it."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack, suppress


def free_ports(count: int = 1) -> int:
    """The first of so many in a row, for UDP and TCP. It is even, and none of them is one that a system gives by itself."""
    while True:
        first = random.randrange(16_000, 32_000, 2)  # noqa: S311  # two runs at once seldom meet
        with suppress(OSError), ExitStack() as held:
            for port in range(first, first + count):
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    held.enter_context(socket.socket(socket.AF_INET, kind)).bind(("127.0.0.1", port))
            return first
