"""A headless Chromium that may reach nothing but the server under test, and a way to ask what it saw."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from selenium import webdriver

from tests.browser.browser import PATIENCE_S, Browser
from tests.browser.scripted_server import KEY, ScriptedServer

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--lang=en-US",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs a browser, and says so where there is none."""
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if missing:
                reason = f"no {' and no '.join(missing)} on the path (Debian: apt-get install chromium chromium-driver)"
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
    with ExitStack() as leaving:
        made = webdriver.Chrome(options=options, service=service)
        leaving.callback(made.quit)
        made.set_script_timeout(PATIENCE_S)
        yield made


@pytest.fixture
def browser(driver: webdriver.Chrome, tmp_path: Path) -> Iterator[Browser]:
    """A page of its own. Ask for it after the server: the page is to be gone before its server is."""
    found = Browser(driver)
    found.save_to(tmp_path)
    before = driver.current_window_handle
    driver.switch_to.new_window("tab")
    found.resize(1280, 800)
    found.media(prefers_color_scheme="light", prefers_reduced_motion="reduce")
    found.complaints()
    found.requests()
    yield found
    complaints = [text for text in found.complaints() if not any(part in text for part in found.expected_complaints)]
    strangers = [url for url in found.requests() if urlsplit(url).hostname not in {"127.0.0.1", None}]
    driver.close()
    driver.switch_to.window(before)
    assert complaints == [], "the page complained on the console"
    assert strangers == [], "the page asked something of somebody else"


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A server without authentication."""
    made = ScriptedServer()
    made.start()
    yield made
    made.stop()


@pytest.fixture
def locked_server() -> Iterator[ScriptedServer]:
    """A server that wants `KEY`."""
    made = ScriptedServer(key=KEY)
    made.start()
    yield made
    made.stop()
