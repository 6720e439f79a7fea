"""`POST …/stt/` and `POST …/get_text`: a recording as the body, or its address, and all of its words in the answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from bridge.compat.asking import admit, flag, language, whole
from bridge.compat.recorded import Transcribed, call_back, put_into_words, raw_audio, read_url
from bridge.compat.smallest.callback import EXTRA, callback
from bridge.compat.smallest.wording import Wording, check_model, told_of
from bridge.web.context import Context
from bridge.web.observe import REQUEST_ID
from bridge.web.uploads import new_order, read_raw

MODELS: Final = frozenset({"pulse", "pulse-pro"})
MOST_BYTES: Final = 250_000_000


async def get_text(request: web.Request, context: Context) -> web.StreamResponse:
    principal = await admit(request)
    query = request.query
    check_model(query, MODELS, needed=request.path.rstrip("/").endswith("/stt"))
    wanted = callback(query)
    wording = Wording.of(query)
    with_words = flag(query, "word_timestamps", default=True)
    context.transcriber.check_room(principal.tenant)
    began = context.clock.monotonic()
    url = upload = None
    if request.content_type == "application/json":
        url = await read_url(request)
    else:
        upload = await read_raw(request, context.transcriber, principal.tenant, limit=MOST_BYTES)
    try:
        order = new_order(
            context,
            tenant=principal.tenant,
            url=url,
            language=language(query, context.settings.model),
            diarize=wording.diarized or None,
            metadata={EXTRA: query[EXTRA]} if EXTRA in query else {},
            raw=raw_audio(query.get("encoding"), whole(query, "sample_rate", 16_000, least=4000, most=192_000)),
        )
        if wanted is not None:
            await call_back(context, order, upload, wanted)
            return _answer({"status": "processing", "request_id": order.call_id})
        done = await put_into_words(context, order, upload)
    finally:
        if upload is not None:
            upload.discard()
    body = {
        "status": "success",
        "request_id": request.get(REQUEST_ID, ""),
        **told_of(done, wording, with_words=with_words),
        "metadata": {
            "duration": done.seconds,
            "filename": order.name,
            **({} if upload is None else {"fileSize": upload.size}),
            **_speed(done, context.clock.monotonic() - began),
        },
    }
    return _answer(body)


def _answer(body: Mapping[str, Any]) -> web.Response:
    return web.json_response(body, headers={"Cache-Control": "no-store"})


def _speed(done: Transcribed, took_s: float) -> dict[str, float | int]:
    return {
        "processing_time_ms": round(took_s * 1000),
        "rtfx": round(done.seconds / max(took_s, 0.001), 2),
        "num_chunks": len(done.segments),
    }
