"""A headless Chromium that may reach nothing but the server under test, and a way to ask what it saw."""

from __future__ import annotations

import shutil
import wave
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from selenium import webdriver

from bridge.carrier.audio import read_call
from bridge.model.stream import Leg
from tests.browser.browser import NEEDED, Browser, open_chromium
from tests.browser.real_server import RECORDING
from tests.browser.scripted_server import KEY, ScriptedServer


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs a browser, and says so where there is none."""
    missing = [name for name in NEEDED if shutil.which(name) is None]
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if missing:
                reason = f"no {' and no '.join(missing)} on the path (Debian: apt-get install chromium chromium-driver)"
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with open_chromium(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(scope="session")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the microphone hears, over and over: some seconds of an agent's greeting."""
    recording = read_call(RECORDING)
    path = tmp_path_factory.mktemp("microphone") / "greeting.wav"
    samples = recording.legs[Leg.AGENT][: 5 * recording.sample_rate]
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, recording.sample_rate, 0, "NONE", ""))
        file.writeframes(np.ascontiguousarray(samples).astype("<i2").tobytes())
    return path


@pytest.fixture(scope="session")
def telephone(tmp_path_factory: pytest.TempPathFactory, spoken: Path) -> Iterator[webdriver.Chrome]:
    """A browser with that microphone, and nobody who has to be asked for it."""
    flags = (
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={spoken}",
    )
    with open_chromium(tmp_path_factory.mktemp("profile"), *flags) as driver:
        yield driver


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
