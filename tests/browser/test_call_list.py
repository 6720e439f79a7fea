"""The list of calls: kept up to date, searched, paged."""

from __future__ import annotations

from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from bridge.model.events import CallEnded
from tests.browser.browser import Browser
from tests.browser.script import AGENT, CALLER, final, partial, started
from tests.browser.scripted_server import ScriptedServer


def finished(server: ScriptedServer, call_id: str, text: str, *, ago_s: float, error: str | None = None) -> None:
    """A call of three seconds, told at once."""
    server.begin(call_id, started(f"+1415555{call_id[-4:]:0>4}"), ago_s=ago_s)
    server.tell(call_id, final(CALLER, 1, 0, text))
    server.tell(call_id, CallEnded(reason="error" if error else "hangup", duration_ms=3000, error=error))
    server.settle(call_id)


def test_an_empty_house_tells_how_to_place_the_first_call(server: ScriptedServer, browser: Browser) -> None:
    """The commands name this very server; they go once there is a call."""
    browser.open(server.url)
    browser.until(lambda: browser.texts("#first-call-heading") == ["Place the first call"], "the guide")
    media = server.url.replace("http", "ws", 1) + "v1/media/twilio"
    assert browser.text("#play-command") == f"callbridge play call.wav --to {media}"
    assert browser.text("#twilio-address") == f"{server.url}v1/twilio/voice"
    server.begin("c1", started())
    browser.until(lambda: browser.texts("main h2") == ["Choose a call"], "the guide to go")


def test_calls_come_speak_and_end_before_the_readers_eyes(server: ScriptedServer, browser: Browser) -> None:
    """A call shows up when it starts, with its running time and newest words, and moves down when it ends."""
    browser.open(server.url)
    browser.until(lambda: browser.text("#connection") == "Connected" and server.watching == 1, "the feed")
    server.begin("c1", started(), ago_s=61)
    server.begin("c2", started(None, carrier="asterisk"))
    browser.until(lambda: len(browser.texts("#live-rows .row")) == 2, "both calls")
    assert browser.texts("#live-rows .row-who") == ["Call c2", "+1 612 555 0142"]
    browser.until(lambda: browser.texts("#live-rows .row-when")[1] == "1:03", "the running time")
    server.tell("c1", partial(AGENT, 1, 0, "How can I", " help"))
    browser.until(lambda: browser.texts(".row-words") == ["How can I help"], "the newest words")
    server.tell("c1", CallEnded(reason="hangup", duration_ms=64_000))
    browser.until(lambda: browser.texts("#finished-rows .row-what") == ["Twilio · Completed · 1:04"], "the end")
    assert browser.texts("#live-rows .row-who") == ["Call c2"]
    assert browser.text("#live-count") == "1"


def test_what_happens_while_the_list_is_read_is_not_lost(server: ScriptedServer, browser: Browser) -> None:
    """A call that begins and one that ends after the server read its list, and before it answered, are right."""
    server.begin("c1", started())
    browser.open(server.url)
    browser.until(lambda: len(browser.texts("#live-rows .row")) == 1 and server.watching == 1, "the list")
    server.hold_lists(True)
    browser.type("#words", " ")
    browser.until(lambda: server.lists_held == 2, "the list to be read again")
    server.begin("c2", started("+14155550002"))
    server.tell("c1", CallEnded(reason="hangup", duration_ms=2000))
    browser.until(lambda: browser.texts("#live-rows .row-who") == ["+1 415 555 0002"], "the news")
    server.hold_lists(False)
    browser.until(lambda: server.lists_held == 0, "the answer")
    browser.until(lambda: browser.texts("#live-rows .row-who") == ["+1 415 555 0002"], "the call that began")
    browser.until(lambda: browser.texts("#finished-rows .row-who") == ["+1 612 555 0142"], "the call that ended")


def test_finished_calls_are_found_by_their_words(server: ScriptedServer, browser: Browser) -> None:
    """Searching narrows both lists while typing; clearing brings everything back."""
    finished(server, "c0001", "My order has not arrived.", ago_s=60)
    finished(server, "c0002", "I would like a refund.", ago_s=30)
    browser.open(server.url)
    browser.until(lambda: len(browser.texts("#finished-rows .row")) == 2, "both calls")
    browser.type("#words", "refund")
    browser.until(lambda: browser.texts("#finished-rows .row-who") == ["+1 415 555 0002"], "the call that fits")
    browser.type("#words", "ed entirely")
    browser.until(lambda: browser.text("#finished-none") == "No finished call fits.", "nothing to fit")
    browser.type("#words", Keys.ESCAPE)
    browser.until(lambda: len(browser.texts("#finished-rows .row")) == 2, "everything again")


def test_calls_are_narrowed_by_status(server: ScriptedServer, browser: Browser) -> None:
    """One choice shows the failed ones alone, and says in words that they failed."""
    finished(server, "c0001", "Fine.", ago_s=60)
    finished(server, "c0002", "Not so fine.", ago_s=30, error="carrier_protocol")
    browser.open(server.url)
    browser.until(lambda: len(browser.texts("#finished-rows .row")) == 2, "both calls")
    Select(browser.driver.find_element("css selector", "#status")).select_by_visible_text("Failed")
    browser.until(lambda: browser.texts("#finished-rows .row-what") == ["Twilio · Failed · 0:03"], "the failed one")
    assert not browser.texts("#live-heading")


def test_earlier_calls_come_page_by_page(server: ScriptedServer, browser: Browser) -> None:
    """Newest first, each call once, and a call that ends meanwhile does not shift the pages."""
    for number in range(60):
        finished(server, f"c{number:04}", "Hello.", ago_s=1000 - number)
    server.begin("late", started("+14155559999"), ago_s=5)
    browser.open(server.url)
    browser.until(lambda: len(browser.texts("#finished-rows .row")) == 24, "the first page, less the call in progress")
    server.tell("late", CallEnded(reason="hangup", duration_ms=5000))
    browser.until(lambda: len(browser.texts("#finished-rows .row")) == 25, "the call that ended")
    browser.click("#more")
    browser.until(lambda: len(browser.texts("#finished-rows .row")) == 50, "the second page")
    assert browser.ask("document.activeElement.closest('li').previousElementSibling !== null")
    browser.click("#more")
    browser.until(lambda: not browser.texts("#more"), "the last page")
    wanted = ["+1 415 555 9999", *(f"+1 415 555 {number:04}" for number in reversed(range(60)))]
    assert browser.texts("#finished-rows .row-who") == wanted
