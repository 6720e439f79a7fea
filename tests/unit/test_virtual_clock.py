"""The clock that tests move: what it promises to code that works out a moment and then sleeps."""

from __future__ import annotations

import asyncio

from tests.clock import VirtualClock


async def test_a_sleep_counts_from_when_it_was_asked_for(clock: VirtualClock) -> None:
    """A task that first runs after time was moved wakes at the moment its caller meant, not later by that move."""
    asked = clock.sleep(10)
    await clock.advance(6)
    sleeper = asyncio.create_task(asked)
    await clock.advance(3.9)
    assert not sleeper.done()
    await clock.advance(0.1)
    assert sleeper.done()


async def test_a_sleep_whose_moment_has_passed_is_over_at_once(clock: VirtualClock) -> None:
    """However late its task begins."""
    asked = clock.sleep(10)
    await clock.advance(60)
    await asyncio.wait_for(asked, 1)
