"""EndpointStore and KeyStore."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from bridge.errors import ConflictError, NotFoundError
from bridge.model.records import Account, ApiKey
from bridge.ports import Store
from tests.clock import VirtualClock
from tests.contract.builders import an_endpoint
from tests.story import START


async def test_endpoints_come_back_as_they_were_made(store: Store) -> None:
    """By id, and oldest first; an id is taken once."""
    full = an_endpoint(
        "we_2", created_at=START + 1, events=("*", "call.failed"), secrets=("whsec_bmV3", "old ✓"), enabled=False,
        description="CRM", disabled_reason="410", secret_rotates_at=START + 60,
        style="theirs", options={"spelt": "so"},
    )  # fmt: skip
    for endpoint in (full, an_endpoint("we_1")):
        await store.create_endpoint(endpoint)
    assert await store.endpoint("acme", "we_2") == full
    assert await store.endpoints("acme") == [an_endpoint("we_1"), full]
    with pytest.raises(ConflictError):
        await store.create_endpoint(an_endpoint("we_1", "other"))


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "https://new.example.org", "description": "moved"},
        {"enabled": False, "disabled_reason": "410 Gone"},
        {"secrets": ("new", "old"), "secret_rotates_at": START + 3600},
        {"events": ("call.failed",)},
        {},
    ],
    ids=["moved", "disabled", "rotated", "resubscribed", "nothing"],
)
async def test_changing_an_endpoint(store: Store, changes: dict[str, Any]) -> None:
    """What is named changes, the rest stays."""
    await store.create_endpoint(an_endpoint())
    changed = await store.update_endpoint("acme", "we_1", changes)
    assert changed == dataclasses.replace(an_endpoint(), **changes)
    assert await store.endpoint("acme", "we_1") == changed


async def test_a_deleted_endpoint_is_gone(store: Store) -> None:
    """And cannot be deleted twice."""
    await store.create_endpoint(an_endpoint())
    await store.delete_endpoint("acme", "we_1")
    assert await store.endpoints("acme") == []
    with pytest.raises(NotFoundError):
        await store.delete_endpoint("acme", "we_1")


def a_key(key_id: str = "key_1", tenant: str = "acme", at: float = START) -> ApiKey:
    return ApiKey(id=key_id, tenant=tenant, name="ci", prefix="cb_live_ab", created_at=at)


async def test_a_key_is_found_by_its_hash_until_it_is_revoked(store: Store, clock: VirtualClock) -> None:
    """Revoking is remembered with its first time, and a revoked key is listed still."""
    await store.create_key(a_key(), "aa" * 32)
    found = await store.find_key("aa" * 32)
    assert found == dataclasses.replace(a_key(), last_used_at=clock.now())
    assert await store.find_key("bb" * 32) is None
    await store.revoke_key("key_1", START + 5)
    assert (await store.revoke_key("key_1", START + 9)).revoked_at == START + 5
    assert await store.find_key("aa" * 32) is None
    [listed] = await store.keys("acme")
    assert listed.revoked_at == START + 5
    with pytest.raises(NotFoundError):
        await store.revoke_key("key_none", START)


async def test_when_a_key_was_last_used(store: Store, clock: VirtualClock) -> None:
    """Noted, to the minute: a key in steady use is not written with every request."""
    await store.create_key(a_key(), "aa" * 32)
    await store.find_key("aa" * 32)
    first = clock.now()
    await clock.advance(59)
    await store.find_key("aa" * 32)
    assert (await store.keys("acme"))[0].last_used_at == first
    await clock.advance(2)
    await store.find_key("aa" * 32)
    assert (await store.keys("acme"))[0].last_used_at == first + 61


async def test_keys_by_tenant(store: Store) -> None:
    """One tenant's or everybody's, oldest first; neither id nor hash is taken twice."""
    await store.create_key(a_key("key_b", at=START + 1), "bb" * 32)
    await store.create_key(a_key("key_a"), "aa" * 32)
    await store.create_key(a_key("key_c", "other", START + 2), "cc" * 32)
    assert [key.id for key in await store.keys("acme")] == ["key_a", "key_b"]
    assert [key.id for key in await store.keys(None)] == ["key_a", "key_b", "key_c"]
    for key_id, sha256 in (("key_a", "dd" * 32), ("key_d", "aa" * 32)):
        with pytest.raises(ConflictError):
            await store.create_key(a_key(key_id), sha256)


async def test_what_a_tenant_says_of_itself(store: Store) -> None:
    """With nothing said it has the tenant's name; what was said last stands, for that tenant alone."""
    assert await store.account("acme") == Account(tenant="acme", name="acme")
    for language in ("de", "fr"):
        await store.keep_account(Account(tenant="acme", name="Acme Ltd", settings={"default_language": language}))
    assert await store.account("acme") == Account(tenant="acme", name="Acme Ltd", settings={"default_language": "fr"})
    assert await store.account("other") == Account(tenant="other", name="other")
