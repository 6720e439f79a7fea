"""Twilio's Real-Time Transcriptions: webhooks about a call's words, as its receivers know them, begun and ended."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from bridge.compat.asking import shaped
from bridge.compat.twilio.faults import answer_fault
from bridge.compat.twilio.messages import EVENTS, STYLE, Messages
from bridge.compat.twilio.transcriptions import start, stop
from bridge.deliver.style import Style

TRANSCRIPTIONS: Final = "/2010-04-01/Accounts/{account}/Calls/{call}/Transcriptions"
PATHS: Final = ("POST /v1/webhooks with `style`", f"POST {TRANSCRIPTIONS}.json", f"POST {TRANSCRIPTIONS}/{{sid}}.json")
STYLES: Final[dict[str, Style]] = {STYLE: Messages()}
CHOICES: Final = {STYLE: EVENTS}


def add_routes(app: web.Application) -> None:
    app.router.add_post(f"{TRANSCRIPTIONS}.json", shaped(answer_fault, start))
    app.router.add_post(f"{TRANSCRIPTIONS}/{{sid}}.json", shaped(answer_fault, stop))
