"""Signatures that have let somebody in: whoever has overheard one is not let in by it again. Of this process alone."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Final

from bridge.errors import CarrierAuthError
from bridge.ingest.signatures import OneUse

MOST: Final = 100_000
"""Remembered at a time, some 20 MB; beyond that the oldest is forgotten."""


class Replays:
    def __init__(self) -> None:
        self._used: OrderedDict[bytes, float] = OrderedDict()
        """What was used, in the order in which it came, and until when it would still be good."""

    def __len__(self) -> int:
        return len(self._used)

    def use(self, dialect: str, signed: OneUse, now: float) -> None:
        """Raises CarrierAuthError for what was used before; `now` in Unix seconds."""
        while self._used and next(iter(self._used.values())) < now:
            self._used.popitem(last=False)
        used = hashlib.sha256(f"{dialect}\n{signed.id}".encode("utf-8", "surrogateescape")).digest()
        if used in self._used:
            raise CarrierAuthError("the signature of this upgrade has been used before")
        self._used[used] = signed.until
        if len(self._used) > MOST:
            self._used.popitem(last=False)
