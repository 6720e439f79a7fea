"""JSON messages read as carriers write them: numbers as strings, base64 of every sort, optional parts left out."""

from __future__ import annotations

import binascii
import json
import math
from collections.abc import Mapping
from typing import Any, Final

from bridge.errors import CarrierProtocolError
from bridge.model.foreign import from_json

MAX_IDENTIFIER: Final = 256
"""Characters. Identifiers go into every event and log line of a call."""

MAX_NUMBER: Final = 2.0**53
"""Above it a float no longer tells neighbours apart."""

SCALARS: Final = (str, int, float)
"""What a number or a parameter may be written as."""

URL_SAFE: Final = str.maketrans("-_", "+/")


def json_object(message: str | bytes) -> dict[str, Any]:
    """A text message as a JSON object. Raises CarrierProtocolError for anything else."""
    if isinstance(message, bytes):
        raise CarrierProtocolError("a binary message, where only text is spoken")
    try:
        found = from_json(message)
    except ValueError as error:
        raise CarrierProtocolError(f"not JSON: {type(error).__name__}") from None
    if not isinstance(found, dict):
        raise CarrierProtocolError(f"a JSON {type(found).__name__}, where an object was due")
    return found


def part(body: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The object under `name`. Raises CarrierProtocolError when there is none."""
    found = body.get(name)
    if not isinstance(found, dict):
        raise CarrierProtocolError(f"no object {name!r}")
    return found


def identifier(body: Mapping[str, Any], name: str) -> str:
    """The text under `name`. Raises CarrierProtocolError when it is missing, empty or too long to be an id."""
    found = body.get(name)
    if not isinstance(found, str) or not found or len(found) > MAX_IDENTIFIER:
        raise CarrierProtocolError(f"no usable {name!r}")
    return storable(found)


def parameters(found: object) -> dict[str, str]:
    """What the customer added, as text. Objects and lists among the values are left out; no mapping is none."""
    if not isinstance(found, dict):
        return {}
    return {
        storable(name): storable(value if isinstance(value, str) else json.dumps(value))
        for name, value in found.items()
        if isinstance(value, SCALARS)
    }


def storable(text: str) -> str:
    """`text` that any database and any UTF-8 writer takes: JSON may smuggle in lone surrogates and NULs."""
    if text.isascii() and text.isprintable():
        return text
    return text.encode("utf-8", "replace").decode("utf-8").replace("\x00", "")


def number(value: object) -> float | None:
    """`5`, `5.0`, `"5"` and `"5.0"` alike. None for what is no number from 0 to `MAX_NUMBER`."""
    if not isinstance(value, SCALARS) or isinstance(value, bool):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) and 0 <= found <= MAX_NUMBER else None


def whole(value: object) -> int | None:
    """As `number`, rounded down."""
    found = number(value)
    return None if found is None else int(found)


def base64_bytes(value: object) -> bytes:
    """Base64 with or without padding, in the standard or the URL-safe alphabet. Raises CarrierProtocolError."""
    if not isinstance(value, str):
        raise CarrierProtocolError("no payload")
    try:
        return binascii.a2b_base64(value, strict_mode=True)
    except ValueError:
        pass  # the rarer spellings, tried only when the usual one does not fit
    bare = value.rstrip("=").translate(URL_SAFE)
    try:
        return binascii.a2b_base64(bare + "=" * (-len(bare) % 4), strict_mode=True)
    except ValueError:
        raise CarrierProtocolError("a payload that is not base64") from None
