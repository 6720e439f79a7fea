"""Servers that share the database: each says again and again that it lives, and has the calls that it began."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import ColumnElement, Select, delete, or_, select, update

from bridge.model.records import CallRecord
from bridge.store import tables
from bridge.store.part import Part

FORGOTTEN_AFTER_S: Final = 24 * 3600.0
"""Rows of servers that have long gone."""


class SqlNodes(Part):
    """The `NodeStore` port. Time is the database's own, where it has one: clocks of several machines differ."""

    async def beat(self, lease_s: float) -> None:
        now = self._db.time(self._clock)
        insert = self._db.insert(tables.nodes)
        lives = insert.values(id=self._node, lives_until=now + lease_s).on_conflict_do_update(
            index_elements=["id"], set_={"lives_until": insert.excluded.lives_until}
        )
        gone = delete(tables.nodes).where(tables.nodes.c.lives_until < now - FORGOTTEN_AFTER_S)
        await self._db.write(lambda connection: (connection.execute(lives), connection.execute(gone)))

    async def leave(self) -> None:
        gone = delete(tables.nodes).where(tables.nodes.c.id == self._node)
        await self._db.write(lambda connection: connection.execute(gone))

    async def adopt(self, record: CallRecord) -> bool:
        taken = (
            update(tables.calls)
            .where(
                tables.calls.c.tenant == record.tenant,
                tables.calls.c.call_id == record.call_id,
                tables.calls.c.node.is_not_distinct_from(record.node),
                self._nobodys(),
            )
            .values(node=self._node)
        )
        return await self._db.write(lambda connection: connection.execute(taken).rowcount) == 1

    def _nobodys(self) -> ColumnElement[bool]:
        """Of calls: whether no living server has it."""
        alive: Select[Any] = select(tables.nodes.c.id).where(tables.nodes.c.lives_until > self._db.time(self._clock))
        return or_(tables.calls.c.node.is_(None), tables.calls.c.node.not_in(alive))
