"""The page without a mouse."""

from __future__ import annotations

from functools import partial

from selenium.webdriver.common.keys import Keys

from tests.browser.browser import Browser
from tests.browser.script import CALLER, final, started
from tests.browser.scripted_server import ScriptedServer

FOCUSED = """(() => { const at = document.activeElement;
  return at.getAttribute("aria-label") || at.labels?.[0]?.innerText || at.innerText.split("\\n")[0]; })()"""


def three_calls(server: ScriptedServer, browser: Browser) -> None:
    for number in (1, 2, 3):
        server.begin(f"c{number}", started(f"+1415555000{number}"), ago_s=100 - number)
        server.tell(f"c{number}", final(CALLER, 1, 0, f"I am call {number}."))
    browser.open(server.url)
    browser.until(lambda: len(browser.texts("#live-rows .row")) == 3, "three calls")


def test_tab_goes_through_the_page_as_it_reads(server: ScriptedServer, browser: Browser) -> None:
    """Every control is reached in reading order, and each shows that it has the focus."""
    three_calls(server, browser)
    reached = []
    for _ in range(10):
        browser.press(Keys.TAB)
        reached.append(browser.ask(FOCUSED))
        assert browser.ask("getComputedStyle(document.activeElement).outlineStyle") != "none", reached[-1]
    assert reached == [
        "Skip to the call",
        "callbridge",
        "Search what was said",
        "Which calls",
        "+1 415 555 0003",
        "+1 415 555 0002",
        "+1 415 555 0001",
        "Keyboard",
        "Call from here",
        "API",
    ]


def test_enter_opens_a_call_and_escape_leads_back(server: ScriptedServer, browser: Browser) -> None:
    """The focus goes to the call's heading, and back to the row it came from."""
    three_calls(server, browser)
    browser.do("document.querySelectorAll('.row')[1].focus()")
    browser.press(Keys.ENTER)
    browser.until(lambda: browser.said() == ["I am call 2."], "the call")
    assert browser.ask("document.activeElement.id") == "call-heading"
    browser.press(Keys.ESCAPE)
    browser.until(lambda: browser.texts("#choose-heading"), "the list")
    assert browser.ask("document.activeElement.innerText").startswith("+1 415 555 0002")


def test_skipping_the_list(server: ScriptedServer, browser: Browser) -> None:
    """The first stop of the page leads past the list."""
    three_calls(server, browser)
    browser.press(Keys.TAB, Keys.ENTER)
    assert browser.ask("document.activeElement.id") == "main"


def says(browser: Browser, call: int) -> bool:
    """Whether the page shows this call's words, and nothing else."""
    return browser.said() == [f"I am call {call}."]


def test_single_keys_go_from_call_to_call(server: ScriptedServer, browser: Browser) -> None:
    """j and k walk the list as it stands; / goes to the search, where they are letters again."""
    three_calls(server, browser)
    for key, call in [("j", 3), ("j", 2), ("j", 1), ("j", 1), ("k", 2)]:
        browser.press(key)
        browser.until(partial(says, browser, call), f"call {call}")
    browser.press("/")
    browser.press("j")
    assert browser.ask("document.getElementById('words').value") == "j"
    assert browser.said() == ["I am call 2."]


def test_the_card_of_keys(server: ScriptedServer, browser: Browser) -> None:
    """? shows which keys there are, Escape closes it and nothing else, and they can be turned off for good."""
    three_calls(server, browser)
    browser.press("j")
    browser.until(lambda: browser.said() == ["I am call 3."], "a call")
    browser.press("?")
    browser.until(lambda: browser.texts("#shortcuts-heading"), "the card")
    browser.click("#shortcuts-on")
    browser.press(Keys.ESCAPE)
    browser.until(lambda: not browser.texts("#shortcuts-heading"), "the card to go")
    assert browser.said() == ["I am call 3."]
    browser.press("j")
    browser.reload()
    browser.until(lambda: browser.said() == ["I am call 3."], "the same call, for j does nothing now")
    browser.click("#open-shortcuts")
    assert browser.ask("document.getElementById('shortcuts-on').checked") is False
    browser.click("#shortcuts-on")
    browser.click("#shortcuts button")


def test_back_and_forward(server: ScriptedServer, browser: Browser) -> None:
    """Every call has an address of its own, whatever its id is made of."""
    three_calls(server, browser)
    browser.click(".row")
    browser.until(lambda: browser.said() == ["I am call 3."], "a call")
    assert browser.ask("location.hash") == "#call=c3"
    browser.driver.back()
    browser.until(lambda: browser.texts("#choose-heading"), "the list")
    browser.driver.forward()
    browser.until(lambda: browser.said() == ["I am call 3."], "the call again")
