"""Where an Exotel applet is told to stream to (developer.exotel.com/docs/agentstream/stream-voicebot-applet)."""

from __future__ import annotations

import json
from urllib.parse import quote, urlsplit

from bridge.web.voice.asked import Asked, invalid

USER = "callbridge"


def exotel_url(asked: Asked) -> bytes:
    """The address alone; what else happens to the call is drawn in the flow that the applet is part of.

    The token stands in it as a password, which Exotel sends as `Authorization: Basic`. Parameters do not: an address
    takes three of them. Raises InvalidRequestError for what has to be drawn.
    """
    for name, value in (("dial", asked.dial), ("say", asked.say)):
        if value is not None:
            raise invalid(name, "is not for Exotel: draw it in the flow around the applet")
    url = urlsplit(asked.stream_url)
    user = "" if asked.token is None else f"{USER}:{quote(asked.token, safe='')}@"
    return json.dumps({"url": url._replace(netloc=user + url.netloc).geturl()}).encode()
