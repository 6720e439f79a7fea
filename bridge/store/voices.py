"""Enrolled voices; what tells them is encrypted before it reaches the database."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, delete, exc, select

from bridge.errors import ConflictError, NotFoundError
from bridge.model.known_voice import KnownVoice
from bridge.store import codec, tables
from bridge.store.part import Part


class SqlVoices(Part):
    """The `VoiceStore` port."""

    async def create_voice(self, voice: KnownVoice) -> None:
        row = codec.voice_row(voice, self._cipher)

        def work(connection: Connection) -> None:
            try:
                connection.execute(tables.voices.insert(), row)
            except exc.IntegrityError:
                raise ConflictError(f"there is a voice called {voice.name!r} already") from None

        await self._db.write(work)

    async def voices(self, tenant: str) -> Sequence[KnownVoice]:
        query = (
            select(tables.voices)
            .where(tables.voices.c.tenant == tenant)
            .order_by(tables.voices.c.created_at, tables.voices.c.id)
        )
        rows = await self._db.read(lambda connection: connection.execute(query).mappings().all())
        return [codec.voice_of(row, self._cipher) for row in rows]

    async def delete_voice(self, tenant: str, voice_id: str) -> None:
        own = (tables.voices.c.tenant == tenant, tables.voices.c.id == voice_id)
        gone = await self._db.write(lambda connection: connection.execute(delete(tables.voices).where(*own)).rowcount)
        if not gone:
            raise NotFoundError(f"no voice {voice_id}")
