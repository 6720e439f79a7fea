"""The words of a transcript as an index knows them, and the index itself on each engine.

A search asks for calls in whose transcript certain words occur, in any order and anywhere. So the index holds each
call's distinct words, cut here and not by the engine: SQLite and PostgreSQL then find the same calls.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final, Protocol

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Integer,
    MetaData,
    Select,
    Table,
    Text,
    bindparam,
    column,
    delete,
    literal_column,
    select,
    table,
    text,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql.elements import ColumnElement

from bridge.store.tables import calls

LONGEST_TERM: Final = 64
"""Characters. A longer run is noise, and PostgreSQL's index has a limit."""

_ACCENTS: Final = re.compile("[\u0300-\u036f]")
_BETWEEN: Final = re.compile(
    "[\\s\0-/:-@\\[-`{-\u00a9\u00ab-\u00b4\u00b6-\u00b9\u00bb-\u00bf\u00d7\u00f7"  # ASCII and Latin-1 signs
    "\u055a-\u055f\u0589\u05be\u05c0\u05c3\u05f3\u05f4\u060c\u061b\u061f\u066a-\u066d\u06d4"  # Armenian, Hebrew, Arabic
    "\u0964\u0965\u0970\u0e4f\u0e5a\u0e5b\u104a-\u104f\u17d4-\u17da"  # danda and other full stops
    "\u2000-\u206f\u20a0-\u20cf\u2190-\u2bff\u3000-\u3004\u3008-\u3020\u3030\u30fb\ufe10-\ufe6f\uff01-\uff0f"
    "\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65\ud800-\udfff\ufffd]+"
)
_SPACELESS: Final = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3021-\u302f\u3031-\u30fa\u30fc-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+"
)
"""Scripts that write no spaces (Thai, Khmer, Chinese, Japanese …): each character and each pair is a term."""


def terms(*texts: str) -> frozenset[str]:
    """The distinct words of `texts`, without case and without Latin accents."""
    found: set[str] = set()
    for said in texts:
        plain = _ACCENTS.sub("", unicodedata.normalize("NFKD", said.casefold())).casefold()  # 𝐀 is A only by now
        folded = unicodedata.normalize("NFKC", plain)
        for word in _BETWEEN.split(folded):
            found.update(_cut(word))
    return frozenset(found)


def _cut(word: str) -> Iterable[str]:
    for run in _SPACELESS.findall(word):
        yield from run
        yield from (run[i : i + 2] for i in range(len(run) - 1))
    yield from (part[:LONGEST_TERM] for part in _SPACELESS.split(word) if part)


class TermIndex(Protocol):
    """Which calls hold which words."""

    number: ColumnElement[int]
    """The call's number, from where the engine sorts and bounds a search by it fastest."""

    def put(self, connection: Connection, words: Sequence[tuple[int, Collection[str]]]) -> None:
        """The words of calls, by number; they replace what was there."""
        ...

    def remove(self, connection: Connection, number: int) -> None:
        """The call is about to be deleted."""
        ...

    def searches(
        self, query: Select[Any], wanted: Collection[str], order: Sequence[ColumnElement[Any]], limit: int
    ) -> Sequence[Select[Any]]:
        """`query`, which selects from `calls`, narrowed to calls that hold every word, largest `order` first.

        To be asked in turn: an answer of `limit` rows is the answer, and the last one is in any case.
        """
        ...


_fts: Final = table("call_terms", column("rowid", Integer), column("terms", Text))


class SqliteTerms:
    """FTS5. Its rows come sorted by number at no cost, so the newest matches of a common word are found at once."""

    number: ColumnElement[int] = _fts.c.rowid

    def put(self, connection: Connection, words: Sequence[tuple[int, Collection[str]]]) -> None:
        connection.execute(
            text("INSERT OR REPLACE INTO call_terms (rowid, terms) VALUES (:call, :terms)"),
            [{"call": number, "terms": " ".join(sorted(found))} for number, found in words],
        )

    def remove(self, connection: Connection, number: int) -> None:
        connection.execute(delete(_fts).where(_fts.c.rowid == number))

    def searches(
        self, query: Select[Any], wanted: Collection[str], order: Sequence[ColumnElement[Any]], limit: int
    ) -> Sequence[Select[Any]]:
        # A term holds no quotation mark, so none can end the quoted word early.
        match = " ".join(f'"{word}"' for word in sorted(wanted))
        found = query.join(_fts, _fts.c.rowid == calls.c.number).where(
            literal_column("call_terms").op("MATCH")(bindparam("match", match, Text))
        )
        return [found.order_by(*(column.desc() for column in order)).limit(limit)]


_arrays: Final = Table(
    "call_terms", MetaData(), Column("call", BigInteger, primary_key=True), Column("terms", postgresql.ARRAY(Text))
)


class PostgresTerms:
    """An array of words under a GIN index.

    The index knows no order. A common word is found by looking through the newest calls, a rare one by the index; which
    it is PostgreSQL cannot know beforehand, and a wrong guess costs seconds. So both are asked, the cheap one first.
    """

    LOOKED_THROUGH: Final = 3_000

    number: ColumnElement[int] = calls.c.number

    def put(self, connection: Connection, words: Sequence[tuple[int, Collection[str]]]) -> None:
        insert = postgresql.insert(_arrays)
        connection.execute(
            insert.on_conflict_do_update(index_elements=["call"], set_={"terms": insert.excluded.terms}),
            [{"call": number, "terms": sorted(found)} for number, found in words],
        )

    def remove(self, connection: Connection, number: int) -> None:
        """Nothing to do: the row goes with its call."""

    def searches(
        self, query: Select[Any], wanted: Collection[str], order: Sequence[ColumnElement[Any]], limit: int
    ) -> Sequence[Select[Any]]:
        holds = _arrays.c.terms.contains(sorted(wanted))
        newest_first = [column.desc() for column in order]
        newest = query.order_by(*newest_first).limit(self.LOOKED_THROUGH).subquery()
        looked_through = (
            select(newest)
            .join(_arrays, _arrays.c.call == newest.c.number)
            .where(holds)
            .order_by(*(newest.c[column.key].desc() for column in order if column.key))
            .limit(limit)
        )
        holders = select(_arrays.c.call).where(holds).offset(0).subquery()  # OFFSET keeps the two halves apart
        by_index = query.join(holders, holders.c.call == calls.c.number).order_by(*newest_first).limit(limit)
        return [looked_through, by_index]
