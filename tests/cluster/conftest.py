"""PostgreSQL and Redis where they run; otherwise what needs them says why it was left out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.carrier.audio import EncodedAudio, encode
from bridge.carrier.twilio import TwilioSide
from tests.cluster.nodes import LEASE_S, NODE, Nodes, running
from tests.contract.conftest import postgres_url
from tests.live import REDIS, redis_prefix
from tests.tones import recording

__all__ = ["postgres_url"]


@pytest.fixture
async def nodes(request: pytest.FixtureRequest, postgres_url: str, tmp_path: Path) -> AsyncIterator[Nodes]:
    """Servers, each ready for calls. The parameter is how long their leases are; None: as long as a customer's."""
    lease_s = getattr(request, "param", LEASE_S)
    command = NODE if lease_s is None else (*NODE, "--lease", str(lease_s))
    async with (
        redis_prefix("callbridge"),
        running(tmp_path, database=postgres_url, events=REDIS, command=command) as nodes,
    ):
        yield nodes


@pytest.fixture(scope="session")
def audio() -> EncodedAudio:
    return encode(recording(), TwilioSide.media_format, frame_ms=20)
