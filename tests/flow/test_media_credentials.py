"""Who may call: every proof that the table says a dialect can carry, on its own address."""

from __future__ import annotations

import base64
import math
from typing import Any

import numpy as np
import pytest

from bridge.carrier.audio import CallAudio
from bridge.carrier.place import CallReport, Manner, place_call
from bridge.carrier.side import Dialled, encode_for
from bridge.clock import SystemClock
from bridge.dialects import DIALECTS, Dialect, Proof
from bridge.errors import CallRefusedError
from bridge.model.stream import Leg
from bridge.web.auth import Scope
from tests.media_server import API_KEY, MediaServer, ServeMedia

SECRET = "0123456789abcdef" * 4
SECRETS = {
    "twilio": "twilio_auth_token",
    "plivo": "plivo_auth_token",
    "vonage": "vonage_signature_secret",
    "genesys": "genesys_client_secret",
}
"""The setting that turns each signature on."""

SIGNING = [dialect for dialect in DIALECTS.values() if Proof.SIGNATURE in dialect.proofs]
SIGNED = pytest.mark.parametrize("dialect", SIGNING, ids=[dialect.name for dialect in SIGNING])


def having(proof: Proof) -> Any:
    found = [dialect for dialect in DIALECTS.values() if proof in dialect.proofs]
    assert found
    return pytest.mark.parametrize("dialect", found, ids=[dialect.name for dialect in found])


async def call(
    server: MediaServer, dialect: Dialect, *, query: str = "", headers: dict[str, str] | None = None, **given: Any
) -> CallReport:
    """A tenth of a second from both parties; `given` are fields of `Dialled`."""
    silence = np.zeros(800, np.int16)
    side = dialect.speak(Dialled(legs=(Leg.CALLER, Leg.AGENT), **given))
    return await place_call(
        server.url.replace("http", "ws") + dialect.path + query,
        encode_for(side, CallAudio({Leg.CALLER: silence, Leg.AGENT: silence}, 8000)),
        side,
        clock=SystemClock(),
        manner=Manner(speed=math.inf),
        headers=headers,
        subprotocols=dialect.subprotocols,
    )


async def let_in(server: MediaServer, report: CallReport, tenant: str) -> None:
    heard = await server.taker.next_call()
    assert report.close_code == 1000
    assert heard.tenant == tenant
    assert "token" not in heard.started.parameters


def basic(password: str) -> str:
    return f"Basic {base64.b64encode(f'whoever:{password}'.encode()).decode()}"


@having(Proof.BEARER)
async def test_bearer(serve_media: ServeMedia, dialect: Dialect) -> None:
    """A key in the header that is meant for it."""
    server = await serve_media()
    await let_in(server, await call(server, dialect, headers={"Authorization": f"Bearer {API_KEY}"}), "acme")


@having(Proof.BARE)
async def test_a_bare_key(serve_media: ServeMedia, dialect: Dialect) -> None:
    """A key without `Bearer`, where nobody wrote down how the carrier sends it; a wrong one is refused."""
    server = await serve_media()
    await let_in(server, await call(server, dialect, headers={"Authorization": API_KEY}), "acme")
    with pytest.raises(CallRefusedError, match="401"):
        await call(server, dialect, headers={"Authorization": "cbk_nobodys"})


@having(Proof.BASIC)
async def test_a_password(serve_media: ServeMedia, dialect: Dialect) -> None:
    """A key as the password, whoever the user is; what is no password is refused."""
    server = await serve_media()
    await let_in(server, await call(server, dialect, headers={"Authorization": basic(API_KEY)}), "acme")
    for wrong in (basic("wrong"), basic(""), "Basic", "Basic !", "Basic w7/DvA==", f"Basic {API_KEY}"):
        with pytest.raises(CallRefusedError, match="401"):
            await call(server, dialect, headers={"Authorization": wrong})


async def test_a_password_is_not_for_everybody(serve_media: ServeMedia) -> None:
    """Where the table does not say so, Basic is no credential."""
    server = await serve_media()
    with pytest.raises(CallRefusedError, match="401"):
        await call(server, DIALECTS["twilio"], headers={"Authorization": basic(API_KEY)})


@having(Proof.API_KEY)
async def test_a_key_beside(serve_media: ServeMedia, dialect: Dialect) -> None:
    """A key in `X-API-KEY`; a wrong one, or one where the table does not say so, is refused."""
    server = await serve_media()
    await let_in(server, await call(server, dialect, headers={"X-API-KEY": API_KEY}), "acme")
    with pytest.raises(CallRefusedError, match="401"):
        await call(server, dialect, headers={"X-API-KEY": "cbk_nobodys"})
    with pytest.raises(CallRefusedError, match="401"):
        await call(server, DIALECTS["freeswitch"], headers={"X-API-KEY": API_KEY}, token="cbk_nobodys")


@having(Proof.API_KEY)
async def test_a_key_beside_is_no_signature(serve_media: ServeMedia, dialect: Dialect) -> None:
    """With the secret set, it says whose signature it is, and no more."""
    server = await serve_media(**{SECRETS[dialect.name]: SECRET})
    with pytest.raises(CallRefusedError, match="403"):
        await call(server, dialect, token=API_KEY)


@having(Proof.QUERY)
async def test_a_token_in_the_address(serve_media: ServeMedia, dialect: Dialect) -> None:
    """A token will do, a key will not: addresses are written into logs."""
    server = await serve_media()
    issued = server.context.auth.signer.issue(tenant="acme", identity="page", scopes=[Scope.MEDIA], lifetime_s=60)
    await let_in(server, await call(server, dialect, query=f"?token={issued.token}"), "acme")
    with pytest.raises(CallRefusedError, match="401"):
        await call(server, dialect, query=f"?token={API_KEY}")


@having(Proof.PARAMETER)
async def test_a_token_in_the_start(serve_media: ServeMedia, dialect: Dialect) -> None:
    """The first message brings it; without one, or with a wrong one, nothing is heard."""
    server = await serve_media()
    await let_in(server, await call(server, dialect, parameters={"token": API_KEY}), "acme")
    for wrong in ({}, {"token": "cbk_nobodys"}):
        assert (await call(server, dialect, parameters=wrong)).close_code == 1008
    assert server.taker.taken.empty()


@SIGNED
async def test_a_signature(serve_media: ServeMedia, dialect: Dialect) -> None:
    """Once its secret is set, what the carrier signs is let in, as the default tenant's."""
    server = await serve_media(**{SECRETS[dialect.name]: SECRET})
    await let_in(server, await call(server, dialect, secret=SECRET), "default")


@SIGNED
@pytest.mark.parametrize("auth", ["required", "off"])
async def test_no_signature(serve_media: ServeMedia, dialect: Dialect, auth: str) -> None:
    """Once its secret is set, nobody else is let in without a key, with `auth=off` neither."""
    server = await serve_media(auth=auth, **{SECRETS[dialect.name]: SECRET})
    for given in ({}, {"secret": SECRET[::-1]}, {"parameters": {"token": API_KEY}}):
        with pytest.raises(CallRefusedError, match=r"40[13]"):
            await call(server, dialect, **given)
    assert server.taker.taken.empty()


@SIGNED
async def test_a_key_in_place_of_a_signature(serve_media: ServeMedia, dialect: Dialect) -> None:
    """`play` and other senders can call the same address."""
    server = await serve_media(**{SECRETS[dialect.name]: SECRET})
    await let_in(server, await call(server, dialect, headers={"Authorization": f"Bearer {API_KEY}"}), "acme")


@pytest.mark.parametrize("name", ["vonage", "genesys"])
async def test_a_signature_lets_in_once(serve_media: ServeMedia, name: str) -> None:
    """What names itself by a `jti` or a nonce is no good a second time, unless there was no room at the first."""
    server, dialect = await serve_media(**{SECRETS[name]: SECRET}), DIALECTS[name]
    same = {"stream_id": "5a" * 16}
    side = dialect.speak(Dialled(legs=(Leg.CALLER, Leg.AGENT), secret=SECRET, **same))
    headers = dict(side.headers(server.address(dialect)))
    server.taker.room = False
    with pytest.raises(CallRefusedError, match="503"):
        await call(server, dialect, headers=headers, **same)
    server.taker.room = True
    await let_in(server, await call(server, dialect, headers=headers, **same), "default")
    with pytest.raises(CallRefusedError, match="403"):
        await call(server, dialect, headers=headers, **same)
    await let_in(server, await call(server, dialect, secret=SECRET), "default")


@SIGNED
async def test_the_signature_is_of_the_public_address(serve_media: ServeMedia, dialect: Dialect) -> None:
    """Behind a proxy, what was signed is the address that the carrier was given."""
    server = await serve_media(public_url="https://calls.example.org/bridge", **{SECRETS[dialect.name]: SECRET})
    same = {"stream_id": "5a" * 16}
    side = dialect.speak(Dialled(legs=(Leg.CALLER,), secret=SECRET, **same))
    headers = dict(side.headers(f"wss://calls.example.org/bridge{dialect.path}"))
    await let_in(server, await call(server, dialect, headers=headers, **same), "default")
