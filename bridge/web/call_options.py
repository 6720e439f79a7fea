"""What may be said of a call before it comes, where its carrier cannot say it."""

from __future__ import annotations

from typing import Annotated, Literal

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
    turns: Literal["captions", "bot", "off"] | None = Field(default=None, description="how turns are told")
    eot_threshold: float | None = Field(default=None, description="how sure `turn.ended` must be")
    eager_eot_threshold: float | None = Field(default=None, description="how sure `turn.eager_ended` must be")
    eot_timeout_ms: int | None = Field(default=None, description="silence that ends any turn")
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
            "turns": self.turns,
            "eot_threshold": self.eot_threshold,
            "eager_eot_threshold": self.eager_eot_threshold,
            "eot_timeout_ms": self.eot_timeout_ms,
            **{f"metadata.{name}": value for name, value in self.metadata.items()},
        }
        return parameters({name: value for name, value in given.items() if value is not None})
