"""Leave to send one recording: sealed into the address that it is sent to, so that no server has to remember it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from bridge.errors import ForbiddenError
from bridge.web.auth import TokenSigner

PURPOSE: Final = "upload of a recording"
LIFETIME_S: Final = 900
PART_BYTES: Final = 5 * 2**20
"""What browsers cut a large recording into."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One of a recording's pieces: its number from 1, its first byte and how many there are."""

    number: int
    start: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Leave to send `size` bytes as `recording_id`, for one user of the tenant's."""

    recording_id: str
    tenant: str
    identity: str
    name: str
    size: int
    """0: as many as anybody may send."""
    in_parts: bool

    def seal(self, signer: TokenSigner) -> str:
        return signer.seal(asdict(self), purpose=PURPOSE, lifetime_s=LIFETIME_S)

    def parts(self) -> Iterator[Part]:
        for number, start in enumerate(range(0, self.size, PART_BYTES), 1):
            yield Part(number=number, start=start, size=min(PART_BYTES, self.size - start))


def read_grant(signer: TokenSigner, sealed: str, recording_id: str) -> Grant:
    """Raises ForbiddenError for one that has lapsed, was changed, or belongs to another recording."""
    claims = signer.unseal(sealed, purpose=PURPOSE)
    if claims is None or claims["recording_id"] != recording_id:
        raise ForbiddenError("This upload address has expired or is not valid")
    return Grant(**_fields(claims))


def _fields(claims: Mapping[str, Any]) -> dict[str, Any]:
    return {name: claims[name] for name in Grant.__slots__}
