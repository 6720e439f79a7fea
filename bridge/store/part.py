"""What the parts of the SQL store share."""

from __future__ import annotations

from bridge.ports import Clock
from bridge.pulse import Pulse
from bridge.store.cipher import Cipher
from bridge.store.database import Database


class Part:
    """One database, what reads its secrets, and the news that deliveries have become due."""

    def __init__(self, database: Database, cipher: Cipher, clock: Clock, node: str | None = None) -> None:
        """`node`: this server, where several share the database."""
        self._db = database
        self._cipher = cipher
        self._clock = clock
        self._node = node
        self._due = Pulse()
        self._wanted: set[str] = set()
        """Endpoints that a person wants tried now."""

    def _want(self, endpoint_id: str) -> None:
        self._wanted.add(endpoint_id)
        self._due.send()
