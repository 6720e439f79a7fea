"""`GET /v2/speech-to-text/providers`: which engines may be named, and what each writes. All of them are ours."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from bridge.compat.asking import admit
from bridge.compat.telnyx.faults import ParameterError
from bridge.compat.telnyx.parameters import ENGINES
from bridge.model.languages import languages_of
from bridge.web.context import Context

TYPES: Final = ("streaming", "file_based")
OTHERS: Final = ("in_call", "ai_assistant")
"""Services of Telnyx's that are none here."""
RENAMED: Final = {
    "file_transcription": "file_based",
    "in_call_transcription": "in_call",
    "ai_assistant_transcription": "ai_assistant",
}
"""What they were called once, and still may be."""


async def providers(request: web.Request, context: Context) -> web.StreamResponse:
    await admit(request, scopes=())
    wanted = request.query.get("provider", "").lower()
    kind = request.query.get("service_type", "")
    kind = RENAMED.get(kind, kind)
    if kind not in {"", *TYPES, *OTHERS}:
        raise ParameterError("40000", "service_type", f"service_type must be one of {', '.join((*TYPES, *OTHERS))}")
    model = context.settings.model
    services = [
        {"type": each, "languages": ["auto", *sorted(languages_of(model))]} for each in TYPES if kind in {"", each}
    ]
    data = [
        {"provider": name, "model": model, "hosted": True, "service_types": services}
        for name in sorted(ENGINES)
        if services and wanted in {"", name}
    ]
    return web.json_response({"data": data, "meta": {"total": len(data)}})
