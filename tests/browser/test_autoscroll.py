"""Following the newest line, and letting go of it."""

from __future__ import annotations

from bridge.model.events import CallEnded
from tests.browser.browser import Browser
from tests.browser.script import AGENT, CALLER, final, started
from tests.browser.scripted_server import ScriptedServer

FROM_END = "Math.round(call.scrollHeight - call.scrollTop - call.clientHeight)"


def long_call(server: ScriptedServer, browser: Browser, lines: int = 30) -> None:
    server.begin("c1", started())
    for number in range(1, lines + 1):
        server.tell("c1", final((CALLER, AGENT)[number % 2], number, number * 2000, f"This is line {number}."))
    browser.open_call(server, "c1")
    browser.until(lambda: len(browser.lines()) == lines, "the story so far")


def test_a_live_call_is_followed(server: ScriptedServer, browser: Browser) -> None:
    """A call in progress opens at its newest line and stays there while lines come, also when the window changes."""
    long_call(server, browser)
    browser.until(lambda: browser.ask(FROM_END) <= 1, "the end to be in view")
    for number in range(31, 36):
        server.tell("c1", final(CALLER, number, number * 2000, "And another one, a little longer than the others."))
    browser.until(lambda: len(browser.lines()) == 35, "more lines")
    browser.until(lambda: browser.ask(FROM_END) <= 1, "the end to be in view")
    browser.resize(500, 600)
    browser.until(lambda: browser.ask(FROM_END) <= 1, "the end to be in view again")
    assert not browser.texts("#jump")


def test_only_the_captions_scroll(server: ScriptedServer, browser: Browser) -> None:
    """There is one place to scroll a call, whatever the window's size."""
    for width, height in [(1280, 800), (360, 640), (320, 256)]:
        browser.resize(width, height)
        if width == 1280:
            long_call(server, browser)
        assert browser.ask("document.documentElement.scrollHeight") == height
        assert browser.ask(
            "document.getElementById('main').scrollHeight <= document.getElementById('main').clientHeight"
        )
        assert browser.ask("call.scrollHeight > call.clientHeight")


def test_a_reader_who_scrolls_up_is_left_in_peace(server: ScriptedServer, browser: Browser) -> None:
    """New lines do not move what is being read; a button says how many there are and leads to them."""
    long_call(server, browser)
    browser.until(lambda: browser.ask(FROM_END) <= 1, "the end to be in view")
    browser.do("call.scrollBy(0, -600)")
    browser.until(lambda: browser.texts("#jump") == ["Jump to live"], "the button")
    before = browser.ask("call.scrollTop")
    for number in (31, 32):
        server.tell("c1", final(CALLER, number, number * 2000, "Said meanwhile."))
    browser.until(lambda: browser.texts("#jump") == ["Jump to live · 2 new"], "the count")
    assert browser.ask("call.scrollTop") == before
    browser.click("#jump")
    browser.until(lambda: browser.ask(FROM_END) <= 1, "the end")
    assert not browser.texts("#jump")
    server.tell("c1", final(CALLER, 33, 70_000, "Followed again."))
    browser.until(lambda: len(browser.lines()) == 33 and browser.ask(FROM_END) <= 1, "the newest line")


def test_scrolling_down_to_the_end_takes_hold_again(server: ScriptedServer, browser: Browser) -> None:
    """No button is needed by somebody who scrolls down themselves; the key l does it, too."""
    long_call(server, browser)
    for back in ("call.scrollTo(0, call.scrollHeight)", None):
        browser.do("call.scrollBy(0, -600)")
        browser.until(lambda: browser.texts("#jump"), "the button")
        if back:
            browser.do(back)
        else:
            browser.press("l")
        browser.until(lambda: not browser.texts("#jump"), "the button to go")
        assert browser.ask(FROM_END) <= 1


def test_a_finished_call_opens_at_its_beginning(server: ScriptedServer, browser: Browser) -> None:
    """Reading starts at the top, and there is nothing to jump to."""
    server.begin("c1", started(), ago_s=100)
    for number in range(1, 31):
        server.tell("c1", final(CALLER, number, number * 2000, f"This is line {number}."))
    server.tell("c1", CallEnded(reason="hangup", duration_ms=62_000))
    server.settle("c1")
    browser.open_call(server, "c1")
    browser.until(lambda: len(browser.lines()) == 30, "all lines")
    assert browser.ask("call.scrollTop") == 0
    assert not browser.texts("#jump")
