"""What a screen reader, a poor eye, a small screen or a strong zoom need, measured on the page as it is drawn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.model.events import CallDegraded, CallEnded, DtmfReceived, TranscriptFinal
from tests.browser.browser import Browser
from tests.browser.script import AGENT, CALLER, MIXED, final, partial, segment, spoken_over, started
from tests.browser.scripted_server import KEY, ScriptedServer

MEASURE = (Path(__file__).parent / "measure.js").read_text()


def empty(server: ScriptedServer, browser: Browser) -> None:
    browser.open(server.url)
    browser.until(lambda: browser.texts("#first-call-heading"), "the guide")


def gate(server: ScriptedServer, browser: Browser) -> None:
    browser.expected_complaints = ["401 (Unauthorized)"]
    server.key = KEY
    browser.open(server.url)
    browser.until(lambda: browser.texts("#gate-heading"), "the question for a key")
    browser.type("#key", "wrong\n")
    browser.until(lambda: browser.texts("#gate-fault"), "the refusal")


def calls_listed(server: ScriptedServer, browser: Browser) -> None:
    server.begin("done", started("a-rather-long-sip-address-without-any-gap@trunk-07.carrier.example.org"), ago_s=500)
    server.tell("done", CallEnded(reason="error", duration_ms=1000, error="carrier_protocol"))
    browser.open(server.url)
    browser.until(lambda: browser.texts("#finished-rows .row") and server.watching, "the list")
    server.begin("c1", started())
    server.tell("c1", partial(CALLER, 1, 0, "My name is Daniel Carter and I am", " calling about an order"))
    browser.until(lambda: browser.texts(".row-words"), "live words")


def live_call(server: ScriptedServer, browser: Browser) -> None:
    server.begin("c1", started("a-rather-long-sip-address-without-any-gap@trunk-07.carrier.example.org"))
    server.tell("c1", final(AGENT, 1, 0, "Good morning, thank you for calling Harbor Lane Furniture."))
    server.tell("c1", final(CALLER, 1, 3000, "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichen, bitte."))
    server.tell("c1", DtmfReceived(leg=CALLER, digit="4", at_ms=5000))
    server.tell("c1", CallDegraded(reason="load", what="partials"))
    server.tell("c1", partial(CALLER, 2, 8000, "My name is", " Daniel"))
    server.tell("c1", partial(AGENT, 2, 8000, "I am", " sorry to hear that"))
    browser.open_call(server, "c1")
    browser.until(lambda: len(browser.lines()) == 4, "the captions")


def mixed_call(server: ScriptedServer, browser: Browser) -> None:
    server.begin("c1", started(legs=(MIXED,)))
    for number in range(1, 7):
        server.tell("c1", final(MIXED, number, number * 1000, "One of many.", f"S{number}"))
    over = spoken_over(segment(MIXED, 7, 8000, "Two at once."), "S2", 0, 2)
    server.tell("c1", TranscriptFinal.of(over))
    server.tell("c1", partial(MIXED, 8, 9000, "And", " another"))
    server.tell("c1", CallDegraded(reason="load", what="partials"))
    browser.open_call(server, "c1")
    browser.until(lambda: len(browser.lines()) == 8, "the captions")


def card_of_keys(server: ScriptedServer, browser: Browser) -> None:
    browser.open(server.url)
    browser.until(lambda: browser.texts("#open-shortcuts"), "the list")
    browser.click("#open-shortcuts")


VIEWS = pytest.mark.parametrize("show", [empty, gate, calls_listed, live_call, mixed_call, card_of_keys])
Show = Callable[[ScriptedServer, Browser], None]


@VIEWS
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(server: ScriptedServer, browser: Browser, show: Show, scheme: str) -> None:
    """Every visible text has a contrast of 4.5:1 or more (WCAG 2.2, 1.4.3), in both colour schemes."""
    browser.media(prefers_color_scheme=scheme, prefers_reduced_motion="reduce")
    show(server, browser)
    measured = browser.do(MEASURE + "return contrasts();")
    assert len(measured) > 5
    assert [found for found in measured if found["ratio"] < 4.5] == []


@VIEWS
@pytest.mark.parametrize(
    "size",
    [
        pytest.param((360, 640), id="phone"),
        pytest.param((320, 256), id="zoomed-400-percent"),
        pytest.param((1280, 800), id="desk"),
    ],
)
def test_nothing_sticks_out_sideways(
    server: ScriptedServer, browser: Browser, show: Show, size: tuple[int, int]
) -> None:
    """No view needs sideways scrolling (WCAG 2.2, 1.4.10), whatever long words and names come."""
    browser.resize(*size)
    show(server, browser)
    assert browser.do(MEASURE + "return sticking_out();") == []


@VIEWS
def test_everything_has_a_name_and_a_place(server: ScriptedServer, browser: Browser, show: Show) -> None:
    """Controls have names, ids are unique, headings leave out no level, and all text lies in a landmark."""
    show(server, browser)
    assert browser.do(MEASURE + "return faults();") == []


def test_controls_are_large_enough_for_a_thumb(server: ScriptedServer, browser: Browser) -> None:
    """Every control is at least 24 by 24 px (WCAG 2.2, 2.5.8)."""
    browser.resize(360, 640)
    live_call(server, browser)
    assert browser.do(MEASURE + "return small_targets();") == []


def test_motion_stops_for_who_asks(server: ScriptedServer, browser: Browser) -> None:
    """With reduced motion nothing moves by itself; without, only the mark of a tentative word does."""
    live_call(server, browser)
    moving = "return document.getAnimations().map((found) => found.animationName)"
    assert browser.do(moving) == []
    browser.media(prefers_color_scheme="light", prefers_reduced_motion="no-preference")
    assert set(browser.do(moving)) == {"listen"}
