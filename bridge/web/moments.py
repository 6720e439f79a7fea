"""Clock times as the API reads and writes them: RFC 3339."""

from __future__ import annotations

import re
from typing import Annotated, Any, TypeAlias

from pydantic import AwareDatetime, BeforeValidator, PlainSerializer, WithJsonSchema

from bridge.model.events import rfc3339

_EATEN_PLUS = re.compile(r" (\d\d:\d\d)$")


def _mend(value: Any) -> Any:
    """`…T10:00:00+02:00` put into a URL as it is arrives with a space for its plus sign."""
    return _EATEN_PLUS.sub(r"+\1", value) if isinstance(value, str) else value


MomentIn: TypeAlias = Annotated[AwareDatetime, BeforeValidator(_mend)]
"""A time with its zone; one without is refused rather than guessed."""

Moment: TypeAlias = Annotated[
    float, PlainSerializer(rfc3339, return_type=str), WithJsonSchema({"type": "string", "format": "date-time"})
]
"""Unix seconds inside, RFC 3339 UTC outside."""
