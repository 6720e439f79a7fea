"""Webhook deliveries of a call, looked at and sent again."""

from __future__ import annotations

from bridge.model.events import CallEnded
from bridge.model.records import Attempt, Delivery, DeliveryStatus, Endpoint
from tests.browser.browser import Browser
from tests.browser.script import started
from tests.browser.scripted_server import ScriptedServer

NOON = 1_790_000_000.0


def delivery(name: str, call_id: str, status: DeliveryStatus, attempts: tuple[Attempt, ...] = ()) -> Delivery:
    return Delivery(
        id=name,
        tenant="default",
        endpoint_id="we_1",
        call_id=call_id,
        type="call.completed",
        payload={},
        status=status,
        created_at=NOON,
        due_at=NOON,
        tries=len(attempts),
        attempts=attempts,
    )


def test_deliveries_are_shown_and_sent_again(server: ScriptedServer, browser: Browser) -> None:
    """Only this call's are listed, with what came of them; one that was given up can be sent again."""
    server.endpoints.append(
        Endpoint(
            id="we_1",
            tenant="default",
            url="https://crm.example.org/hook",
            events=("call.completed",),
            secrets=("s",),
            enabled=True,
            created_at=NOON,
        )
    )
    refused = Attempt(number=1, at=NOON, status=500, error=None, duration_ms=20)
    server.deliveries += [
        delivery("msg_1", "c1", DeliveryStatus.EXHAUSTED, (refused,)),
        delivery("msg_2", "another", DeliveryStatus.DELIVERED),
    ]
    server.begin("c1", started(), ago_s=10)
    browser.open_call(server, "c1")
    assert not browser.texts("#deliveries"), "a call in progress has none"
    server.tell("c1", CallEnded(reason="hangup", duration_ms=1000))
    browser.until(lambda: browser.texts("#deliveries summary"), "the call's end")
    browser.click("#deliveries summary")
    browser.until(lambda: len(browser.texts("#deliveries li")) == 1, "one delivery")
    shown = browser.texts("#deliveries li")[0]
    assert "given up" in shown
    assert "500" in shown
    assert "https://crm.example.org/hook" in shown
    browser.click("#deliveries li button")
    browser.until(lambda: "to be tried" in browser.texts("#deliveries li")[0], "the next try")


def test_no_deliveries_is_said(server: ScriptedServer, browser: Browser) -> None:
    """Without webhooks the list says so, rather than staying empty."""
    server.begin("c1", started(), ago_s=10)
    server.tell("c1", CallEnded(reason="hangup", duration_ms=1000))
    browser.open_call(server, "c1")
    browser.until(lambda: browser.texts("#deliveries summary"), "the call")
    browser.click("#deliveries summary")
    browser.until(lambda: browser.texts("#deliveries-body p") == ["No webhook is set up."], "the sentence")
