"""Credentials: what is accepted, for whom, where, and for how long."""

from __future__ import annotations

from typing import Any

import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from bridge.errors import ForbiddenError, UnauthorisedError
from bridge.model.records import ApiKey
from bridge.settings import Settings
from bridge.web.auth import ALL_SCOPES, TOKEN_SCOPES, Auth, Principal, Scope, TokenSigner, hash_key, new_key

NOW = 1_800_000_000.0
KEY = new_key()
BOOTSTRAP = "first-start-key-of-the-operator"
SECRETS = ["installation key one"]


class SetClock:
    """Stands where it is put."""

    def __init__(self, now: float = NOW) -> None:
        self.time = now

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds


class OneKey:
    """Knows the key of tenant `acme`, and how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def find_key(self, sha256: str) -> ApiKey | None:
        self.asked += 1
        key = ApiKey(id="key_1", tenant="acme", name="crm", prefix=KEY[:12], created_at=0)
        return key if sha256 == hash_key(KEY) else None


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def signer(clock: SetClock) -> TokenSigner:
    return TokenSigner(SECRETS, clock)


def auth_of(signer: TokenSigner, **given: Any) -> Auth:
    return Auth(settings=Settings(bootstrap_key=BOOTSTRAP, **given), keys=OneKey(), signer=signer)


def token_of(signer: TokenSigner, *scopes: Scope, lifetime_s: int = 60) -> str:
    return signer.issue(
        tenant="acme", identity="desk-7", scopes=scopes or (Scope.CALLS_READ,), lifetime_s=lifetime_s
    ).token


def request(path: str = "/v1/calls", *, host: str = "127.0.0.1:8080", **headers: str) -> web.Request:
    return make_mocked_request("GET", path, headers={"Host": host, **headers})


async def test_an_api_key_is_its_tenant_with_every_scope(signer: TokenSigner) -> None:
    """A kept key opens its own tenant, whole."""
    found = await auth_of(signer).principal(request(Authorization=f"Bearer {KEY}"))
    assert found == Principal(tenant="acme", scopes=ALL_SCOPES, identity="key_1")


async def test_the_bootstrap_key_is_tenant_default(signer: TokenSigner) -> None:
    """The key from the settings works before any key was made."""
    found = await auth_of(signer).principal(request(Authorization=f"bearer {BOOTSTRAP}"))
    assert found == Principal(tenant="default", scopes=ALL_SCOPES, identity="bootstrap")


async def test_a_token_is_what_it_was_made_with(signer: TokenSigner) -> None:
    """Tenant, identity and scopes of a token are those it was issued with."""
    token = token_of(signer, Scope.MEDIA)
    found = await auth_of(signer).principal(request(Authorization=f"Bearer {token}"))
    assert found == Principal(tenant="acme", scopes=frozenset({Scope.MEDIA}), identity="desk-7")


async def test_a_token_may_stand_in_the_url_and_a_key_may_not(signer: TokenSigner) -> None:
    """`?token=` takes what expires soon; a key would be written into every proxy's log."""
    auth = auth_of(signer)
    assert (await auth.principal(request(f"/v1/events?token={token_of(signer)}"))).identity == "desk-7"
    for key in (KEY, BOOTSTRAP):
        with pytest.raises(UnauthorisedError):
            await auth.principal(request(f"/v1/events?token={key}"))
        assert await auth.identify(key) is not None
        assert await auth.identify(key, from_url=True) is None


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="no-credential"),
        pytest.param({"Authorization": KEY}, id="no-scheme"),
        pytest.param({"Authorization": f"Basic {KEY}"}, id="another-scheme"),
        pytest.param({"Authorization": "Bearer "}, id="empty"),
        pytest.param({"Authorization": f"Bearer {KEY}x"}, id="key-too-long"),
        pytest.param({"Authorization": f"Bearer {KEY[:-1]}"}, id="key-cut"),
        pytest.param({"Authorization": f"Bearer {BOOTSTRAP}!"}, id="bootstrap-too-long"),
        pytest.param({"Authorization": "Bearer " + "x" * 100_000}, id="endless"),
        pytest.param({"Authorization": "Bearer cbk_\xe9\u20ac"}, id="not-ascii"),
        pytest.param({"Authorization": "Bearer a.b.c"}, id="looks-like-a-token"),
    ],
)
async def test_what_is_no_credential(signer: TokenSigner, headers: dict[str, str]) -> None:
    """Whatever is wrong, the answer is the same and tells nothing."""
    with pytest.raises(UnauthorisedError, match="send an API key or a token"):
        await auth_of(signer).principal(request(**headers))


async def test_a_wrong_header_is_not_mended_by_a_token_in_the_url(signer: TokenSigner) -> None:
    """One credential is judged, the one in the header when there is one."""
    with pytest.raises(UnauthorisedError):
        await auth_of(signer).principal(request(f"/?token={token_of(signer)}", Authorization="Bearer no"))


async def test_strangers_cost_no_look_into_the_database(signer: TokenSigner) -> None:
    """Only what has a key's form is looked up."""
    keys = OneKey()
    auth = Auth(settings=Settings(), keys=keys, signer=signer)
    assert await auth.identify("not-a-key") is None
    assert await auth.identify("") is None
    assert keys.asked == 0


async def test_a_token_ends_on_the_second(signer: TokenSigner, clock: SetClock) -> None:
    """Good before its time, nothing from then on, by the injected clock."""
    auth = auth_of(signer)
    token = token_of(signer, lifetime_s=60)
    clock.time = NOW + 59
    assert await auth.identify(token) is not None
    clock.time = NOW + 60
    assert await auth.identify(token) is None


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"tenant": "default"}, id="another-tenant"),
        pytest.param({"scopes": ["calls:write"]}, id="more-scopes"),
        pytest.param({"exp": NOW + 1e9}, id="a-longer-life"),
    ],
)
def test_a_changed_token_is_nobodys(signer: TokenSigner, change: dict[str, Any]) -> None:
    """Whoever changes a claim must sign, and cannot."""
    claims = jwt.decode(token_of(signer), options={"verify_signature": False})
    forged = jwt.encode(claims | change, b"another key" * 4, algorithm="HS256")
    header, payload, _ = forged.split(".")
    signature = token_of(signer).split(".")[2]
    assert signer.read(forged) is None
    assert signer.read(f"{header}.{payload}.{signature}") is None


def test_an_unsigned_token_is_nobodys(signer: TokenSigner) -> None:
    """`alg: none` is no way in."""
    claims = jwt.decode(token_of(signer), options={"verify_signature": False})
    assert signer.read(jwt.encode(claims, None, algorithm="none")) is None


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"iss": "callbridge", "sub": "x", "exp": "soon"}, id="expiry-no-number"),
        pytest.param({"iss": "callbridge", "sub": "x", "exp": NOW + 9}, id="no-scopes"),
        pytest.param(
            {"iss": "callbridge", "sub": "x", "exp": NOW + 9, "scopes": ["all"], "tenant": "t"}, id="unknown-scope"
        ),
        pytest.param({"iss": "callbridge", "sub": "x", "exp": NOW + 9, "scopes": []}, id="no-tenant"),
        pytest.param({"iss": "else", "sub": "x", "exp": NOW + 9, "scopes": [], "tenant": "t"}, id="another-issuer"),
    ],
)
def test_a_well_signed_token_that_is_not_ours(signer: TokenSigner, claims: dict[str, Any]) -> None:
    """Even under our key, claims that we would not write are refused, not stumbled over."""
    assert signer.read(jwt.encode(claims, signer._keys[0], algorithm="HS256")) is None


def test_a_token_never_holds_what_makes_credentials(signer: TokenSigner) -> None:
    """A token cannot be made with, or read as having, the scopes of keys and tokens."""
    for scope in ALL_SCOPES - TOKEN_SCOPES:
        with pytest.raises(ForbiddenError, match=scope.value):
            token_of(signer, scope)
    claims = jwt.decode(token_of(signer), options={"verify_signature": False})
    grand = jwt.encode(claims | {"scopes": [*Scope]}, signer._keys[0], algorithm="HS256")
    found = signer.read(grand)
    assert found is not None
    assert found.scopes == TOKEN_SCOPES


def test_a_replaced_installation_key_still_reads(clock: SetClock) -> None:
    """With NEW,OLD set, tokens of both are good; OLD alone does not read NEW's."""
    old, new = TokenSigner(["old"], clock), TokenSigner(["new", "old"], clock)
    assert new.read(token_of(old)) is not None
    assert new.read(token_of(new)) is not None
    assert old.read(token_of(new)) is None


def test_a_missing_scope_is_named() -> None:
    """Who may not is told what is lacking."""
    with pytest.raises(ForbiddenError, match="webhooks") as caught:
        Principal(tenant="acme", scopes=frozenset({Scope.MEDIA}), identity="x").need(Scope.WEBHOOKS)
    assert caught.value.details == {"scope": "webhooks"}


@pytest.mark.parametrize(
    ("host", "headers"),
    [
        pytest.param("127.0.0.1:8080", {}, id="address"),
        pytest.param("localhost:8080", {}, id="name"),
        pytest.param("[::1]:8080", {}, id="ipv6"),
        pytest.param("localhost:8080", {"Origin": "http://localhost:8080"}, id="own-page"),
        pytest.param("calls.example.org", {"Origin": "https://calls.example.org"}, id="public-address"),
    ],
)
async def test_with_auth_off_this_machine_is_everybody(signer: TokenSigner, host: str, headers: dict[str, str]) -> None:
    """Own requests and own pages are tenant `default`, and need nothing."""
    auth = auth_of(signer, auth="off", public_url="https://calls.example.org")
    assert (await auth.principal(request(host=host, **headers))).tenant == "default"
    assert await auth.identify("") is not None


@pytest.mark.parametrize(
    ("host", "headers"),
    [
        pytest.param("evil.example:8080", {}, id="rebound-name"),
        pytest.param("localhost:8080", {"Origin": "https://evil.example"}, id="another-site"),
        pytest.param("localhost:8080", {"Origin": "null"}, id="sandboxed-page"),
        pytest.param("localhost:8080", {"Origin": "https://localhost.evil.example"}, id="look-alike"),
        pytest.param("192.168.1.5:8080", {}, id="the-net"),
    ],
)
async def test_with_auth_off_another_sites_page_is_nobody(
    signer: TokenSigner, host: str, headers: dict[str, str]
) -> None:
    """A page open in this machine's browser does not pass for its user."""
    with pytest.raises(UnauthorisedError):
        await auth_of(signer, auth="off").principal(request(host=host, **headers))


def test_keys_are_random_and_kept_as_hashes() -> None:
    """256 bits each, with the prefix that secret scanners know; nothing of the key is in its hash."""
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(key.startswith("cbk_") and len(key) == 4 + 43 for key in keys)
    assert hash_key("cbk_x") == "8e79d0dc36b5c8c0e69d75e89ca7ccfe0d0ae5c259645bff96a0c6e5470b693a"


def test_a_token_that_only_came_too_late(signer: TokenSigner, clock: SetClock) -> None:
    """Told apart from one that is not ours, and from one that is still good."""
    token = token_of(signer, lifetime_s=60)
    assert not signer.has_lapsed(token)
    clock.time += 60
    assert signer.has_lapsed(token)
    assert not signer.has_lapsed(f"{token[:-4]}AAAA")


def test_a_sealed_text_opens_what_it_was_made_for(signer: TokenSigner, clock: SetClock) -> None:
    """Its claims come back for its purpose alone, until its time is over; it is no token, and no token is one."""
    sealed = signer.seal({"size": 3}, purpose="upload", lifetime_s=60)
    opened = signer.unseal(sealed, purpose="upload")
    assert opened is not None
    assert opened["size"] == 3
    assert signer.unseal(sealed, purpose="download") is None
    assert signer.unseal(f"{sealed[:-4]}AAAA", purpose="upload") is None
    assert signer.read(sealed) is None
    assert signer.unseal(token_of(signer), purpose="upload") is None
    clock.time += 60
    assert signer.unseal(sealed, purpose="upload") is None
