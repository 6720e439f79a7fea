"""What every handler may reach, under one application key."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field

from aiohttp import web

from bridge.known_voices import KnownVoices
from bridge.model.call_key import CallKey
from bridge.ports import CallTaker, Clock, EventFeed, Store, Transcriber
from bridge.settings import Settings
from bridge.web.auth import Auth

Check = Callable[[], Awaitable[None]]
"""A readiness check: returns when all is well, raises BridgeError that says what is not."""


async def _nothing_to_forget(_key: CallKey) -> None:
    """Of a server without a spool."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The running server's parts, opened by `app.py` before the first request and closed after the last."""

    settings: Settings
    clock: Clock
    store: Store
    feed: EventFeed
    calls: CallTaker
    transcriber: Transcriber
    auth: Auth
    checks: Mapping[str, Check] = field(default_factory=dict)
    """By name, what `/readyz` asks."""
    advice: Mapping[str, Check] = field(default_factory=dict)
    """The same for what calls do without: `/readyz` says it, and stays ready."""
    known_voices: KnownVoices | None = None
    """None: voices are not enrolled here."""
    styles: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Ways to write webhooks that may be chosen beside ours, each with the event types that it has words for."""
    patience_s: float = 10
    """How long a live subscriber may take to accept one event before it is cut."""
    forget: Callable[[CallKey], Awaitable[None]] = _nothing_to_forget
    """Deletes all audio of a call. Raises SpoolError."""
    leaving: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the server begins to shut down: not ready any more, no new calls."""
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when calls are done: live subscribers are sent away."""


CONTEXT: web.AppKey[Context] = web.AppKey("context", Context)
