"""API keys and tokens over HTTP: made, shown once, used, revoked."""

from __future__ import annotations

import pytest

from bridge.web.auth import Scope
from tests.http_server import HttpServer


async def test_a_key_is_shown_once_and_works_until_revoked(http: HttpServer) -> None:
    """Made over HTTP, good at once, listed without itself, and dead from its revocation on."""
    made = await http.json("POST", "/v1/keys", json={"name": "crm"}, status=201)
    http.keys["new"] = made["key"]
    assert made["key"].startswith(made["prefix"])
    assert await http.json("GET", "/v1/calls", tenant="new")
    listed = await (await http.ask("GET", "/v1/keys")).text()
    assert made["id"] in listed
    assert made["key"] not in listed
    revoked = await http.json("DELETE", f"/v1/keys/{made['id']}")
    assert revoked["revoked_at"] is not None
    assert (await http.fault("GET", "/v1/calls", tenant="new", status=401))["code"] == "unauthorised"


async def test_a_token_does_what_it_says_until_it_ends(http: HttpServer) -> None:
    """Its scopes and its life are those asked for."""
    made = await http.json(
        "POST", "/v1/tokens", json={"identity": "desk", "scopes": ["calls:read"], "expires_in": 60}, status=201
    )
    http.keys["desk"] = made["token"]
    await http.json("GET", "/v1/calls", tenant="desk")
    assert (await http.fault("GET", "/v1/webhooks", tenant="desk", status=403))["details"] == {"scope": "webhooks"}
    await http.clock.advance(60)
    await http.fault("GET", "/v1/calls", tenant="desk", status=401)


async def test_a_token_without_wishes_reads_calls_and_places_them(http: HttpServer) -> None:
    """The default is what a browser needs, for an hour."""
    made = await http.json("POST", "/v1/tokens", json={"identity": "desk"}, status=201)
    assert made["scopes"] == ["calls:read", "media"]
    assert http.signer.read(made["token"]) is not None
    await http.clock.advance(3600)
    assert http.signer.read(made["token"]) is None


@pytest.mark.parametrize("scope", ["keys", "tokens"])
async def test_no_token_makes_credentials(http: HttpServer, scope: str) -> None:
    """Whoever holds a token cannot make itself more of it."""
    error = await http.fault("POST", "/v1/tokens", json={"identity": "x", "scopes": [scope]}, status=403)
    assert error["details"] == {"scope": scope}
    token = http.token(Scope.CALLS_READ, Scope.CALLS_WRITE, Scope.MEDIA, Scope.WEBHOOKS)
    await http.fault("POST", f"/v1/{scope}?token={token}", tenant=None, status=403, json={})


@pytest.mark.parametrize(
    ("body", "field"),
    [
        pytest.param({}, "identity", id="nobody"),
        pytest.param({"identity": ""}, "identity", id="empty-identity"),
        pytest.param({"identity": "x", "expires_in": 0}, "expires_in", id="no-life"),
        pytest.param({"identity": "x", "expires_in": 86_401}, "expires_in", id="too-long-a-life"),
        pytest.param({"identity": "x", "scopes": []}, "scopes", id="no-scope"),
        pytest.param({"identity": "x", "scopes": ["root"]}, "scopes.0", id="unknown-scope"),
        pytest.param({"identity": "x", "tenant": "rival"}, "tenant", id="anothers-tenant"),
    ],
)
async def test_a_token_that_cannot_be(http: HttpServer, body: dict[str, object], field: str) -> None:
    """What is wrong is named, and no token is made."""
    error = await http.fault("POST", "/v1/tokens", json=body, status=422)
    assert next(iter(error["details"]["fields"])) == field
