"""Webhook endpoints over HTTP: added, changed, tested, rotated, and their deliveries sent again."""

from __future__ import annotations

import pytest

from bridge.deliver.signing import signing_secrets
from bridge.model.records import Attempt, DeliveryStatus
from tests.http_server import HttpServer
from tests.story import ended, started

URL = "https://hooks.example.org/calls"


async def test_an_endpoint_from_its_making_to_its_end(http: HttpServer) -> None:
    """Made with the ended types by default, its secret shown once; changed field by field; deleted."""
    made = await http.json("POST", "/v1/webhooks", json={"url": URL}, status=201)
    assert made["events"] == ["call.completed", "call.failed"]
    assert made["secret"].startswith("whsec_")
    path = f"/v1/webhooks/{made['id']}"
    shown = await http.json("GET", path)
    assert shown == {name: value for name, value in made.items() if name != "secret"}
    changed = await http.json("PATCH", path, json={"events": ["transcript.final", "*", "*"]})
    assert changed == shown | {"events": ["transcript.final", "*"]}
    assert await http.json("GET", "/v1/webhooks") == {"webhooks": [changed]}
    assert (await http.store.endpoint("acme", made["id"])).secrets == (made["secret"],)
    assert (await http.ask("DELETE", path)).status == 204
    await http.fault("GET", path, status=404)


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("ftp://hooks.example.org/", id="scheme"),
        pytest.param("file:///etc/passwd", id="file"),
        pytest.param("hooks.example.org/calls", id="no-scheme"),
        pytest.param("https://", id="no-host"),
        pytest.param("http://127.0.0.1/hook", id="loopback"),
        pytest.param("http://10.0.0.8/hook", id="private"),
        pytest.param("http://169.254.169.254/latest/meta-data", id="metadata-service"),
        pytest.param("http://[::1]/hook", id="ipv6-loopback"),
        pytest.param("http://[::ffff:10.0.0.8]/hook", id="private-in-ipv6"),
        pytest.param("https://user:secret@hooks.example.org/", id="credentials"),
        pytest.param("https://h/" + "x" * 2000, id="endless"),
    ],
)
async def test_an_address_we_must_not_call(http: HttpServer, url: str) -> None:
    """Refused when it is made and when it is changed, and nothing is kept."""
    endpoint = await http.add_endpoint()
    for method, path in (("POST", "/v1/webhooks"), ("PATCH", f"/v1/webhooks/{endpoint.id}")):
        error = await http.fault(method, path, json={"url": url}, status=422)
        assert list(error["details"]["fields"]) == ["url"]
    assert await http.store.endpoints("acme") == [endpoint]


async def test_an_unknown_event_type_is_refused(http: HttpServer) -> None:
    """A mistyped type would never come; the answer lists those there are."""
    error = await http.fault("POST", "/v1/webhooks", json={"url": URL, "events": ["call.complete"]}, status=422)
    assert "call.complete;" in error["details"]["fields"]["events"]
    assert "call.completed" in error["details"]["fields"]["events"]


async def test_enabling_again_forgets_why_it_was_disabled(http: HttpServer) -> None:
    """What 410 disabled is put right by hand."""
    await http.add_endpoint("we_1", enabled=False, disabled_reason="the receiver answered 410 Gone")
    changed = await http.json("PATCH", "/v1/webhooks/we_1", json={"enabled": True})
    assert (changed["enabled"], changed["disabled_reason"]) == (True, None)


async def test_both_secrets_sign_while_one_takes_over(http: HttpServer) -> None:
    """The new secret is shown once and signs at once; the old one goes on for the overlap, then ends."""
    old = (await http.add_endpoint()).secrets[0]
    made = await http.json("POST", "/v1/webhooks/we_1/rotate", json={"overlap_s": 600})
    endpoint = await http.store.endpoint("acme", "we_1")
    now = http.clock.now()
    assert made["secret"] != old
    assert signing_secrets(endpoint, now) == (made["secret"], old)
    assert signing_secrets(endpoint, now + 600) == (made["secret"],)
    again = await http.json("POST", "/v1/webhooks/we_1/rotate")
    assert (await http.store.endpoint("acme", "we_1")).secrets == (again["secret"], made["secret"])


async def test_a_test_message_goes_the_way_of_all_deliveries(http: HttpServer) -> None:
    """It is in the outbox at once, under the id that the answer tells."""
    endpoint = await http.add_endpoint()
    told = await http.json("POST", "/v1/webhooks/we_1/test", status=202)
    assert (told["type"], told["status"], told["tries"]) == ("webhook.test", "pending", 0)
    ((claimed, receiver),) = await http.store.claim(http.clock.now(), lease_s=60, limit=10, each=10, room={})
    assert (claimed.id, receiver) == (told["id"], endpoint)
    assert set(claimed.payload) == {"type", "timestamp", "data"}


async def test_an_exhausted_delivery_is_seen_and_sent_again(http: HttpServer) -> None:
    """Its tries are listed; by hand it is due again under the same id."""
    await http.add_endpoint()
    await http.tell("one", started(), ended(), last_seq=0)
    await http.settle("one")
    now = http.clock.now()
    ((claimed, _),) = await http.store.claim(now, lease_s=60, limit=10, each=10, room={})
    attempt = Attempt(number=1, at=now, status=503, error=None, duration_ms=40)
    await http.store.record(claimed.id, attempt, next_due=None, delivered=False)
    (listed,) = (await http.json("GET", "/v1/webhooks/we_1/deliveries"))["deliveries"]
    assert (listed["id"], listed["call_id"], listed["status"]) == (claimed.id, "one", "exhausted")
    assert [(tried["number"], tried["status"], tried["duration_ms"]) for tried in listed["attempts"]] == [(1, 503, 40)]
    again = await http.json("POST", f"/v1/deliveries/{claimed.id}/redeliver", status=202)
    assert (again["id"], again["status"], again["tries"]) == (claimed.id, "pending", 0)
    (kept,) = await http.deliveries()
    assert kept.status is DeliveryStatus.PENDING


async def test_deliveries_a_page_at_a_time(http: HttpServer) -> None:
    """Newest first, as many as asked; the cursor leads to the rest, and a filter narrows both."""
    await http.add_endpoint()
    ids = []
    for _ in range(3):
        await http.clock.advance(1)
        ids.append((await http.json("POST", "/v1/webhooks/we_1/test", status=202))["id"])
    first = await http.json("GET", "/v1/webhooks/we_1/deliveries?limit=2&status=pending")
    assert [delivery["id"] for delivery in first["deliveries"]] == [ids[2], ids[1]]
    rest = await http.json("GET", f"/v1/webhooks/we_1/deliveries?limit=2&status=pending&cursor={first['cursor']}")
    assert ([delivery["id"] for delivery in rest["deliveries"]], rest["cursor"]) == ([ids[0]], None)
    for narrowed in ("status=exhausted", "call_id=another"):
        assert (await http.json("GET", f"/v1/webhooks/we_1/deliveries?{narrowed}"))["deliveries"] == []
    await http.fault("GET", "/v1/webhooks/we_1/deliveries?cursor=x", status=422)


async def test_endpoints_have_a_limit(http: HttpServer) -> None:
    """The hundred-and-first is refused: each event is matched against them all."""
    for number in range(100):
        await http.add_endpoint(f"we_{number}")
    assert (await http.fault("POST", "/v1/webhooks", json={"url": URL}, status=409))["code"] == "conflict"
