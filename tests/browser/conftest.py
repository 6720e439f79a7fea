"""A headless Chromium that may reach nothing but the server under test, and a way to ask what it saw."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

from tests.browser.scripted_server import ScriptedServer

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
PATIENCE_S = 10
KEY = "cbk_a-key-for-tests"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs a browser, and says so where there is none."""
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if missing:
                reason = f"no {' and no '.join(missing)} on the path (Debian: apt-get install chromium chromium-driver)"
                item.add_marker(pytest.mark.skip(reason=reason))


class Browser:
    """What tests do with a page and ask of it; all waiting is for a condition, never for a time."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(self, url: str) -> None:
        self.driver.get(url)

    def resize(self, width: int, height: int) -> None:
        """The window's inside, in CSS pixels."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def media(self, **features: str) -> None:
        """What the reader prefers, e.g. `prefers_color_scheme="dark"`."""
        wanted = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": wanted})

    def do(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def ask(self, expression: str) -> Any:
        return self.do(f"return {expression}")

    def module(self, script: str) -> Any:
        """The value of an async script that may `await import(...)` the page's modules."""
        wrapped = f"const done = arguments[0]; (async () => {{ {script} }})().then(done, (error) => done(`${{error.stack}}`))"
        return self.driver.execute_async_script(wrapped)

    def text(self, selector: str) -> str:
        return str(self.do("return document.querySelector(arguments[0])?.innerText ?? ''", selector))

    def texts(self, selector: str) -> list[str]:
        script = "return [...document.querySelectorAll(arguments[0])].filter((e) => e.checkVisibility()).map((e) => e.innerText)"
        return list(self.do(script, selector))

    def click(self, selector: str) -> None:
        self.driver.find_element("css selector", selector).click()

    def type(self, selector: str, text: str) -> None:
        self.driver.find_element("css selector", selector).send_keys(text)

    def press(self, *keys: str) -> None:
        actions = webdriver.ActionChains(self.driver)
        for key in keys:
            actions.send_keys(key)
        actions.perform()

    def until(self, holds: Callable[[], Any], what: str) -> Any:
        """Wait until something holds; fails with `what` was waited for."""
        return WebDriverWait(self.driver, PATIENCE_S, poll_frequency=0.05).until(lambda _: holds(), message=what)

    def shot(self, path: Path) -> None:
        self.driver.save_screenshot(str(path))

    def complaints(self) -> list[str]:
        """What the console has shown since the last look; refusals that a test asked for are among them."""
        return [f"{entry['source']}: {entry['message']}" for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Addresses asked for since the last look."""
        told = (json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance"))
        return [found["params"]["request"]["url"] for found in told if found["method"] == "Network.requestWillBeSent"]


@pytest.fixture(scope="session")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the browser saves files."""
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory, downloads: Path) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
    with ExitStack() as leaving:
        made = webdriver.Chrome(options=options, service=service)
        leaving.callback(made.quit)
        made.set_script_timeout(PATIENCE_S)
        yield made


@pytest.fixture
def browser(driver: webdriver.Chrome) -> Iterator[Browser]:
    """A page of its own: nothing kept from the test before."""
    found = Browser(driver)
    before = driver.current_window_handle
    driver.switch_to.new_window("tab")
    found.resize(1280, 800)
    found.media(prefers_color_scheme="light", prefers_reduced_motion="reduce")
    found.complaints()
    found.requests()
    yield found
    driver.close()
    driver.switch_to.window(before)


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
