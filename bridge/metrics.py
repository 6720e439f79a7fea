"""What is counted and measured, for `/metrics`. Everybody who counts imports its metric from here."""

from __future__ import annotations

from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from bridge import __version__

REGISTRY: Final = CollectorRegistry()
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, that nobody asks for
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)

BUILD: Final = Gauge("callbridge_build_info", "Always 1; the label says what runs.", ["version"], registry=REGISTRY)
BUILD.labels(__version__).set(1)

# -- calls ---------------------------------------------------------------------------------------------------------

CALLS_ACTIVE: Final = Gauge("callbridge_calls_active", "Calls in progress.", registry=REGISTRY)
CALLS_STARTED: Final = Counter("callbridge_calls_started", "Calls begun.", ["carrier"], registry=REGISTRY)
CALLS_ENDED: Final = Counter("callbridge_calls_ended", "Calls ended.", ["carrier", "reason"], registry=REGISTRY)
CALLS_REFUSED: Final = Counter(
    "callbridge_calls_refused", "Calls not taken: no room, or shutting down.", ["carrier", "code"], registry=REGISTRY
)

# -- media in ------------------------------------------------------------------------------------------------------

MEDIA_MESSAGES: Final = Counter(
    "callbridge_media_messages", "Messages received on media sockets.", ["dialect"], registry=REGISTRY
)
MEDIA_ERRORS: Final = Counter(
    "callbridge_media_errors", "Media streams that broke their protocol.", ["dialect", "code"], registry=REGISTRY
)
MEDIA_MISSING: Final = Counter(
    "callbridge_media_missing_seconds", "Audio replaced by silence because it never came.", registry=REGISTRY
)

# -- speakers ------------------------------------------------------------------------------------------------------

NAMING_WAIT: Final = Histogram(
    "callbridge_naming_wait_seconds",
    "How long finals waited for the voices in them, of calls whose speakers are told apart.",
    buckets=(0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5),
    registry=REGISTRY,
)

# -- telling -------------------------------------------------------------------------------------------------------

EVENTS: Final = Counter("callbridge_events", "Events published.", ["type"], registry=REGISTRY)
SUBSCRIBERS: Final = Gauge("callbridge_subscribers", "Live event streams being read.", ["transport"], registry=REGISTRY)
SUBSCRIBERS_CUT: Final = Counter(
    "callbridge_subscribers_cut",
    "Live event streams closed because their reader was too slow.",
    ["transport"],
    registry=REGISTRY,
)
ENGINE_TRIES: Final = Counter(
    "callbridge_engine_tries",
    "Decodes asked of a recogniser elsewhere, by how it went.",
    ["outcome"],
    registry=REGISTRY,
)
ENGINE_OVERHEAD: Final = Histogram(
    "callbridge_engine_overhead_seconds",
    "What a decode elsewhere took beyond the time in its replica: the way there and back, and tries that failed.",
    buckets=(0.002, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
    registry=REGISTRY,
)
LIVE_CONNECTED: Final = Gauge(
    "callbridge_live_events_shared", "1 while live events reach and come from other nodes.", registry=REGISTRY
)
LIVE_DROPPED: Final = Counter(
    "callbridge_live_events_dropped",
    "Live events that other nodes will find in the store alone: Redis was away for too long.",
    registry=REGISTRY,
)
DELIVERIES: Final = Counter(
    "callbridge_webhook_tries", "Webhook tries by how they went.", ["outcome"], registry=REGISTRY
)
DELIVERY_SECONDS: Final = Histogram(
    "callbridge_webhook_seconds",
    "How long webhook receivers took to answer.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15),
    registry=REGISTRY,
)

# -- the server ----------------------------------------------------------------------------------------------------

HTTP_REQUESTS: Final = Counter(
    "callbridge_http_requests", "HTTP requests answered.", ["method", "route", "status"], registry=REGISTRY
)
HTTP_SECONDS: Final = Histogram(
    "callbridge_http_seconds",
    "From an HTTP request to the end of its answer; live streams are left out.",
    ["route"],
    registry=REGISTRY,
)
LOOP_LAG: Final = Histogram(
    "callbridge_event_loop_lag_seconds",
    "How late the event loop wakes a sleeper: time something else held it.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
    registry=REGISTRY,
)


def render() -> bytes:
    """Everything, in the Prometheus text format (`CONTENT_TYPE`)."""
    return generate_latest(REGISTRY)
