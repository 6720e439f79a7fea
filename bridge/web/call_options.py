"""What may be said of a call before it comes, where its carrier cannot say it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bridge.calls import CALL_ID, MOST_KEYWORDS
from bridge.ingest.fields import parameters
from bridge.web.route import Incoming

Text = Annotated[str, Field(max_length=200)]


class CallOptionsIn(Incoming):
    """Parent of bodies that announce a call."""

    call_id: Annotated[str, Field(pattern=rf"^{CALL_ID.pattern}$")] | None = Field(
        default=None, description="the call's id; left out, one is made"
    )
    language: Text | None = Field(default=None, description="a language code; found out when left out")
    keywords: tuple[Text, ...] = Field(default=(), max_length=MOST_KEYWORDS, description="words to expect")
    diarize: bool | None = None
    metadata: dict[str, Annotated[str, Field(max_length=1000)]] = Field(
        default={}, max_length=50, description="comes back with the call"
    )

    def as_parameters(self) -> dict[str, str]:
        """As a carrier's custom parameters."""
        given = {
            "call_id": self.call_id,
            "language": self.language,
            "keywords": ",".join(self.keywords) or None,
            "diarize": self.diarize,
            **{f"metadata.{name}": value for name, value in self.metadata.items()},
        }
        return parameters({name: value for name, value in given.items() if value is not None})
