"""Going away without cutting anybody off in mid-word."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

from bridge.web.context import Context

LOOK_EVERY_S: Final = 0.05


async def until_idle(context: Context, limit_s: float) -> None:
    """Returns when no call is in progress, or after `limit_s`."""
    end = context.clock.monotonic() + limit_s
    while context.calls.active() and context.clock.monotonic() < end:
        await context.clock.sleep(LOOK_EVERY_S)


async def first_of(*stories: Coroutine[Any, Any, Any]) -> Any:
    """Run all until one comes to its end, and return that; the others are cancelled and waited for."""
    tasks = [asyncio.create_task(story) for story in stories]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return done.pop().result()
