"""What a carrier's question about a call comes to, whoever the carrier is: the values its answer is written from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, Self
from urllib.parse import urlencode

from bridge.errors import InvalidRequestError

LONGEST_CALL_S: Final = 4 * 3600
"""Carriers end a call by then; until then a pause keeps it up."""

NUMBER: Final = re.compile(r"\+?[0-9]{2,20}")

TOKEN: Final = "token"  # noqa: S105 - a parameter's name

Mode = Literal["start", "connect"]
"""`start`: both parties are heard and the call goes on. `connect`: the call is with us alone until the stream ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One question: where the stream goes, what it brings along, and what else is to happen to the call."""

    stream_url: str
    """`wss://…`, without a query."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """The customer's, and what the webhook knows and the stream's start does not say."""
    token: str | None = None
    """Opens the stream; None where nothing needs to be opened."""
    mode: Mode = "start"
    dial: str | None = None
    """A phone number to be called, as `+15550100`."""
    say: str | None = None
    """Words to be spoken first."""

    @classmethod
    def of(cls, query: Mapping[str, str], **given: object) -> Self:
        """`?mode=`, `?dial=` and `?say=` of the webhook's address. Raises InvalidRequestError."""
        mode, number = query.get("mode", "start"), query.get("dial")
        if mode not in {"start", "connect"}:
            raise invalid("mode", "must be start or connect")
        if number is not None and (mode == "connect" or not NUMBER.fullmatch(number)):
            raise invalid("dial", "must be a phone number such as +15550100, and not in connect mode")
        return cls(mode=mode, dial=number, say=query.get("say") or None, **given)  # type: ignore[arg-type]  # the fields of a subclass

    @property
    def all_parameters(self) -> dict[str, str]:
        """With the token among them."""
        return {**self.parameters, **({} if self.token is None else {TOKEN: self.token})}

    def url_with(self, parameters: Mapping[str, str]) -> str:
        """The stream's address with a query, for carriers that keep it."""
        return f"{self.stream_url}?{urlencode(parameters)}" if parameters else self.stream_url


def plain(text: str) -> str:
    """Without the control characters that XML 1.0 cannot hold."""
    return "".join(character for character in text if character.isprintable())


def invalid(name: str, message: str) -> InvalidRequestError:
    """A query value that the carrier would not take."""
    return InvalidRequestError(f"query: {name} {message}", fields=[{"field": name, "in": "query", "message": message}])
