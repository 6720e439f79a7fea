"""What lists come back as: a sequence of their items, and a mapping of what stands beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

Item = dict[str, Any]


class Listed(Sequence[Item]):
    """A page. `for one in page`, `len(page)` and `page[0]` are about its items; `page["total"]` and `page.get("total")`
    about the answer that brought them.
    """

    def __init__(self, answer: Mapping[str, Any], key: str) -> None:
        self.answer = dict(answer)
        self.items: list[Item] = list(answer.get(key) or ())

    @overload
    def __getitem__(self, at: int) -> Item: ...
    @overload
    def __getitem__(self, at: slice) -> list[Item]: ...
    @overload
    def __getitem__(self, at: str) -> Any: ...
    def __getitem__(self, at: int | slice | str) -> Any:
        return self.answer[at] if isinstance(at, str) else self.items[at]

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Item]:
        return iter(self.items)

    def __contains__(self, thing: object) -> bool:
        return thing in (self.answer if isinstance(thing, str) else self.items)

    def get(self, name: str, default: Any = None) -> Any:
        return self.answer.get(name, default)

    @property
    def cursor(self) -> str | None:
        """Asks for the next page, where the list has cursors."""
        return self.answer.get("cursor")

    def __repr__(self) -> str:
        return f"Listed({self.items!r})"
