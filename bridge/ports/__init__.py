"""The few shapes an adapter fills. What each promises stands here; one behaviour suite runs over every adapter."""

from __future__ import annotations

from bridge.ports.calls import CallTaker, Transcriber, Upload
from bridge.ports.clock import Clock
from bridge.ports.engine import Decoded, DecodedWord, DecodeJob, Engine, Urgency, VoiceEncoder
from bridge.ports.events import EventBoard, EventFeed, EventSink
from bridge.ports.store import (
    SETTLE_LIMIT_S,
    AccountStore,
    CallStore,
    DeliveryPage,
    EndpointStore,
    KeyStore,
    NodeStore,
    NumberedPage,
    Outbox,
    Page,
    Store,
    VoiceStore,
)

__all__ = [
    "SETTLE_LIMIT_S",
    "AccountStore",
    "CallStore",
    "CallTaker",
    "Clock",
    "DecodeJob",
    "Decoded",
    "DecodedWord",
    "DeliveryPage",
    "EndpointStore",
    "Engine",
    "EventBoard",
    "EventFeed",
    "EventSink",
    "KeyStore",
    "NodeStore",
    "NumberedPage",
    "Outbox",
    "Page",
    "Store",
    "Transcriber",
    "Upload",
    "Urgency",
    "VoiceEncoder",
    "VoiceStore",
]
