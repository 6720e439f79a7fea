"""Vonage's call control objects (developer.vonage.com/en/voice/voice-api/ncco-reference)."""

from __future__ import annotations

import json
from typing import Any, Final

from bridge.web.voice.asked import Asked, invalid

CONTENT_TYPE: Final = "audio/l16;rate=16000"

MAX_HEADERS: Final = 512
"""Bytes of the endpoint's `headers` as JSON."""


def ncco(asked: Asked) -> bytes:
    """Connect the caller to a WebSocket, which is a party of its own: it hears the mix of all others.

    Without a token Vonage signs the upgrade itself. Raises InvalidRequestError for what Vonage would not take.
    """
    if asked.dial is not None:
        raise invalid("dial", "is not for Vonage: a call is connected to the stream or to a number, not to both")
    if len(json.dumps(asked.parameters).encode()) > MAX_HEADERS:
        raise invalid("metadata", f"and all other parameters together must stay within {MAX_HEADERS} bytes")
    authorization = {"type": "vonage"} if asked.token is None else {"type": "custom", "value": f"Bearer {asked.token}"}
    endpoint = {
        "type": "websocket",
        "uri": asked.stream_url,
        "content-type": CONTENT_TYPE,
        "headers": asked.parameters,
        "authorization": authorization,
    }
    called = asked.parameters.get("metadata.to", "").removeprefix("+")
    number = {"from": called} if called.isdecimal() else {}  # the account's own, as Vonage's library asks for
    connect = {"action": "connect", **number, "endpoint": [endpoint]}
    talk: list[dict[str, Any]] = [] if asked.say is None else [{"action": "talk", "text": asked.say}]
    return json.dumps([*talk, connect], ensure_ascii=False).encode()
