"""Twilio's Real-Time Transcriptions: webhooks about a call's words, as its receivers know them. It has no routes."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from bridge.compat.twilio.messages import EVENTS, STYLE, Messages
from bridge.deliver.style import Style

PATHS: Final = ("POST /v1/webhooks with `style`",)
STYLES: Final[dict[str, Style]] = {STYLE: Messages()}
CHOICES: Final = {STYLE: EVENTS}


def add_routes(app: web.Application) -> None:
    del app
