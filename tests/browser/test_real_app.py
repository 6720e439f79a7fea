"""The page on the whole server: a call placed through a carrier's socket, seen, kept and read back.

The recogniser counts aloud as long as somebody speaks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from tests.browser.browser import Browser
from tests.browser.real_server import RealServer, running_server
from tests.browser.scripted_server import KEY


@pytest.fixture
def real_server(tmp_path: Path) -> Iterator[RealServer]:
    with running_server(tmp_path) as server:
        yield server


def test_a_call_is_seen_from_its_first_word_to_its_file(
    real_server: RealServer, browser: Browser, tmp_path: Path
) -> None:
    """Captions come while the carrier still sends, and end as the very text that is stored."""
    browser.expected_complaints = ["401 (Unauthorized)"]
    browser.open(real_server.url)
    browser.until(lambda: browser.texts("#gate-heading"), "the question for a key")
    browser.type("#key", KEY + Keys.ENTER)
    browser.until(lambda: browser.texts("#first-call-heading"), "the guide to the first call")

    placed = asyncio.run_coroutine_threadsafe(real_server.call("c1"), real_server.loop)
    browser.until(lambda: browser.texts("#live-rows .row-who") == ["+1 612 555 0142"], "the call in the list")
    browser.click("#live-rows .row")
    browser.until(lambda: any(line["state"] == "tentative" for line in browser.lines()), "words while they are spoken")
    browser.until(lambda: {line["voice"] for line in browser.lines()} == {"agent", "caller"}, "both voices")
    assert placed.result(30).close_code == 1000
    browser.until(lambda: browser.text(".badge") == "Completed", "the settled text")

    shown = browser.said()
    assert len(shown) >= 3
    assert all(line["state"] == "final" for line in browser.lines())
    browser.until(
        lambda: browser.texts("#finished-rows .row-what") == ["Twilio · Completed · 0:16"], "its end in the list"
    )
    browser.click('[data-format="txt"]')
    saved = tmp_path / "c1.txt"
    browser.until(saved.exists, "the file")
    kept = saved.read_text()
    for text in shown:
        assert text in kept
    browser.reload()
    browser.until(lambda: browser.said() == shown, "the same text, read back")
