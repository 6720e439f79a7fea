"""Connections break: what a person reads stays whole."""

from __future__ import annotations

from bridge.model.events import CallEnded
from tests.browser.browser import Browser
from tests.browser.script import AGENT, CALLER, final, partial, started
from tests.browser.scripted_server import ScriptedServer

CUT = ["ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_CONNECTION"]
"""What the browser's console says of a connection that broke off."""


def test_nothing_is_missing_or_doubled_after_a_cut(server: ScriptedServer, browser: Browser) -> None:
    """A feed cut in mid-call comes back by itself with what was told meanwhile, each line once."""
    browser.expected_complaints = CUT
    server.begin("c1", started())
    expected: list[str] = []
    browser.open_call(server, "c1")
    for number in range(1, 13):
        leg = (CALLER, AGENT)[number % 2]
        server.tell("c1", partial(leg, number, number * 1000, f"This is line {number}"))
        if number % 4 == 0:
            browser.until(lambda: len(browser.lines()) >= number - 1, "what was told before the cut")  # noqa: B023
            server.cut()
        server.tell("c1", final(leg, number, number * 1000, f"This is line {number}."))
        expected.append(f"This is line {number}.")
    browser.until(lambda: browser.said() == expected, "every line, once")
    browser.until(lambda: browser.text("#connection") == "Connected", "the connection")
    spoken = browser.do("return [...document.querySelector('#announcer').children].map((e) => e.textContent)")
    assert [text.split(": ")[1] for text in spoken] == expected


def test_a_lost_connection_is_said_and_mends(server: ScriptedServer, browser: Browser) -> None:
    """While the server is away the page says so and keeps what it has; back again, it goes on."""
    browser.expected_complaints = [*CUT, "503"]
    server.begin("c1", started())
    server.tell("c1", final(CALLER, 1, 0, "Before."))
    browser.open_call(server, "c1")
    browser.until(lambda: browser.said() == ["Before."], "the first line")
    server.away(True)
    server.cut()
    browser.until(lambda: browser.text("#connection") == "Connection lost. Trying again…", "the warning")
    assert browser.said() == ["Before."]
    server.tell("c1", final(CALLER, 2, 2000, "After."))
    server.away(False)
    browser.until(lambda: browser.said() == ["Before.", "After."], "the line told while away")
    browser.until(lambda: browser.text("#connection") == "Connected", "the connection")


def test_an_ended_call_is_read_until_it_is_settled(server: ScriptedServer, browser: Browser) -> None:
    """A feed that ends before the text is settled is taken up again; afterwards it is left alone."""
    server.begin("c1", started())
    server.tell("c1", CallEnded(reason="hangup", duration_ms=1000))
    browser.open_call(server, "c1")
    browser.until(lambda: browser.text(".badge") == "Ended, settling the text", "the end")
    browser.expected_complaints = CUT
    for number, lose in enumerate([server.cut, server.part], 2):
        lose()
        browser.until(lambda: server.connections >= 2 * number, "both feeds to come back")  # noqa: B023
    server.settle("c1")
    browser.until(lambda: browser.text(".badge") == "Completed", "the settled text")
    browser.until(lambda: server.watching == 1, "only the list's feed to stay")


def test_a_hidden_page_lets_go_of_its_connections(server: ScriptedServer, browser: Browser) -> None:
    """A tab in the background holds no connection, and is whole again when it is looked at."""
    server.begin("c1", started())
    browser.open_call(server, "c1")
    browser.until(lambda: server.watching == 2, "both feeds")
    browser.hide(True)
    browser.until(lambda: server.watching == 0, "the feeds to be let go")
    server.tell("c1", final(CALLER, 1, 0, "Said meanwhile."))
    browser.hide(False)
    browser.until(lambda: browser.said() == ["Said meanwhile."], "what was missed")
