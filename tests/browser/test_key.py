"""The key: asked for once, refused in words, forgotten on request."""

from __future__ import annotations

from pathlib import Path

from selenium.webdriver.common.keys import Keys

from bridge.model.events import CallEnded
from tests.browser.browser import Browser
from tests.browser.script import CALLER, final, started
from tests.browser.scripted_server import KEY, ScriptedServer

REFUSED = ["401 (Unauthorized)"]


def enter(browser: Browser, key: str) -> None:
    browser.until(lambda: browser.texts("#gate-heading"), "the question for a key")
    browser.type("#key", key + Keys.ENTER)


def test_the_first_visit_asks_for_a_key(locked_server: ScriptedServer, browser: Browser) -> None:
    """Nothing is shown before; a wrong key is said to be wrong; a right one opens the page that was asked for."""
    browser.expected_complaints = REFUSED
    locked_server.begin("c1", started())
    locked_server.tell("c1", final(CALLER, 1, 0, "Hello."))
    browser.open(f"{locked_server.url}#call=c1")
    browser.until(lambda: browser.ask("document.activeElement.id") == "key", "the field to have the focus")
    assert not browser.texts("#live-rows")
    enter(browser, "cbk_wrong")
    browser.until(lambda: "not known here" in browser.text("#gate-fault"), "the refusal")
    assert browser.ask("document.getElementById('key').getAttribute('aria-invalid')") == "true"
    browser.type("#key", KEY + Keys.ENTER)
    browser.until(lambda: browser.said() == ["Hello."], "the call")


def test_the_key_is_kept_for_the_tab_until_sign_out(locked_server: ScriptedServer, browser: Browser) -> None:
    """Loading again needs no key, signing out forgets it, and no other tab ever had it."""
    browser.expected_complaints = REFUSED
    browser.open(locked_server.url)
    enter(browser, KEY)
    browser.until(lambda: browser.texts("#live-heading"), "the list")
    browser.until(lambda: browser.text("#play-command").endswith("--token YOUR_KEY"), "the guide, without the key")
    browser.reload()
    browser.until(lambda: browser.texts("#live-heading"), "the list without a question")
    assert KEY not in browser.ask("JSON.stringify({ ...localStorage }) + document.cookie + location.href")
    browser.click("#sign-out")
    browser.until(lambda: browser.texts("#gate-heading"), "the question again")
    assert browser.ask("sessionStorage.length") == 0


def test_a_key_revoked_meanwhile_is_asked_for_again(locked_server: ScriptedServer, browser: Browser) -> None:
    """The reader stays where they were and goes on with a new key."""
    browser.expected_complaints = [*REFUSED, "ERR_INCOMPLETE_CHUNKED_ENCODING"]
    locked_server.begin("c1", started())
    locked_server.tell("c1", final(CALLER, 1, 0, "Hello."))
    browser.open(f"{locked_server.url}#call=c1")
    enter(browser, KEY)
    browser.until(lambda: browser.said() == ["Hello."], "the call")
    locked_server.key = "cbk_the-next-one"
    locked_server.cut()
    browser.until(lambda: "no longer accepted" in browser.text("#gate-fault"), "the question for another key")
    browser.type("#key", "cbk_the-next-one" + Keys.ENTER)
    browser.until(lambda: browser.said() == ["Hello."], "the call again")


def test_without_authentication_nobody_is_asked(server: ScriptedServer, browser: Browser) -> None:
    """A server that runs with auth off shows its calls at once, and nothing to sign out of."""
    server.begin("c1", started())
    browser.open(server.url)
    browser.until(lambda: len(browser.texts("#live-rows .row")) == 1, "the call")
    assert not browser.texts("#gate-heading")
    assert not browser.texts("#sign-out")


def test_transcripts_are_saved_with_the_key(locked_server: ScriptedServer, browser: Browser, tmp_path: Path) -> None:
    """Each format arrives as a file named after its call, although a plain link could not carry the key."""
    browser.expected_complaints = REFUSED
    locked_server.begin("c1", started())
    locked_server.tell("c1", final(CALLER, 1, 0, "Hello."))
    locked_server.tell("c1", CallEnded(reason="hangup", duration_ms=1000))
    locked_server.settle("c1")
    browser.open(f"{locked_server.url}#call=c1")
    enter(browser, KEY)
    browser.until(lambda: browser.said() == ["Hello."], "the call")
    for form in ("txt", "srt", "vtt", "json"):
        browser.click(f'[data-format="{form}"]')
        saved = tmp_path / f"c1.{form}"
        browser.until(saved.exists, f"the {form} file")
        assert "Hello." in saved.read_text()
