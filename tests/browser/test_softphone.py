"""The softphone in a real browser: a microphone that plays a recording, over WebRTC, into the whole server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.keys import Keys

from tests.browser.browser import Browser
from tests.browser.humming import PITCH, PITCH_HZ, hum
from tests.browser.real_server import RealServer, running_server
from tests.browser.scripted_server import KEY

MEASURE = (Path(__file__).parent / "measure.js").read_text()


@pytest.fixture
def phone(real_server: RealServer, telephone: webdriver.Chrome) -> Iterator[Browser]:
    """A page of its own, gone before its server is."""
    found = Browser(telephone)
    before = telephone.current_window_handle
    telephone.switch_to.new_window("tab")
    found.resize(390, 780)
    found.media(prefers_color_scheme="light", prefers_reduced_motion="reduce")
    found.complaints()
    yield found
    complaints = found.complaints()
    telephone.close()
    telephone.switch_to.window(before)
    assert [text for text in complaints if not any(part in text for part in found.expected_complaints)] == []


@pytest.fixture
def real_server(tmp_path: Path) -> Iterator[RealServer]:
    with running_server(tmp_path, max_calls=1) as server:
        yield server


def enter(browser: Browser, server: RealServer) -> None:
    # Asked for without a key at first; and a call may begin a moment after its offer was answered.
    browser.expected_complaints += ["401 (Unauthorized)", "404 (Not Found)"]
    browser.open(f"{server.url}call?language=en&metadata.desk=7")
    browser.until(lambda: browser.texts("#gate-heading"), "the question for a key")
    browser.type("#key", KEY + Keys.ENTER)
    browser.until(lambda: browser.texts("#dial") == ["Start the call"], "the button")


def only_call(browser: Browser) -> dict[str, Any]:
    """As the server's list has it."""
    (call,) = browser.module(
        "return (await (await fetch('/v1/calls', { headers: { Authorization: `Bearer ${sessionStorage.getItem('callbridge.key')}` } })).json()).calls"
    )
    return dict(call)


def test_from_a_microphone_to_captions(real_server: RealServer, phone: Browser) -> None:
    """One button: words appear while they are spoken, and stay when it is pushed again."""
    enter(phone, real_server)
    phone.click("#dial")
    phone.until(lambda: phone.texts("#dial") == ["Hang up"], "the line")
    phone.until(lambda: any(line["state"] == "tentative" for line in phone.lines()), "words while they are spoken")
    level = "new DOMMatrix(getComputedStyle(document.getElementById('level-bar')).transform).a"
    phone.until(lambda: phone.ask(level) > 0.2, "a level")
    phone.until(lambda: any(line["state"] == "final" for line in phone.lines()), "words that stand")
    phone.click("#dial")
    phone.until(lambda: phone.texts("#dial") == ["Start the call"], "the end")
    phone.until(lambda: "hung up" in phone.text(".note"), "the end in the captions")
    assert phone.text("#state") == "You hung up."
    assert {line["who"] for line in phone.lines()} == {"Caller"}
    call = only_call(phone)
    assert (call["carrier"], call["metadata"], call["reason"]) == ("webrtc", {"desk": "7"}, "hangup")


def test_a_bot_is_heard(real_server: RealServer, phone: Browser) -> None:
    """What a bot says on the call comes out of the page, and nothing does once it has been hung up."""
    enter(phone, real_server)
    phone.click("#dial")
    phone.until(phone.lines, "the call")
    phone.do(PITCH + "globalThis.pitch = pitchOf(document.getElementById('reply').captureStream());")
    assert phone.ask("pitch()") == 0
    bot = asyncio.run_coroutine_threadsafe(hum(real_server.url, only_call(phone)["call_id"]), real_server.loop)
    assert phone.until(lambda: phone.ask("pitch()"), "a sound") == pytest.approx(PITCH_HZ, rel=0.02)
    assert bot.result(30) == "played"
    phone.click("#dial")
    phone.until(lambda: phone.texts("#dial") == ["Start the call"], "the end")
    assert phone.ask("document.getElementById('reply').srcObject") is None


def test_no_line_is_free(real_server: RealServer, phone: Browser) -> None:
    """A busy server is told as such, and when to try again; the button is ready for it."""
    enter(phone, real_server)
    phone.expected_complaints += ["503 (Service Unavailable)"]
    phone.click("#dial")
    phone.until(lambda: phone.texts("#dial") == ["Hang up"], "the line")
    first = phone.driver.current_window_handle
    phone.driver.switch_to.new_window("tab")
    enter(phone, real_server)
    phone.click("#dial")
    phone.until(lambda: "busy" in phone.text("#call-fault"), "the refusal")
    assert phone.text("#call-fault") == "The server is busy: no line is free. Try again in 10 seconds."
    assert phone.texts("#dial") == ["Start the call"]
    phone.driver.close()
    phone.driver.switch_to.window(first)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        pytest.param("NotAllowedError", "was refused", id="refused"),
        pytest.param("NotFoundError", "No microphone was found", id="none"),
        pytest.param("NotReadableError", "in use", id="in-use"),
        pytest.param(None, "https", id="not-over-https"),
    ],
)
def test_no_microphone(real_server: RealServer, phone: Browser, fault: str | None, told: str) -> None:
    """Why there is none is said in words that help, and no call begins."""
    enter(phone, real_server)
    if fault is None:
        phone.do("Object.defineProperty(navigator, 'mediaDevices', { value: undefined })")
    else:
        phone.do(
            "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('no', arguments_name) }".replace(
                "arguments_name", repr(fault)
            )
        )
    phone.click("#dial")
    phone.until(lambda: told in phone.text("#call-fault"), "the reason")
    assert phone.texts("#dial") == ["Start the call"]


@pytest.mark.parametrize(
    ("size", "scheme"),
    [
        pytest.param((360, 640), "light", id="phone"),
        pytest.param((320, 256), "light", id="zoomed-400-percent"),
        pytest.param((1280, 800), "dark", id="desk"),
    ],
)
def test_it_can_be_used_by_everybody(
    real_server: RealServer, phone: Browser, size: tuple[int, int], scheme: str
) -> None:
    """Contrast, names, sizes and no sideways scrolling, before a call and in one; the button is always in view."""
    phone.resize(*size)
    phone.media(prefers_color_scheme=scheme, prefers_reduced_motion="reduce")
    enter(phone, real_server)
    for label in ("Hang up", "Start the call"):
        phone.click("#dial")
        phone.until(lambda label=label: phone.texts("#dial") == [label], label)
        assert [found for found in phone.do(MEASURE + "return contrasts();") if found["ratio"] < 4.5] == []
        assert phone.do(MEASURE + "return sticking_out();") == []
        assert phone.do(MEASURE + "return faults();") == []
        assert phone.do(MEASURE + "return small_targets();") == []
        place = phone.do("return document.getElementById('dial').getBoundingClientRect().toJSON()")
        assert 0 <= place["top"] < place["bottom"] <= size[1]


def test_links_to_ice_servers(real_server: RealServer, phone: Browser) -> None:
    """STUN and TURN servers are read from the server's Link header; other links are none."""
    phone.open(f"{real_server.url}call")
    found = phone.module(
        """const { readLinks } = await import("/sdk/callbridge.js");
        return readLinks('<stun:a>; rel="ice-server", </docs>; rel="help", '
          + '<turn:b?transport=udp>; rel="ice-server"; username="u"; credential="p,;"; credential-type="password"');"""
    )
    assert found == [{"urls": "stun:a"}, {"urls": "turn:b?transport=udp", "username": "u", "credential": "p,;"}]
    phone.expected_complaints = ["401 (Unauthorized)"]
