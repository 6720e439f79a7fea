"""Both pages as the real server serves them: under its own security policy, over its own routes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.settings import Settings
from bridge.store.cipher import Cipher
from bridge.store.sql import open_store
from tests.browser.browser import Browser
from tests.clock import VirtualClock
from tests.http_server import HttpServer
from tests.story import ended, final, started


class RealServer:
    """`HttpServer` in a thread of its own, because a browser's driver blocks."""

    def __init__(self, folder: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.http = self.do(self._start(folder))

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def stop(self) -> None:
        self.do(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _start(self, folder: Path) -> HttpServer:
        clock = VirtualClock()
        store = await open_store(f"sqlite:///{folder}/callbridge.db", Cipher(["test key"]), clock)
        return await HttpServer(store, clock, Settings(auth="off")).__aenter__()

    async def _stop(self) -> None:
        await self.http.__aexit__()
        await self.http.store.close()


@pytest.fixture
def real(tmp_path: Path) -> Iterator[RealServer]:
    server = RealServer(tmp_path)
    yield server
    server.stop()


def test_the_document_is_shown_and_tried(real: RealServer, browser: Browser) -> None:
    """Every operation is listed, and one can be sent from the page; nothing breaks the policy or leaves the machine."""
    browser.open(f"{real.http.url}/docs")
    browser.until(lambda: browser.texts(".opblock-tag"), "the document")
    shown = len(browser.texts(".opblock-summary-path"))
    assert shown == browser.module(
        f"const told = await (await fetch('{real.http.url}/openapi.json')).json();"
        "return Object.values(told.paths).flatMap((path) => Object.keys(path)).length;"
    )
    browser.resize(390, 780)
    assert browser.ask("document.documentElement.scrollWidth") <= 390, "a phone need not scroll sideways"
    browser.resize(1280, 800)
    browser.click("#operations-languages-list_languages .opblock-summary-control")
    browser.until(lambda: browser.texts("#operations-languages-list_languages .try-out__btn"), "the way to try it")
    browser.click("#operations-languages-list_languages .try-out__btn")
    browser.click("#operations-languages-list_languages .execute")
    answers = "#operations-languages-list_languages .live-responses-table"
    browser.until(lambda: "Afrikaans" in browser.text(answers), "the answer")


def test_the_live_page_works_under_the_real_policy(real: RealServer, browser: Browser) -> None:
    """Captions come in from the real routes while the page is open, and the settled call ends."""
    tell = real.http.tell
    real.do(tell("one", started(), final(1, "hello there"), tenant="default", last_seq=0))
    browser.open(f"{real.http.url}/#call=one")
    browser.until(lambda: "hello there" in browser.text("#captions"), "what was said before")
    real.do(tell("one", final(2, "good bye"), tenant="default"))
    browser.until(lambda: "good bye" in browser.text("#captions"), "what is said now")
    real.do(tell("one", ended(), tenant="default"))
    real.do(real.http.settle("one", tenant="default"))
    browser.until(lambda: browser.texts("#deliveries summary"), "the end of the call")
