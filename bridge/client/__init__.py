"""callbridge from Python: recordings, voice notes, webhooks, calls, live events; blocking or with asyncio.

Needs httpx and Python alone. Nothing here imports anything else of `bridge`, so the folder can be taken along as it is.
"""

from __future__ import annotations

from bridge.client._async.client import AsyncAccessToken, AsyncClient
from bridge.client._sync.client import AccessToken, Client
from bridge.client.errors import (
    AuthenticationError,
    AuthorizationError,
    CallbridgeError,
    ConflictError,
    NotFoundError,
    RateLimitError,
    RecordingNotFoundError,
    ServerError,
    TranscriptionNotFoundError,
    TransportError,
    ValidationError,
    WebhookNotFoundError,
)
from bridge.client.results import Listed
from bridge.client.validator import RequestValidator

__all__ = [
    "AccessToken",
    "AsyncAccessToken",
    "AsyncClient",
    "AuthenticationError",
    "AuthorizationError",
    "CallbridgeError",
    "Client",
    "ConflictError",
    "Listed",
    "NotFoundError",
    "RateLimitError",
    "RecordingNotFoundError",
    "RequestValidator",
    "ServerError",
    "TranscriptionNotFoundError",
    "TransportError",
    "ValidationError",
    "WebhookNotFoundError",
]
