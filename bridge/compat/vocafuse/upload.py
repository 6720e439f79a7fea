"""From a browser to the shelf: leave to send, then the file in one piece or in several side by side."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import hdrs, web

from bridge.compat.vocafuse.access import admit, invalid, read_json
from bridge.compat.vocafuse.account import LANGUAGE
from bridge.compat.vocafuse.faults import MissingFieldError, answer_fault
from bridge.compat.vocafuse.grants import LIFETIME_S, PART_BYTES, Grant, Part, read_grant
from bridge.compat.vocafuse.parts import PIECES
from bridge.compat.vocafuse.shapes import IDENTITY, json_answer, twice
from bridge.errors import BridgeError, InvalidRequestError, NotFoundError, TooLargeError
from bridge.ports import Upload
from bridge.web.address import public_base
from bridge.web.auth import Scope
from bridge.web.context import Context
from bridge.web.uploads import LONGEST_NAME, PIECE, in_time, new_order, read_raw

MOST_BYTES: Final = 25_000_000
"""As VocaFuse; `CALLBRIDGE_RECORDING_MAX_MB` where that is less."""

FORMATS: Final = frozenset({"webm", "ogg", "mp4", "mp3", "wav"})

CORS: Final = {
    hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: "*",
    hdrs.ACCESS_CONTROL_ALLOW_METHODS: "POST, PUT, OPTIONS",
    hdrs.ACCESS_CONTROL_ALLOW_HEADERS: "authorization, content-type",
    hdrs.ACCESS_CONTROL_EXPOSE_HEADERS: "retry-after",
    hdrs.ACCESS_CONTROL_MAX_AGE: "86400",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
"""Any site: what lets a browser in is a token or a sealed address, never a cookie."""


async def preflight(request: web.Request) -> web.Response:
    del request
    return web.Response(status=204, headers=CORS)


def answer_cross_site(request: web.Request, error: BridgeError) -> web.Response:
    """A fault that the page's script may read."""
    response = answer_fault(request, error)
    response.headers.update(CORS)
    return response


async def grant_upload(request: web.Request, context: Context) -> web.StreamResponse:
    """`POST /upload`. Of `sdk_metadata` nothing is believed: the file is looked at."""
    principal = await admit(request, context, Scope.UPLOAD, Scope.MEDIA)
    context.transcriber.check_room(principal.tenant)
    body = await read_json(request)
    most = _most_bytes(context)
    size = _size(body, most)
    in_parts = bool(body.get("use_multipart")) and size > PART_BYTES
    grant = Grant(
        recording_id=f"rec_{secrets.token_hex(16)}",
        tenant=principal.tenant,
        identity=principal.identity,
        name=_name(body),
        size=size,
        in_parts=in_parts,
    )
    told = twice(_told(grant, public_base(request, context.settings), grant.seal(context.auth.signer)))
    response = json_answer(told)
    response.headers.update(CORS)
    return response


def _told(grant: Grant, base: str, sealed: str) -> dict[str, Any]:
    address = f"{base}/upload/{grant.recording_id}"
    pieces = [_piece(part, address, sealed) for part in grant.parts()] if grant.in_parts else []
    return {
        "recording_id": grant.recording_id,
        "voicenote_id": grant.recording_id,
        "upload_type": "multipart" if grant.in_parts else "single",
        "presigned_url": None if grant.in_parts else f"{address}?grant={sealed}",
        "s3_key": None,
        "expires_in": LIFETIME_S,
        "processing_strategy": "standard",
        "client_processed": False,
        "message": "Upload granted",
        "upload_info": {"upload_id": grant.recording_id, "parts": pieces} if grant.in_parts else None,
    }


def _piece(part: Part, address: str, sealed: str) -> dict[str, Any]:
    return {
        "part_number": part.number,
        "presigned_url": f"{address}/part/{part.number}?grant={sealed}",
        "start_byte": part.start,
        "end_byte": part.start + part.size - 1,
        "content_length": part.size,
    }


def _size(body: Mapping[str, Any], most: int) -> int:
    size = body.get("file_size")
    if size is None:
        raise MissingFieldError("file_size")
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise invalid("file_size", "must be a whole number of bytes")
    if size > most:
        raise TooLargeError(f"File too large: at most {most} bytes are taken", limit=most)
    return size


def _name(body: Mapping[str, Any]) -> str:
    form = body.get("audio_format", "webm")
    if not isinstance(form, str) or form not in FORMATS:
        raise invalid("audio_format", f"must be one of {', '.join(sorted(FORMATS))}")
    name = body.get("file_name") or f"recording.{form}"
    if not isinstance(name, str):
        raise invalid("file_name", "must be a string")
    return "".join(filter(str.isprintable, name))[:LONGEST_NAME]  # neither half a surrogate pair nor a NUL can be kept


def _most_bytes(context: Context) -> int:
    return min(MOST_BYTES, context.settings.recording_max_mb * 1_000_000)


# -- the file ------------------------------------------------------------------------------------------------------


async def put_whole(request: web.Request, context: Context) -> web.StreamResponse:
    """`PUT /upload/{id}`: without credentials but for the address; what follows is a recording like any other."""
    grant = _granted(request, context)
    if grant.in_parts:
        raise InvalidRequestError("This recording was granted in parts", fields={"part": "missing"})
    upload = await read_raw(request, context.transcriber, grant.tenant, limit=grant.size)
    await _submit(context, grant, upload)
    return web.Response(headers=CORS)


async def put_part(request: web.Request, context: Context) -> web.StreamResponse:
    """`PUT /upload/{id}/part/{n}`: nobody says when all have come, so the last one to come begins the work."""
    grant = _granted(request, context)
    number = request.match_info["number"]
    part = next((part for part in grant.parts() if str(part.number) == number), None)
    if part is None or not grant.in_parts:
        raise NotFoundError(f"No such part: {number}")
    async with request.app[PIECES].coming(context, grant) as coming:
        await _read_part(request, coming.upload, part)
        coming.came.add(part.number)
    if (whole := request.app[PIECES].whole(grant)) is not None:
        await _submit(context, grant, whole)
    return web.Response(headers=CORS)


async def _read_part(request: web.Request, upload: Upload, part: Part) -> None:
    at = 0
    while piece := await in_time(request.content.read(PIECE)):
        if at + len(piece) > part.size:
            raise TooLargeError(f"This part has {part.size} bytes", limit=part.size)
        await upload.place(piece, part.start + at)
        at += len(piece)
    if at < part.size:
        raise InvalidRequestError(f"This part has {part.size} bytes, {at} came", fields={"body": "too short"})


def _granted(request: web.Request, context: Context) -> Grant:
    return read_grant(context.auth.signer, request.query.get("grant", ""), request.match_info["recording_id"])


async def _submit(context: Context, grant: Grant, upload: Upload) -> None:
    """Raises ConflictError when the address has been used before."""
    try:
        account = await context.store.account(grant.tenant)
        order = new_order(
            context,
            tenant=grant.tenant,
            name=grant.name,
            language=account.settings.get(LANGUAGE),
            metadata={IDENTITY: grant.identity},
            call_id=grant.recording_id,
        )
        await context.transcriber.submit(order, upload)
    finally:
        upload.discard()
