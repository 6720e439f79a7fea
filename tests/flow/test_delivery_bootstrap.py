"""The first webhook endpoint, from the settings alone."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bridge.deliver.bootstrap import ENDPOINT_ID, endpoint_from_settings
from bridge.deliver.signing import key_of
from bridge.errors import SetupError
from bridge.model.records import Endpoint
from bridge.ports import Store
from bridge.settings import load
from bridge.store.cipher import Cipher
from bridge.store.sql import open_store
from tests.clock import VirtualClock

URL = "https://crm.example.org/calls"


async def start(store: Store, clock: VirtualClock, **given: Any) -> Endpoint | None:
    return await endpoint_from_settings(load(**given), store, clock)


async def test_nothing_set_nothing_made(sqlite_store: Store, clock: VirtualClock) -> None:
    """Without an address there is no endpoint."""
    assert await start(sqlite_store, clock) is None
    assert await sqlite_store.endpoints("default") == []


async def test_an_address_is_enough(sqlite_store: Store, clock: VirtualClock) -> None:
    """The endpoint is told of finished calls; its secret is made once and kept over restarts."""
    first = await start(sqlite_store, clock, webhook_url=URL)
    assert first is not None
    assert (first.id, first.url, first.enabled) == (ENDPOINT_ID, URL, True)
    assert set(first.events) == {"call.completed", "call.failed"}
    assert len(key_of(first.secrets[0])) == 32
    assert await start(sqlite_store, clock, webhook_url=URL) == first
    assert await sqlite_store.endpoints("default") == [first]


async def test_a_given_secret_is_used(sqlite_store: Store, clock: VirtualClock) -> None:
    """From the first start, or from the start that first gives it; leaving it out again keeps it."""
    await start(sqlite_store, clock, webhook_url=URL)
    for given in ({"webhook_secret": "whsec_bWluZQ=="}, {}):
        endpoint = await start(sqlite_store, clock, webhook_url=URL, **given)
        assert endpoint is not None
        assert endpoint.secrets == ("whsec_bWluZQ==",)


async def test_a_new_address(sqlite_store: Store, clock: VirtualClock) -> None:
    """It takes the old one's place, and is enabled whatever became of the old one; what was changed by hand stays."""
    await start(sqlite_store, clock, webhook_url=URL)
    await sqlite_store.update_endpoint(
        "default", ENDPOINT_ID, {"enabled": False, "disabled_reason": "410", "events": ("*",)}
    )
    same = await start(sqlite_store, clock, webhook_url=URL)
    assert same is not None
    assert not same.enabled
    moved = await start(sqlite_store, clock, webhook_url=URL + "/new")
    assert moved is not None
    assert (moved.url, moved.enabled, moved.disabled_reason, moved.events) == (URL + "/new", True, None, ("*",))


async def test_processes_that_start_at_once(tmp_path: Path, clock: VirtualClock) -> None:
    """They end with one endpoint and one secret."""
    stores = [await open_store(f"sqlite:///{tmp_path}/c.db", Cipher(["k"]), clock) for _ in range(4)]
    made = await asyncio.gather(*(start(store, clock, webhook_url=URL) for store in stores))
    assert made.count(made[0]) == 4
    for store in stores:
        await store.close()


@pytest.mark.parametrize(
    ("url", "allowed"), [("http://127.0.0.1:9/", "off"), ("http://10.0.0.1/", "192.168.0.0/16"), ("ftp://x/", "on")]
)
async def test_an_address_that_is_refused(sqlite_store: Store, clock: VirtualClock, url: str, allowed: str) -> None:
    """The start fails with a readable reason, and nothing is made."""
    with pytest.raises(SetupError, match="CALLBRIDGE_WEBHOOK_URL"):
        await start(sqlite_store, clock, webhook_url=url, allow_private_urls=allowed)
    assert await sqlite_store.endpoints("default") == []


@pytest.mark.parametrize("allowed", ["on", "127.0.0.1", "127.0.0.0/8"])
async def test_an_address_inside_that_is_allowed(sqlite_store: Store, clock: VirtualClock, allowed: str) -> None:
    """The operator's allow-list counts for the operator's endpoint too."""
    assert await start(sqlite_store, clock, webhook_url="http://127.0.0.1:9/", allow_private_urls=allowed) is not None
