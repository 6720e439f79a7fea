"""Where the surfaces are."""

from __future__ import annotations

from aiohttp import web

from bridge.compat.table import add_surfaces


def test_a_path_may_end_with_a_slash() -> None:
    """Some clients write one, and follow no redirect: each method is there with it, too."""
    app = web.Application()
    add_surfaces(app)
    known = {(route.method, route.resource.canonical) for route in app.router.routes() if route.resource is not None}
    assert {("POST", "/waves/v1/stt"), ("GET", "/v2"), ("GET", "/recordings/{recording_id}")} < known
    assert {(method, f"{path}/") for method, path in known if not path.endswith("/")} <= known
