"""VoiceStore."""

from __future__ import annotations

import dataclasses

import pytest

from bridge.errors import ConflictError, NotFoundError
from bridge.ports import Store
from tests.contract.builders import a_voice
from tests.story import START


async def test_voices_come_back_as_they_were_enrolled_oldest_first(store: Store) -> None:
    later = a_voice("spk_0", name="Ömer ✓", at=START + 1)
    for voice in (later, a_voice()):
        await store.create_voice(voice)
    assert await store.voices("acme") == [a_voice(), later]


async def test_a_voice_belongs_to_its_tenant(store: Store) -> None:
    """Nobody else sees or deletes it; the same name may be another tenant's, too."""
    await store.create_voice(a_voice())
    assert await store.voices("other") == []
    with pytest.raises(NotFoundError):
        await store.delete_voice("other", "spk_1")
    await store.create_voice(a_voice("spk_2", "other"))
    assert [voice.id for voice in await store.voices("acme")] == ["spk_1"]


async def test_a_name_is_taken_once(store: Store) -> None:
    await store.create_voice(a_voice())
    with pytest.raises(ConflictError):
        await store.create_voice(a_voice("spk_2"))
    assert await store.voices("acme") == [a_voice()]


async def test_a_deleted_voice_is_gone_and_its_name_is_free(store: Store) -> None:
    await store.create_voice(a_voice())
    await store.delete_voice("acme", "spk_1")
    assert await store.voices("acme") == []
    with pytest.raises(NotFoundError):
        await store.delete_voice("acme", "spk_1")
    again = dataclasses.replace(a_voice("spk_2"), speech_ms=9000)
    await store.create_voice(again)
    assert await store.voices("acme") == [again]
