"""Other services' paths, asked anything: answers, and never with a fault of ours. The routes are the router's own."""

from __future__ import annotations

import json
import os
import re
from collections.abc import AsyncIterator
from typing import Any, Final
from urllib.parse import quote, urlencode

import pytest
from aiohttp import FormData, hdrs
from yarl import URL

from bridge.compat.table import add_surfaces
from bridge.compat.twilio.messages import call_sid
from bridge.model.records import Account
from bridge.ports import Store
from bridge.settings import Settings
from tests.clock import VirtualClock
from tests.flow.test_compat_tenants import BODIES, IN_ALONE, SEALED, Path, of_surfaces
from tests.fuzz.mutation import Mutation
from tests.fuzz.parsers import wav
from tests.fuzz.sessions import REALTIME, SERVICES
from tests.http_server import HttpServer
from tests.story import ended, final, started

N = int(os.environ.get("FUZZ_N", "250"))
SEED = os.environ.get("SEED", "1")

PATHS: Final = [
    path for path in of_surfaces() if path.method != hdrs.METH_DELETE and not path.spelt & {*IN_ALONE, *SEALED}
]
MOVING: Final = [path for path in of_surfaces() if path.method == hdrs.METH_DELETE]
"""They would take away what the others ask for: never with an id that is right."""

QUERY: Final = {name: value for service in SERVICES.values() for name, value in service.query.items()} | {
    "model": "base", "language": "en", "expires_in_seconds": "60", "duration": "60.5", "page": "1", "limit": "50", "status": "completed",
    "date_from": "2026-11-21", "utt_split": "0.8", "utterances": "true", "callback": "https://hooks.example.org/x", "tag": "a",
    "webhook_url": "https://hooks.example.org/y", "paragraphs": "true", "diarize": "true", "type": "stream", "format": "srt",
}  # fmt: skip
FORM: Final = {
    "model": "base", "language": "en", "response_format": "verbose_json", "temperature": "0.2", "prompt": "Harbor", "stream": "true",
    "timestamp_granularities[]": "word", "config": '{"file_transcription": {"language_id": "en", "mode": "advanced"}}',
    "model_config": '{"punctuate": true}', "file_url": "https://hooks.example.org/a.wav", "Track": "both_tracks", "Name": "one",
    "PartialResults": "true", "StatusCallbackUrl": "https://hooks.example.org/z", "LanguageCode": "en-US", "Status": "stopped",
}  # fmt: skip
JSON: Final = (
    *BODIES.values(), REALTIME, {"session": REALTIME, "expires_after": {"anchor": "created_at", "seconds": 600}}, {"ttl_seconds": 60},
    {"url": "https://hooks.example.org/a.wav"}, {"file_size": 10**7, "file_name": "a.wav", "use_multipart": True}, {"expires_in": 60},
)  # fmt: skip


def storable(value: str) -> str:
    return value.encode("utf-8", "replace").decode()


def draw_request(ids: dict[str, str], by: Mutation) -> dict[str, Any]:
    """Arguments for one request."""
    path = by.one_of(MOVING if by.chance(0.1) else PATHS)

    def own(found: re.Match[str]) -> str:
        known = ids.get(found[1], "one")
        named = storable(by.text(known)) if path in MOVING or by.chance(0.2) else known
        return quote(named, safe="").replace(".", "%2E") or "x"

    query = {name: value for name, value in QUERY.items() if by.chance(0.2)}
    asked = urlencode({name: storable(by.text(value)) if by.chance(0.4) else value for name, value in query.items()})
    url = URL(f"{re.sub(r'{([^}]+)}', own, path.pattern)}?{asked}", encoded=True)
    return {"method": path.method, "url": url, **(draw_body(path, by) if path.method != hdrs.METH_GET else {})}


def draw_body(path: Path, by: Mutation) -> dict[str, Any]:
    if by.chance(0.3):
        data = by.raw(wav(1)) if by.chance(0.5) else wav(1)
        return {"data": data, "headers": {hdrs.CONTENT_TYPE: "audio/wav"}}
    if by.chance(0.4):
        body = BODIES.get(path.pattern.removeprefix("/v1"), by.one_of(JSON))
        raw = json.dumps(by.value(body) if by.chance(0.8) else body).encode()
        data = by.raw(raw) if by.chance(0.2) else raw
        return {"data": data, "headers": {hdrs.CONTENT_TYPE: "application/json"}}
    fields = {name: storable(value) for name, value in by.pairs(FORM).items() if name in FORM and by.chance(0.5)}
    if by.chance(0.4):
        return {"data": fields}
    form = FormData(fields)
    form.add_field("file", wav(1), filename="a.wav", content_type="audio/wav")
    return {"data": form}


@pytest.fixture
async def http(sqlite_store: Store, clock: VirtualClock) -> AsyncIterator[HttpServer]:
    settings = Settings(requests_per_minute=0, tenant_tokens_per_minute=0)
    server = HttpServer(sqlite_store, clock, settings)
    add_surfaces(server.app)
    async with server:
        yield server


async def test_no_request_is_answered_with_our_fault(http: HttpServer) -> None:
    """Ids, parameters, bodies, forms and files disfigured: whatever is answered, it is not a 500."""
    await http.tell("one", started("CA-one"), final(1, "hello there"), ended(), last_seq=0)
    await http.settle("one")
    await http.tell("two", started("CA-two"), last_seq=0)
    await http.add_endpoint("we_1", style="vocafuse")
    await http.store.keep_account(Account(tenant="acme", name="acme"))
    [key] = await http.store.keys("acme")
    ids = {"recording_id": "one", "job": "one", "webhook_id": "we_1", "key_id": key.id, "account": "AC1", "sid": "GT1"}
    ids["call"] = call_sid("two", "CA-two")
    credential = {
        "Authorization": f"Bearer {http.keys['acme']}",
        "X-VocaFuse-API-Key": http.keys["acme"],
        "X-VocaFuse-API-Secret": http.keys["acme"],
    }
    for number in range(N):
        request = draw_request(ids, Mutation(f"{SEED} compat {number}"))
        request["headers"] = credential | request.get("headers", {})
        async with http.session.request(**request) as response:
            text = await response.text(errors="replace")
        assert response.status not in {500, 501}, f"request {number} of seed {SEED}: {request}\n{text}"


async def test_a_token_for_ever_is_refused(http: HttpServer) -> None:
    """As any lifetime out of its bounds."""
    assert (await http.ask("POST", "/v1/auth/grant", data='{"ttl_seconds": 1e999}')).status == 400
