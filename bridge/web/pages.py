"""Pages for people, from this server's own files: the live page, the softphone, the API document with what shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import swagger_ui_bundle
from aiohttp import hdrs, web

from bridge.web.route import Answer, Anything, Ask, Nothing, Route

STATIC: Final = Path(__file__).parent / "static"
SWAGGER: Final = Path(swagger_ui_bundle.swagger_ui_path)
SWAGGER_FILES: Final = frozenset({"swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"})

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
    if name == "start.js":
        return web.Response(text=DOCS_SCRIPT, content_type="text/javascript")
    if name not in SWAGGER_FILES:
        raise web.HTTPNotFound
    return web.FileResponse(SWAGGER / name, headers={hdrs.CACHE_CONTROL: "public, max-age=86400"})


async def openapi_document(ask: Ask[Nothing, Nothing]) -> web.StreamResponse:
    return web.Response(text=ask.request.app[DOCUMENT], content_type="application/json")


def _page_headers() -> dict[str, str]:
    return {"Content-Security-Policy": POLICY, hdrs.CACHE_CONTROL: "no-cache"}


ROUTES: Final = (
    Route(
        method=hdrs.METH_GET,
        path="/",
        handler=live_page,
        scope=None,
        summary="The live page",
        tag="pages",
        query=Anything,
        answers=(Answer(description="HTML", media_types=("text/html",)),),
        in_document=False,
    ),
    Route(
        method=hdrs.METH_GET,
        path="/call",
        handler=call_page,
        scope=None,
        summary="A telephone in the browser",
        tag="pages",
        query=Anything,
        answers=(Answer(description="HTML", media_types=("text/html",)),),
        in_document=False,
    ),
    Route(
        method=hdrs.METH_GET,
        path="/docs",
        handler=docs_page,
        scope=None,
        summary="This document, to read and try",
        tag="pages",
        query=Anything,
        answers=(Answer(description="HTML", media_types=("text/html",)),),
        in_document=False,
    ),
    Route(
        method=hdrs.METH_GET,
        path="/docs/{name}",
        handler=docs_file,
        scope=None,
        summary="What the page is made of",
        tag="pages",
        query=Anything,
        answers=(Answer(description="a file", media_types=("text/css", "text/javascript")),),
        in_document=False,
    ),
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
