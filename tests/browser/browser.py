"""A page in a browser, driven and asked by tests."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

from tests.browser.scripted_server import ScriptedServer

NEEDED = ("chromium", "chromedriver")
"""Programs, by the names that Debian gives them."""

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

PATIENCE_S = 20
LINES = """return [...document.querySelectorAll(".line")].map((line) => ({
  time: line.querySelector("time").textContent,
  who: line.querySelector(".who").textContent,
  text: line.querySelector(".said").textContent,
  firm: line.querySelector(".firm").textContent,
  loose: line.querySelector(".loose").textContent,
  state: line.dataset.state,
  voice: line.dataset.voice,
}))"""


@contextmanager
def open_chromium(profile: Path, *more_flags: str) -> Iterator[webdriver.Chrome]:
    """A headless Chromium with an empty profile; it and its driver come from the path, never from the network."""
    chromium, chromedriver = map(shutil.which, NEEDED)
    options = webdriver.ChromeOptions()
    options.binary_location = chromium or ""
    for flag in (*FLAGS, *more_flags, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=chromedriver))
    try:
        driver.set_script_timeout(PATIENCE_S)
        yield driver
    finally:
        driver.quit()


class Browser:
    """What tests do with a page and ask of it; all waiting is for a condition, never for a time."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver
        self.expected_complaints: list[str] = []
        """Parts of console messages that a test brings about itself, such as a refused request."""

    def open(self, url: str) -> None:
        self.driver.get(url)

    def reload(self) -> None:
        self.driver.refresh()

    def save_to(self, folder: Path) -> None:
        """Where downloads go."""
        behaviour = {"behavior": "allow", "downloadPath": str(folder)}
        self.driver.execute_cdp_cmd("Browser.setDownloadBehavior", behaviour)

    def resize(self, width: int, height: int) -> None:
        """The window's inside, in CSS pixels."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def media(self, **features: str) -> None:
        """What the reader prefers, e.g. `prefers_color_scheme="dark"`."""
        wanted = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": wanted})

    def hide(self, hidden: bool) -> None:
        """What the page is told when its tab goes to the background, or comes back."""
        script = """Object.defineProperty(document, "hidden", { configurable: true, get: () => arguments_hidden });
          document.dispatchEvent(new Event("visibilitychange"));"""
        self.do(script.replace("arguments_hidden", "true" if hidden else "false"))

    def do(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def ask(self, expression: str) -> Any:
        return self.do(f"return {expression}")

    def module(self, script: str) -> Any:
        """The value of an async script that may `await import(...)` the page's modules."""
        wrapped = (
            f"const done = arguments[0]; (async () => {{ {script} }})().then(done, (error) => done(`${{error.stack}}`))"
        )
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

    def open_call(self, server: ScriptedServer, call_id: str) -> None:
        """A call's view, with all that was told of it so far."""
        self.open(f"{server.url}#call={call_id}")
        self.until(lambda: self.text("#call-heading"), f"call {call_id} to open")

    def lines(self) -> list[dict[str, Any]]:
        """The captions as they stand: who, text, firm and loose part, state, voice."""
        return list(self.do(LINES))

    def said(self) -> list[str]:
        """The captions' words alone."""
        return [line["text"] for line in self.lines()]

    def style(self, selector: str, name: str) -> str:
        script = "return getComputedStyle(document.querySelector(arguments[0])).getPropertyValue(arguments[1])"
        return str(self.do(script, selector, name))

    def complaints(self) -> list[str]:
        """What the console has shown since the last look; refusals that a test asked for are among them."""
        return [f"{entry['source']}: {entry['message']}" for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Addresses asked for since the last look."""
        told = (json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance"))
        return [found["params"]["request"]["url"] for found in told if found["method"] == "Network.requestWillBeSent"]
