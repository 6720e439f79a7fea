"""What this server shows from its own files: the live page, the softphone, the API document, the browser SDK."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import swagger_ui_bundle
from aiohttp import hdrs, web

from bridge.web.route import Answer, Anything, Ask, Nothing, Route

Handler = Callable[[Ask[Anything, Nothing]], Awaitable[web.StreamResponse]]

STATIC: Final = Path(__file__).parent / "static"
SWAGGER: Final = Path(swagger_ui_bundle.swagger_ui_path)
SWAGGER_FILES: Final = frozenset({"swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"})

SDK: Final = Path(__file__).parent / "sdk"
SDK_FILES: Final = {
    **dict.fromkeys(("callbridge.js", "socket_line.js", "samples.js"), "text/javascript"),
    "callbridge.d.ts": "text/plain",
}

DOCUMENT: web.AppKey[str] = web.AppKey("openapi", str)
"""The API document, written once at start."""

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; media-src 'self' blob:; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""For pages (W3C Content Security Policy 3): nothing from elsewhere, nothing inline."""

DOCS_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>callbridge API</title>
  <link rel="icon" href="docs/favicon-32x32.png" type="image/png">
  <link rel="stylesheet" href="docs/swagger-ui.css">
  <link rel="stylesheet" href="docs/page.css">
  <script src="docs/swagger-ui-bundle.js" defer></script>
  <script src="docs/start.js" defer></script>
</head>
<body>
  <main id="api">
    <noscript>This page needs JavaScript; the document itself is <a href="openapi.json">openapi.json</a>.</noscript>
  </main>
</body>
</html>
"""
DOCS_SCRIPT: Final = """\
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#api",
  deepLinking: true,
  presets: [SwaggerUIBundle.presets.apis],
  validatorUrl: null,
});
"""
DOCS_STYLE: Final = """\
body { margin: 0; }
.swagger-ui .info table { display: block; overflow-x: auto; }
.swagger-ui .info table :is(th, td) { padding-right: 1em; vertical-align: top; line-height: 1.6; }
.swagger-ui .info table code { white-space: nowrap; }
"""
DOCS_OWN: Final = {"start.js": ("text/javascript", DOCS_SCRIPT), "page.css": ("text/css", DOCS_STYLE)}


async def live_page(ask: Ask[Anything, Nothing]) -> web.StreamResponse:
    del ask
    return web.FileResponse(STATIC / "index.html", headers=_page_headers())


async def call_page(ask: Ask[Anything, Nothing]) -> web.StreamResponse:
    del ask
    return web.FileResponse(STATIC / "call.html", headers=_page_headers())


async def docs_page(ask: Ask[Anything, Nothing]) -> web.StreamResponse:
    del ask
    return web.Response(text=DOCS_PAGE, content_type="text/html", headers=_page_headers())


async def docs_file(ask: Ask[Anything, Nothing]) -> web.StreamResponse:
    name = ask.path("name")
    if name in DOCS_OWN:
        media_type, text = DOCS_OWN[name]
        return web.Response(text=text, content_type=media_type)
    if name not in SWAGGER_FILES:
        raise web.HTTPNotFound
    return web.FileResponse(SWAGGER / name, headers={hdrs.CACHE_CONTROL: "public, max-age=86400"})


async def sdk_file(ask: Ask[Anything, Nothing]) -> web.StreamResponse:
    """For pages of any origin: nothing in it is anybody's secret."""
    name = ask.path("name")
    if name not in SDK_FILES:
        raise web.HTTPNotFound
    shared = {hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: "*", "Cross-Origin-Resource-Policy": "cross-origin"}
    return web.FileResponse(SDK / name, headers={hdrs.CONTENT_TYPE: f"{SDK_FILES[name]}; charset=utf-8", **shared})


async def openapi_document(ask: Ask[Nothing, Nothing]) -> web.StreamResponse:
    return web.Response(text=ask.request.app[DOCUMENT], content_type="application/json")


def _page_headers() -> dict[str, str]:
    return {"Content-Security-Policy": POLICY, hdrs.CACHE_CONTROL: "no-cache"}


def _page(path: str, handler: Handler, summary: str) -> Route[Anything, Nothing]:
    return _files(path, handler, summary, media_types=("text/html",))


def _files(
    path: str, handler: Handler, summary: str, *, media_types: tuple[str, ...] = ("text/css", "text/javascript")
) -> Route[Anything, Nothing]:
    return Route(
        method=hdrs.METH_GET,
        path=path,
        handler=handler,
        scope=None,
        summary=summary,
        tag="pages",
        query=Anything,
        answers=(Answer(description="for people and their browsers", media_types=media_types),),
        in_document=False,
    )


ROUTES: Final = (
    _page("/", live_page, "The live page"),
    _page("/call", call_page, "A telephone in the browser"),
    _page("/docs", docs_page, "This document, to read and try"),
    _files("/docs/{name}", docs_file, "What the page is made of"),
    _files("/sdk/{name}", sdk_file, "The browser SDK: a module, what it fetches when it is needed, and its types"),
    Route(
        method=hdrs.METH_GET,
        path="/openapi.json",
        handler=openapi_document,
        scope=None,
        summary="This document",
        tag="health",
        answers=(Answer(description="OpenAPI 3.0.3"),),
    ),
)
