"""What a world needs around it: the product with the world in its place, and a database that is empty."""

from __future__ import annotations

import contextlib
import gc
import random
import secrets
import sys
import warnings
from collections.abc import Iterator
from contextlib import nullcontext
from functools import cache, partial
from random import Random
from typing import Any

import bridge.app as app_module
import bridge.call as call_module
import bridge.deliver.webhooks as webhooks_module
import bridge.spool.file as file_module
import bridge.spool.locks as locks_module
import bridge.spool.presence as presence_module
import bridge.spool.redo as redo_module
import bridge.spool.spool as spool_module
from bridge.model.records import Endpoint
from bridge.spool.tape import Tape
from bridge.store.cipher import Cipher
from tests.sim.database import engine, template
from tests.sim.loop import SimLoop
from tests.sim.receivers import SECRET
from tests.sim.spool import SimTape
from tests.sim.world import World
from tests.tones import tone_segmenter


@cache
def _settle_down() -> None:
    """The product's own code need not be looked through by every collection."""
    gc.collect()
    gc.freeze()


@contextlib.contextmanager
def simulated(world: World) -> Iterator[None]:
    """The product with this world around it."""
    rng = Random(f"secrets {world.plan.seed}")

    def token_hex(size: int = 32) -> str:
        return rng.randbytes(size).hex()

    state = random.getstate()
    random.seed(world.plan.seed)
    with contextlib.ExitStack() as stack:
        put = partial(_put, stack)
        put(secrets, "token_hex", token_hex)
        put(app_module, "open_store", world.open_store)
        put(app_module, "GuardedSession", lambda _guard: world.receivers)
        put(app_module, "Spool", world.spool)
        put(spool_module, "Tape", SimTape)
        put(app_module, "engine_metrics", lambda _engine: nullcontext())
        put(app_module, "LOOP_WATCH_S", 600.0)
        put(webhooks_module, "POLL_S", 60.0)
        put(call_module, "Segmenter", tone_segmenter)
        for module in (file_module, locks_module, presence_module, redo_module):
            put(module, "os", world.disk)
            put(module, "fcntl", world.disk)
        put(Tape, "__hash__", lambda tape: hash(tape.header.started_at))
        _settle_down()
        gc.disable()  # and nothing of a process that is gone is found in the middle of the next one
        stack.callback(gc.enable)
        put(sys, "unraisablehook", lambda _: None)  # what a killed process would do while it is thrown away
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # and what it never came to await
                try:
                    yield
                finally:
                    gc.collect()
        finally:
            random.setstate(state)
            world.clean_up()


def _put(stack: contextlib.ExitStack, where: Any, name: str, value: Any) -> None:
    before = getattr(where, name)
    setattr(where, name, value)
    stack.callback(setattr, where, name, before)


def prepare(world: World) -> None:
    """An empty database with this world's endpoints."""
    raw: Any = engine().raw_connection()
    raw.dbapi_connection.deserialize(template())
    raw.close()
    world.clock.loop = loop = SimLoop(0.0, Random(0))

    async def endpoints() -> None:
        store = await world.open_store("", Cipher(["simulated"]), world.clock)
        for number, _ in enumerate(world.plan.receivers):
            await store.create_endpoint(
                Endpoint(
                    id=f"we_{number}", tenant="acme", url=f"https://receiver-{number}/", enabled=True,
                    events=world.plan.events[number], secrets=(SECRET,), created_at=world.clock.now(),
                )
            )  # fmt: skip

    refuses, forgets = world.plan.store_refuses, world.plan.store_forgets
    world.plan.store_refuses = world.plan.store_forgets = 0.0
    loop.live(endpoints())
    world.plan.store_refuses, world.plan.store_forgets = refuses, forgets
    loop.close()
