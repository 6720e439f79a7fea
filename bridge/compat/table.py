"""The one table of surfaces: their routes, and what `docs/compat.md` says of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from bridge.compat import assemblyai, deepgram, neuralspace, openai, smallest, speechmatics, telnyx, twilio, vocafuse
from bridge.compat.live import SESSIONS, leave
from bridge.deliver.style import Style


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """Another service's API, as far as it is spoken here."""

    name: str
    title: str
    paths: tuple[str, ...]
    add_routes: Callable[[web.Application], None]
    styles: Mapping[str, Style] = field(default_factory=dict)
    """Ways to write webhooks, by what an endpoint calls them."""
    choices: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Those that anybody may choose for an endpoint, with the event types that they have words for."""


SURFACES: Final = (
    Surface(
        name="openai",
        title="OpenAI audio transcriptions and Realtime transcription",
        paths=openai.PATHS,
        add_routes=openai.add_routes,
    ),
    Surface(
        name="deepgram",
        title="Deepgram listen",
        paths=deepgram.PATHS,
        add_routes=deepgram.add_routes,
        styles=deepgram.STYLES,
    ),
    Surface(
        name="smallest",
        title="Smallest AI Pulse",
        paths=smallest.PATHS,
        add_routes=smallest.add_routes,
        styles=smallest.STYLES,
    ),
    Surface(
        name="telnyx",
        title="Telnyx speech to text",
        paths=telnyx.PATHS,
        add_routes=telnyx.add_routes,
    ),
    Surface(
        name="assemblyai",
        title="AssemblyAI streaming",
        paths=assemblyai.PATHS,
        add_routes=assemblyai.add_routes,
    ),
    Surface(
        name="vocafuse",
        title="VocaFuse recordings",
        paths=vocafuse.PATHS,
        add_routes=vocafuse.add_routes,
        styles=vocafuse.STYLES,
    ),
    Surface(
        name="neuralspace",
        title="NeuralSpace VoiceAI",
        paths=neuralspace.PATHS,
        add_routes=neuralspace.add_routes,
    ),
    Surface(
        name="speechmatics",
        title="Speechmatics real-time",
        paths=speechmatics.PATHS,
        add_routes=speechmatics.add_routes,
    ),
    Surface(
        name="twilio",
        title="Twilio Real-Time Transcriptions",
        paths=twilio.PATHS,
        add_routes=twilio.add_routes,
        styles=twilio.STYLES,
        choices=twilio.CHOICES,
    ),
)

CHOICES: Final = {name: kinds for surface in SURFACES for name, kinds in surface.choices.items()}
STYLES: Final = {name: style for surface in SURFACES for name, style in surface.styles.items()}


def add_surfaces(app: web.Application) -> None:
    """Every surface's routes; live sessions hear their last words before the server's other parts go."""
    app[SESSIONS] = {}
    ours = set(app.router.resources())
    for surface in SURFACES:
        surface.add_routes(app)
    for resource in [found for found in app.router.resources() if found not in ours]:
        for route in list(resource):  # some clients end a path with a slash, and follow no redirect
            app.router.add_route(route.method, f"{resource.canonical}/", route.handler)
    app.on_shutdown.insert(0, leave)
