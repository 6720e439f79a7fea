"""`POST /v1/listen`: a recording as the body, or its address, and all of its words in the answer."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from bridge.compat.asking import admit, flag, listed, whole
from bridge.compat.deepgram.callback import callback
from bridge.compat.deepgram.results import check_asked, results_of
from bridge.compat.deepgram.wording import keyterms, language
from bridge.compat.recorded import call_back, put_into_words, raw_audio, read_url
from bridge.errors import InvalidRequestError
from bridge.model.foreign import object_from_json
from bridge.web.auth import Scope
from bridge.web.context import Context
from bridge.web.observe import REQUEST_ID
from bridge.web.uploads import new_order, read_raw

DEFAULT_TTL_S: Final = 30


async def listen(request: web.Request, context: Context) -> web.StreamResponse:
    principal = await admit(request)
    query = request.query
    check_asked(query)
    wanted = callback(query, identity=principal.identity, model=context.settings.model)
    context.transcriber.check_room(principal.tenant)
    digest = hashlib.sha256()
    url = upload = None
    if request.content_type == "application/json":
        url = await read_url(request)
    else:
        upload = await read_raw(request, context.transcriber, principal.tenant, also=digest.update)
    try:
        order = new_order(
            context,
            tenant=principal.tenant,
            url=url,
            language=language(query),
            keywords=keyterms(query),
            diarize=flag(query, "diarize") or None,
            metadata={"tag": ",".join(listed(query, "tag"))} if "tag" in query else {},
            raw=raw_audio(
                query.get("encoding"),
                whole(query, "sample_rate", 16_000, least=4000, most=192_000),
                whole(query, "channels", 1, least=1, most=64),
            ),
        )
        if wanted is not None:
            await call_back(context, order, upload, wanted)
            return _answer({"request_id": order.call_id}, order.call_id)
        done = await put_into_words(context, order, upload)
    finally:
        if upload is not None:
            upload.discard()
    request_id = request.get(REQUEST_ID, "")
    sha256 = digest.hexdigest() if url is None else ""
    body = results_of(done, query, context.settings.model, request_id=request_id, sha256=sha256)
    return _answer(body, request_id)


def _answer(body: Mapping[str, Any], request_id: str) -> web.Response:
    return web.json_response(body, headers={"dg-request-id": request_id, "Cache-Control": "no-store"})


async def grant(request: web.Request, context: Context) -> web.StreamResponse:
    """A token that lasts for one connection."""
    principal = await admit(request, scopes=(Scope.TOKENS,))
    raw = await request.read()
    try:
        asked = object_from_json(raw or b"{}").get("ttl_seconds", DEFAULT_TTL_S)
        ttl_s = int(asked)
    except (ValueError, TypeError, OverflowError):
        ttl_s = 0
    if not 1 <= ttl_s <= 3600:
        raise InvalidRequestError("ttl_seconds must be a whole number from 1 to 3600")
    token = context.auth.signer.issue(
        tenant=principal.tenant,
        identity=principal.identity,
        scopes=(Scope.MEDIA, Scope.CALLS_READ),
        lifetime_s=ttl_s,
    )
    return web.json_response({"access_token": token.token, "expires_in": ttl_s}, headers={"Cache-Control": "no-store"})
