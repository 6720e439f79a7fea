"""VocaFuse: recordings sent from browsers with short-lived tokens, listed and read back under both of its names."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web

from bridge.compat.asking import shaped
from bridge.compat.vocafuse import access, account, recordings, upload, webhooks
from bridge.compat.vocafuse.faults import answer_fault
from bridge.compat.vocafuse.messages import STYLE, Messages
from bridge.compat.vocafuse.parts import PIECES, Pieces

PREFIXES: Final = ("", "/v1")
"""Its SDKs leave the version out, its documentation has it."""

STYLES: Final = {STYLE: Messages()}

PATHS: Final = (
    "POST /token",
    "POST /upload",
    "PUT /upload/{id}",
    "/recordings",
    "/voicenotes",
    "/webhooks",
    "/account",
    "/account/api-keys",
)


def add_routes(app: web.Application) -> None:
    app[PIECES] = Pieces()
    app.cleanup_ctx.append(_sweep)
    app.middlewares.append(webhooks.claim)
    for prefix in PREFIXES:
        _add_recordings(app.router, prefix)
        _add_upload(app.router, prefix)
        _add_account(app.router, prefix)
        _add_webhooks(app.router, prefix)
        app.router.add_post(f"{prefix}/token", shaped(answer_fault, access.make_token))


def _add_recordings(router: web.UrlDispatcher, prefix: str) -> None:
    for name in recordings.NAMES:
        base = f"{prefix}/{name}"
        router.add_get(base, shaped(answer_fault, recordings.list_recordings))
        router.add_get(f"{base}/{{recording_id}}", shaped(answer_fault, recordings.get_recording))
        router.add_delete(f"{base}/{{recording_id}}", shaped(answer_fault, recordings.delete_recording))
        router.add_get(f"{base}/{{recording_id}}/transcription", shaped(answer_fault, recordings.get_transcription))


def _add_upload(router: web.UrlDispatcher, prefix: str) -> None:
    whole, part = f"{prefix}/upload/{{recording_id}}", f"{prefix}/upload/{{recording_id}}/part/{{number}}"
    router.add_post(f"{prefix}/upload", shaped(upload.answer_cross_site, upload.grant_upload))
    router.add_put(whole, shaped(upload.answer_cross_site, upload.put_whole))
    router.add_put(part, shaped(upload.answer_cross_site, upload.put_part))
    for path in (f"{prefix}/upload", whole, part):
        router.add_options(path, upload.preflight)


def _add_webhooks(router: web.UrlDispatcher, prefix: str) -> None:
    """Under the version those alone that are not ours already: `claim` does the rest."""
    for (method, path), handler in webhooks.HANDLERS.items():
        if not prefix or method == "PUT":
            router.add_route(method, f"{prefix}{path}", shaped(answer_fault, handler))


def _add_account(router: web.UrlDispatcher, prefix: str) -> None:
    router.add_get(f"{prefix}/account", shaped(answer_fault, account.get_account))
    router.add_put(f"{prefix}/account", shaped(answer_fault, account.update_account))
    base = f"{prefix}/account/api-keys"
    router.add_get(base, shaped(answer_fault, account.list_keys))
    router.add_post(base, shaped(answer_fault, account.create_key))
    router.add_get(f"{base}/{{key_id}}", shaped(answer_fault, account.get_key))
    router.add_delete(f"{base}/{{key_id}}", shaped(answer_fault, account.delete_key))


async def _sweep(app: web.Application) -> AsyncIterator[None]:
    yield
    app[PIECES].discard()
