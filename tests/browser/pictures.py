"""Makes the pictures of the live page in `docs/images`: `python -m tests.browser.pictures`.

The call shown is the demo's, by its exact reference; nobody's words but the project's own are in the pictures.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from bridge.model.events import (
    CallEnded,
    DtmfReceived,
    SpeechStarted,
    TranscriptFinal,
    TranscriptPartial,
)
from bridge.model.stream import Leg
from bridge.model.words import Word
from tests.browser.browser import Browser, open_chromium
from tests.browser.script import AGENT, CALLER, partial, started
from tests.browser.scripted_server import ScriptedServer

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "fixtures" / "audio" / "two-party.json"
IMAGES = ROOT / "docs" / "images"
EARLIER = [
    ("+14155550187", "telnyx", 2_900, 412_000, None),
    ("+13125550119", "twilio", 6_100, 96_000, None),
    ("+12065550164", "vonage", 9_800, 3_600, "carrier_protocol"),
    ("+442079460958", "asterisk", 15_200, 1_260_000, None),
    ("+16465550131", "twilio", 19_400, 233_000, None),
]
"""Who, by which carrier, seconds ago, for how long in ms, and what went wrong."""


def tell_calls(server: ScriptedServer) -> None:
    """A few finished calls, one beside, and the demo's in its middle."""
    for number, (caller, carrier, ago_s, duration_ms, error) in enumerate(EARLIER):
        server.begin(f"earlier-{number}", started(caller, carrier), ago_s=ago_s)
        ended = CallEnded(reason="error" if error else "hangup", duration_ms=duration_ms, error=error)
        server.tell(f"earlier-{number}", ended)
        server.settle(f"earlier-{number}")
    server.begin("beside", started("+19175550176", "telnyx"), ago_s=312)
    utterances = json.loads(REFERENCE.read_text())["utterances"]
    spoken_s = utterances[9]["start_ms"] / 1000 + 3.4
    server.begin("demo", started("+16125550142"), ago_s=spoken_s)
    numbers = {CALLER: 0, AGENT: 0}
    for utterance in utterances[:9]:
        leg = Leg(utterance["leg"])
        numbers[leg] += 1
        server.tell("demo", whole(utterance, leg, numbers[leg]))
    server.tell("demo", DtmfReceived(leg=CALLER, digit="4", at_ms=35_700))


def whole(utterance: dict[str, Any], leg: Leg, number: int) -> TranscriptFinal:
    words = tuple(Word(**word, confidence=sureness(word["word"])) for word in utterance["words"])
    return TranscriptFinal(
        leg=leg,
        segment=number,
        speaker=None,
        start_ms=utterance["start_ms"],
        end_ms=utterance["end_ms"],
        text=utterance["text"],
        language="en",
        confidence=0.93,
        words=words,
    )


def sureness(word: str) -> float:
    """As a recogniser would feel: long words surer than short ones."""
    return min(0.98, 0.42 + 0.09 * len(word.strip(".,?")))


def speak_on(server: ScriptedServer) -> None:
    """What is being said while the picture is taken."""
    beside = "So if I read that back to you, the appointment is on Thursday"
    server.tell("beside", partial(AGENT, 3, 300_000, beside, " at four"))
    server.tell("demo", SpeechStarted(leg=CALLER, at_ms=50_860))
    stable, loose = "It is six one two, five five", " five, zero one"
    words = TranscriptPartial(
        leg=CALLER, segment=5, start_ms=50_860, end_ms=54_100, text=stable + loose, stable_text=stable
    )
    server.tell("demo", words)


def take(browser: Browser, server: ScriptedServer) -> None:
    tell_calls(server)
    browser.resize(1280, 800)
    browser.media(prefers_color_scheme="light", prefers_reduced_motion="reduce")
    browser.open_call(server, "demo")
    browser.until(lambda: len(browser.lines()) == 9 and server.watching == 2, "the story so far")
    speak_on(server)
    browser.until(lambda: len(browser.lines()) == 10 and len(browser.texts(".row-words")) == 2, "what is being said")
    browser.shot(IMAGES / "live.png")
    browser.media(prefers_color_scheme="dark", prefers_reduced_motion="reduce")
    browser.resize(390, 780)
    browser.shot(IMAGES / "live-phone.png")


def main() -> None:
    server = ScriptedServer()
    server.start()
    with tempfile.TemporaryDirectory() as profile, open_chromium(Path(profile)) as driver:
        take(Browser(driver), server)
    server.stop()


if __name__ == "__main__":
    main()
