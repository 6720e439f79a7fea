"""What tenants say of themselves."""

from __future__ import annotations

import json

from sqlalchemy import select

from bridge.model.records import Account
from bridge.store import codec, tables
from bridge.store.part import Part


class SqlAccounts(Part):
    """The `AccountStore` port."""

    async def account(self, tenant: str) -> Account:
        query = select(tables.accounts).where(tables.accounts.c.tenant == tenant)
        row = await self._db.read(lambda connection: connection.execute(query).mappings().one_or_none())
        if row is None:
            return Account(tenant=tenant, name=tenant)
        return Account(tenant=tenant, name=row["name"], settings=json.loads(row["settings"]))

    async def keep_account(self, account: Account) -> None:
        row = {"tenant": account.tenant, "name": account.name, "settings": codec.dump(dict(account.settings))}
        insert = self._db.insert(tables.accounts)
        kept = insert.on_conflict_do_update(
            index_elements=["tenant"], set_={"name": insert.excluded.name, "settings": insert.excluded.settings}
        )
        await self._db.write(lambda connection: connection.execute(kept, row))
