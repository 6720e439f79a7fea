"""Calls without a server, a model or a clock that goes by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bridge import call as call_module
from tests.clock import VirtualClock
from tests.office import Office
from tests.tones import tone_segmenter


@pytest.fixture
async def office(clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Office]:
    monkeypatch.setattr(call_module, "Segmenter", tone_segmenter)
    office = Office(clock)
    yield office
    await office.close()
