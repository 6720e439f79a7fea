"""`/openapi.json` is valid, and true: every operation in it is asked, and every answer is as it says."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

import pytest
from openapi_schema_validator import OAS30Validator
from openapi_spec_validator import validate

from bridge.model.events import BODIES
from bridge.web.openapi import document
from bridge.web.server import TABLE
from tests.contract.builders import a_voice
from tests.http_server import HttpServer
from tests.story import ended, final, named, partial, revised, segment, started
from tests.whip_client import OFFER

DOCUMENT: Final = document(TABLE)
OPERATIONS: Final = {
    operation["operationId"]: (method.upper(), path, operation)
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
}


@dataclass(frozen=True, kw_only=True)
class Example:
    """A request that must be answered with `status`; `{…}` in the path stands as acme has it."""

    path: str
    status: int = 200
    body: dict[str, Any] | None = None
    sent: tuple[str, str] | None = None
    """A body that is no JSON: its type and text."""
    upgrade: bool = False


EXAMPLES: Final = {
    "list_calls": Example(path="/v1/calls?status=completed&text=hello&limit=10"),
    "get_call": Example(path="/v1/calls/one"),
    "delete_call": Example(path="/v1/calls/one", status=204),
    "get_transcript": Example(path="/v1/calls/one/transcript"),
    "call_events": Example(path="/v1/calls/one/events?after=1"),
    "call_live": Example(path="/v1/calls/one/live", status=101, upgrade=True),
    "talk": Example(path="/v1/calls/one/talk", status=422),  # a WebSocket; tests/flow/test_talk.py
    "tenant_events": Example(path="/v1/events", status=101, upgrade=True),
    "create_transcription": Example(
        path="/v1/transcriptions", status=202, body={"url": "https://files.example.org/monday.mp3"}
    ),
    "get_transcription": Example(path="/v1/transcriptions/two"),
    "cancel_transcription": Example(path="/v1/transcriptions/two/cancel"),
    "create_webhook": Example(path="/v1/webhooks", status=201, body={"url": "https://hooks.example.org/calls"}),
    "list_webhooks": Example(path="/v1/webhooks"),
    "get_webhook": Example(path="/v1/webhooks/we_1"),
    "update_webhook": Example(path="/v1/webhooks/we_1", body={"events": ["*"], "description": "all of it"}),
    "delete_webhook": Example(path="/v1/webhooks/we_1", status=204),
    "rotate_secret": Example(path="/v1/webhooks/we_1/rotate", body={"overlap_s": 60}),
    "test_webhook": Example(path="/v1/webhooks/we_1/test", status=202),
    "list_deliveries": Example(path="/v1/webhooks/we_1/deliveries?limit=5"),
    "redeliver": Example(path="/v1/deliveries/{delivery}/redeliver", status=202),
    "create_key": Example(path="/v1/keys", status=201, body={"name": "crm"}),
    "list_keys": Example(path="/v1/keys"),
    "revoke_key": Example(path="/v1/keys/{key}"),
    "create_token": Example(path="/v1/tokens", status=201, body={"identity": "desk", "scopes": ["calls:read"]}),
    "enrol_speaker": Example(path="/v1/speakers", status=403),
    "list_speakers": Example(path="/v1/speakers"),
    "delete_speaker": Example(path="/v1/speakers/spk_1", status=204),
    "list_languages": Example(path="/v1/languages"),
    "announce_audiosocket": Example(
        path="/v1/audiosocket", status=201, body={"language": "en", "metadata": {"queue": "sales"}}
    ),
    "publish": Example(path="/v1/whip?metadata.desk=7", status=201, sent=("application/sdp", OFFER)),
    "trickle": Example(
        path="/v1/whip/{session}",
        status=204,
        sent=("application/trickle-ice-sdpfrag", "m=audio 9 RTP/AVP 0\r\na=mid:0\r\n"),
    ),
    "hang_up": Example(path="/v1/whip/{session}"),
    "open_rtp": Example(path="/v1/rtp", status=201, body={"codec": "opus"}),
    "get_rtp": Example(path="/v1/rtp/{rtp}"),
    "close_rtp": Example(path="/v1/rtp/{rtp}", status=204),
    "healthz": Example(path="/healthz"),
    "readyz": Example(path="/readyz"),
    "metrics_text": Example(path="/metrics"),
    "openapi_document": Example(path="/openapi.json"),
}


def check(value: Any, schema: dict[str, Any]) -> None:
    """Raises when `value` is not what the document says."""
    OAS30Validator({**schema, "components": DOCUMENT["components"]}).validate(value)


@pytest.fixture
async def shop(http: HttpServer) -> HttpServer:
    """acme has a call with a delivery, and a recording."""
    await http.add_endpoint("we_1")
    await http.tell("one", started(note="x"), final(1, "hello there"), ended(), last_seq=0)
    await http.settle("one")
    await http.store.create_voice(a_voice())
    order = {"url": "https://files.example.org/monday.mp3", "call_id": "two"}
    await http.json("POST", "/v1/transcriptions", status=202, json=order)
    return http


async def publisher(shop: HttpServer) -> str:
    """The id of a session that is waiting for its audio."""
    answer = await shop.ask("POST", "/v1/whip", data=OFFER, headers={"Content-Type": "application/sdp"})
    return answer.headers["Location"].rpartition("/")[2]


def test_the_document_is_valid() -> None:
    """By the standard's own schema, with every reference leading somewhere."""
    validate(DOCUMENT)


async def test_the_server_tells_the_same_document(http: HttpServer) -> None:
    """Open to everybody, and made from the table alone."""
    assert await http.json("GET", "/openapi.json", tenant=None) == json.loads(json.dumps(DOCUMENT))


def test_every_operation_has_an_example() -> None:
    """A new route must be asked here too."""
    assert set(OPERATIONS) == set(EXAMPLES)


@pytest.mark.parametrize("operation", EXAMPLES)
async def test_every_operation_is_answered_as_documented(shop: HttpServer, operation: str) -> None:
    """The status is one that the document names, and the body fits its schema."""
    method, _, told = OPERATIONS[operation]
    example = EXAMPLES[operation]
    (delivery,) = await shop.deliveries("we_1")
    keys = await shop.store.keys("acme")
    session = await publisher(shop) if "{session}" in example.path else ""
    rtp = (await shop.json("POST", "/v1/rtp", status=201))["id"] if "{rtp}" in example.path else ""
    address = example.path.format(delivery=delivery.id, key=keys[0].id, session=session, rtp=rtp)
    if example.upgrade:
        async with shop.socket(address) as live:
            assert not live.closed
        assert "101" in told["responses"]
        return
    given: dict[str, Any] = {} if example.body is None else {"json": example.body}
    if example.sent is not None:
        given = {"data": example.sent[1], "headers": {"Content-Type": example.sent[0], "If-Match": "*"}}
    response = await shop.ask(method, address, **given)
    assert response.status == example.status, await response.text()
    content = told["responses"][str(response.status)].get("content", {})
    if not content:
        assert await response.text() == ""
        return
    assert response.content_type in content
    if response.content_type == "application/json":
        check(json.loads(await response.text()), content["application/json"]["schema"])


@pytest.mark.parametrize("operation", EXAMPLES)
async def test_every_body_that_is_documented_is_wanted(shop: HttpServer, operation: str) -> None:
    """An unknown field is 422 where a body is read; an unknown parameter is 422 wherever somebody must be known."""
    method, _, told = OPERATIONS[operation]
    path = EXAMPLES[operation].path.partition("?")[0].format(delivery="x", key="x", session="x", rtp="x")
    if "application/json" in told.get("requestBody", {}).get("content", {}):
        error = await shop.fault(method, path, status=422, json={"colour": "red"})
        assert "colour" in error["details"]["fields"]
        check({"error": error}, told["responses"]["422"]["content"]["application/json"]["schema"])
    error = await shop.fault(method, path, status=422, params={"colour": "red"})
    assert list(error["details"]["fields"]) == ["colour"]


async def test_faults_fit_their_schema(shop: HttpServer) -> None:
    """401, 403, 404 and the rest are one shape."""
    schema = DOCUMENT["paths"]["/v1/calls/{call_id}"]["get"]["responses"]["404"]["content"]["application/json"][
        "schema"
    ]
    for path, tenant in (("/v1/calls/none", "acme"), ("/v1/calls/one", None), ("/nowhere", "acme")):
        check(json.loads(await (await shop.ask("GET", path, tenant=tenant)).text()), schema)


async def test_events_fit_their_schema(http: HttpServer) -> None:
    """What a stream tells is what the document says of each type; every type is documented."""
    told = [
        started(note="x"),
        partial(1, "hello"),
        final(1, "hello there"),
        named(1, "speaker 1"),
        revised([1], segment(2, "hello, there")),
        ended("error", "carrier_protocol"),
    ]
    await http.tell("one", *told, last_seq=0)
    await http.settle("one")
    async with http.sse("/v1/calls/one/events") as reader:
        events = await reader.rest()
    assert [event["type"] for event in events] == [body.type for body in told]
    for event in events:
        check(event, {"$ref": "#/components/schemas/Event"})
    assert set(DOCUMENT["components"]["schemas"]["Event"]["discriminator"]["mapping"]) == set(BODIES)
