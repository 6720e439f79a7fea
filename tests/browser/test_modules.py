"""The page's pure parts, each by itself, in the engine that runs them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from selenium import webdriver

from tests.browser.browser import Browser
from tests.browser.scripted_server import ScriptedServer


@pytest.fixture(scope="module")
def page(driver: webdriver.Chrome) -> Iterator[Browser]:
    """One page for all: what is tried here leaves nothing behind."""
    server = ScriptedServer()
    server.start()
    found = Browser(driver)
    found.open(server.url)
    yield found
    found.open("about:blank")
    server.stop()


@pytest.mark.parametrize(
    ("pieces", "events"),
    [
        pytest.param(["id: 1\ndata: a\n\n"], [["1", "a"]], id="whole"),
        pytest.param(["id: 1\nda", "ta: a\n", "\ndata: b\n\n"], [["1", "a"], ["1", "b"]], id="cut-anywhere"),
        pytest.param(["id: 7\r", "\ndata: a\r\n\r", "\n"], [["7", "a"]], id="crlf-cut-between"),
        pytest.param(["data: a\rdata: b\r\r", "x"], [["", "a\nb"]], id="lone-carriage-returns"),
        pytest.param([": still here\n\n", "retry: 2000\n\n"], [], id="comment-and-retry"),
        pytest.param(["data:a\ndata:  b\n\n"], [["", "a\n b"]], id="one-space-is-the-separator"),
        pytest.param(["data\n\n"], [["", ""]], id="field-without-colon"),
        pytest.param(["data: a: b\n\n"], [["", "a: b"]], id="colon-in-the-value"),
        pytest.param(["event: x\nid: 3\n\ndata: a\n\n"], [["3", "a"]], id="no-data-no-event"),
        pytest.param(["data: lost in the cut"], [], id="never-finished"),
    ],
)
def test_event_stream(page: Browser, pieces: list[str], events: list[list[str]]) -> None:
    """Events come out whole, however the network cut them (WHATWG HTML, 9.2.6)."""
    script = """const { EventStreamParser } = await import("/static/sse.js");
      const parser = new EventStreamParser();
      return PIECES.flatMap((piece) => parser.push(piece)).map(({ id, data }) => [id, data]);"""
    assert page.module(script.replace("PIECES", json.dumps(pieces))) == events


@pytest.mark.parametrize(
    ("call", "result"),
    [
        pytest.param("clock(0)", "0:00", id="zero"),
        pytest.param("clock(59999)", "0:59", id="cut-not-rounded"),
        pytest.param("clock(3723000)", "1:02:03", id="hours"),
        pytest.param("clock(-5)", "0:00", id="a-clock-that-is-ahead"),
        pytest.param("spoken(0)", "0 seconds", id="spoken-zero"),
        pytest.param("spoken(3661000)", "1 hour 1 minute 1 second", id="spoken-one-of-each"),
        pytest.param("spoken(119600)", "2 minutes", id="spoken-carries-over"),
        pytest.param("phone('+16125550142')", "+1 612 555 0142", id="nanp"),
        pytest.param("phone('+4930901820')", "+4930901820", id="another-plan"),
        pytest.param("voiceName('agent', null)", "Agent", id="a-leg"),
        pytest.param("voiceName('mixed', 'S2')", "S2", id="a-speaker-of-a-mixed-line"),
        pytest.param("voiceName('agent', 'S2')", "Agent, S2", id="a-second-voice-on-a-leg"),
        pytest.param("carrierName('twilio')", "Twilio", id="carrier"),
        pytest.param("carrierName('acme')", "acme", id="unknown-carrier"),
        pytest.param("carrierName('recording')", "Recording", id="no-carrier"),
        pytest.param("endReason('hangup', null)", "hung up", id="hang-up"),
        pytest.param("endReason('error', 'carrier_silent')", "no audio came", id="a-fault-in-words"),
        pytest.param("endReason('error', 'new_fault')", "error: new_fault", id="unknown-fault"),
        pytest.param("endReason('something-new', null)", "something-new", id="unknown-reason"),
    ],
)
def test_format(page: Browser, call: str, result: str) -> None:
    """Times and names read as people write them."""
    script = f"""const {{ clock, spoken, phone, voiceName, carrierName, endReason }} = await import("/static/format.js");
      return {call};"""
    assert page.module(script) == result


def said(number: int, start_ms: int, text: str, **more: Any) -> dict[str, Any]:
    fields = {"leg": "caller", "segment": number, "start_ms": start_ms, "end_ms": start_ms + 500, "text": text}
    return {"type": "transcript.final", **fields, **more}


def tentative(number: int, start_ms: int, text: str) -> dict[str, Any]:
    return said(number, start_ms, text, type="transcript.partial", stable_text="")


@pytest.mark.parametrize(
    ("events", "lines"),
    [
        pytest.param([tentative(1, 0, "Hel"), said(1, 0, "Hello.")], ["Hello."], id="final-replaces-partial"),
        pytest.param([said(1, 0, "Hello."), tentative(1, 0, "Hel")], ["Hello."], id="late-partial"),
        pytest.param([said(2, 900, "b"), said(1, 0, "a")], ["a", "b"], id="by-start"),
        pytest.param([said(1, 0, "a"), said(1, 0, "b", leg="agent")], ["a", "b"], id="caller-before-agent"),
        pytest.param([said(1, 0, "b", leg="agent"), said(1, 0, "a")], ["a", "b"], id="caller-before-agent-when-late"),
        pytest.param(
            [said(1, 0, "a"), {"type": "transcript.revised", "leg": "caller", "replaces": [1], "segments": []}],
            [],
            id="revised-to-nothing",
        ),
        pytest.param(
            [
                said(1, 0, "a b"),
                {
                    "type": "transcript.revised",
                    "leg": "caller",
                    "replaces": [1],
                    "segments": [said(1, 0, "a"), said(2, 500, "b")],
                },
                said(1, 0, "a b"),
            ],
            ["a", "b"],
            id="revised-into-two",
        ),
        pytest.param([said(1, 0, "a"), {"type": "something.new", "seq": 9}], ["a"], id="a-kind-to-come"),
        pytest.param(
            [tentative(1, 0, "a"), {"type": "call.ended", "seq": 2, "duration_ms": 1, "reason": "hangup"}],
            [None],
            id="end-drops-what-never-became-final",
        ),
    ],
)
def test_transcript(page: Browser, events: list[dict[str, Any]], lines: list[str | None]) -> None:
    """Events of any order make the same reading: by start, each segment once, what is settled last."""
    script = """const { Transcript } = await import("/static/transcript.js");
      const transcript = new Transcript();
      for (const event of EVENTS) transcript.apply(event);
      return transcript.lines.map((line) => line.text ?? null);"""
    assert page.module(script.replace("EVENTS", json.dumps(events))) == lines


@pytest.mark.parametrize(
    ("text", "words", "pieces"),
    [
        pytest.param("a b", [("a", None), ("b", None)], [["a b", None]], id="nobody-else"),
        pytest.param(
            "a b c", [("a", None), ("b", "S2"), ("c", None)], [["a ", None], ["b", "S2"], [" c", None]], id="one"
        ),
        pytest.param(
            "a b c", [("a", "S2"), ("b", "S2"), ("c", "S3")], [["a b", "S2"], [" ", None], ["c", "S3"]], id="two"
        ),
        pytest.param(
            "a b a", [("a", "S2"), ("b", None), ("a", "S2")], [["a", "S2"], [" b ", None], ["a", "S2"]], id="again"
        ),
        pytest.param("a b", [("x", "S2"), ("b", "S2")], [["a ", None], ["b", "S2"]], id="not-in-the-text"),
        pytest.param(
            "你好吗", [("你", "S2"), ("好", "S2"), ("吗", None)], [["你好", "S2"], ["吗", None]], id="no-blanks"
        ),
        pytest.param("a", [], [["a", None]], id="no-words"),
    ],
)
def test_pieces(page: Browser, text: str, words: list[tuple[str, str | None]], pieces: list[list[str | None]]) -> None:
    """A text keeps every letter, cut where somebody else begins or ceases to speak at the same time."""
    told = [{"word": word, **({"overlap": other} if other else {})} for word, other in words]
    script = f"""const {{ piecesOf }} = await import("/static/together.js");
      return piecesOf({json.dumps(text)}, {json.dumps(told)}).map(({{ text, other }}) => [text, other]);"""
    assert page.module(script) == pieces
