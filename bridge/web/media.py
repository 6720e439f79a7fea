"""Media in: a carrier's WebSocket, whatever its dialect, pumped through the dialect's conversation into a call."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from dataclasses import replace
from functools import partial
from typing import Final

import structlog
from aiohttp import WSCloseCode, WSMsgType, web

from bridge.dialects import DIALECTS, Dialect, Proof
from bridge.errors import (
    BridgeError,
    CapacityError,
    CarrierAuthError,
    CarrierError,
    CarrierFloodError,
    CarrierProtocolError,
    CarrierSilentError,
)
from bridge.ingest.conversation import Conversation, Handshake
from bridge.metrics import CALLS_REFUSED, MEDIA_ERRORS, MEDIA_MESSAGES
from bridge.model.stream import StreamItem, StreamStarted, StreamStopped
from bridge.web.auth import Principal, Scope
from bridge.web.context import CONTEXT, Context

log = structlog.get_logger(__name__)
