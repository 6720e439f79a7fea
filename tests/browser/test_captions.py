"""Captions: who said what, how sure it is, and what else happened on the line."""

from __future__ import annotations

import pytest

from bridge.model.events import (
    Body,
    CallDegraded,
    CallEnded,
    DtmfReceived,
    MediaGap,
    SpeakerUpdated,
    SpeechEnded,
    SpeechStarted,
    TranscriptFinal,
    TranscriptRevised,
)
from tests.browser.browser import Browser
from tests.browser.script import AGENT, CALLER, MIXED, final, partial, segment, spoken_over, started
from tests.browser.scripted_server import ScriptedServer


def test_words_appear_while_they_are_spoken(server: ScriptedServer, browser: Browser) -> None:
    """A partial shows what is settled as firm and the rest as tentative; its final takes its place."""
    server.begin("c1", started())
    browser.open_call(server, "c1")
    server.tell("c1", partial(CALLER, 1, 400, "My name", " is Den"))
    browser.until(lambda: browser.said() == ["My name is Den"], "the partial")
    [line] = browser.lines()
    assert (line["who"], line["firm"], line["loose"], line["state"]) == ("Caller", "My name ", "is Den", "tentative")
    assert browser.style(".loose", "text-decoration-line") == "underline"
    assert browser.style(".loose", "color") != browser.style(".firm", "color")

    server.tell("c1", partial(CALLER, 1, 400, "My name is Daniel", " Car"))
    browser.until(lambda: browser.lines()[0]["loose"] == "Car", "the next partial")
    server.tell("c1", final(CALLER, 1, 400, "My name is Daniel Carter."))
    browser.until(lambda: browser.lines()[0]["state"] == "final", "the final")
    assert browser.said() == ["My name is Daniel Carter."]
    assert browser.lines()[0]["loose"] == ""


def test_each_voice_has_a_name_and_a_colour(server: ScriptedServer, browser: Browser) -> None:
    """Caller and agent differ in colour, and never in colour alone."""
    server.begin("c1", started())
    server.tell("c1", final(AGENT, 1, 0, "Good morning."))
    server.tell("c1", final(CALLER, 1, 2000, "Hello."))
    browser.open_call(server, "c1")
    browser.until(lambda: len(browser.lines()) == 2, "both lines")
    assert [line["who"] for line in browser.lines()] == ["Agent", "Caller"]
    assert browser.style('[data-voice="caller"] .said', "color") != browser.style('[data-voice="agent"] .said', "color")
    assert browser.texts("#legend li") == ["Caller", "Agent"]


def test_crosstalk_stands_in_the_order_it_was_said(server: ScriptedServer, browser: Browser) -> None:
    """A final that comes late goes where its speech began, before what started after it."""
    server.begin("c1", started())
    server.tell("c1", partial(AGENT, 1, 1000, "Your table left on March"))
    server.tell("c1", final(CALLER, 1, 3000, "Sorry to interrupt."))
    server.tell("c1", final(AGENT, 1, 1000, "Your table left on March tenth."))
    server.tell("c1", final(CALLER, 2, 0, "Yes?"))
    browser.open_call(server, "c1")
    browser.until(lambda: len(browser.lines()) == 3, "three lines")
    assert browser.said() == ["Yes?", "Your table left on March tenth.", "Sorry to interrupt."]


def test_settled_text_takes_the_place_of_earlier_finals(server: ScriptedServer, browser: Browser) -> None:
    """A revision replaces the finals it names, also when two become one, and nothing late brings them back."""
    server.begin("c1", started())
    for number, text in enumerate(["It is four for", "seven one nine", "Thank you."], 1):
        server.tell("c1", final(CALLER, number, number * 2000, text))
    browser.open_call(server, "c1")
    browser.until(lambda: len(browser.lines()) == 3, "three lines")
    settled = segment(CALLER, 1, 2000, "It is four four seven, one nine.")
    server.tell("c1", TranscriptRevised(leg=CALLER, replaces=(1, 2), segments=(settled,)))
    server.tell("c1", partial(CALLER, 2, 4000, "seven one"))
    server.tell("c1", final(CALLER, 4, 9000, "Bye."))
    browser.until(lambda: "Bye." in browser.said(), "what was told last")
    assert browser.said() == ["It is four four seven, one nine.", "Thank you.", "Bye."]


def test_a_partial_that_was_nothing_leaves_no_line(server: ScriptedServer, browser: Browser) -> None:
    """Empty finals, and partials that the call's end overtakes, take their line away."""
    server.begin("c1", started())
    browser.open_call(server, "c1")
    server.tell("c1", partial(CALLER, 1, 0, "", "Mm"))
    server.tell("c1", partial(AGENT, 1, 500, "", "Hel"))
    browser.until(lambda: len(browser.lines()) == 2, "both partials")
    server.tell("c1", final(CALLER, 1, 0, " "))
    browser.until(lambda: browser.said() == ["Hel"], "the empty final")
    server.tell("c1", CallEnded(reason="hangup", duration_ms=900))
    browser.until(lambda: browser.lines() == [], "the call's end")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        pytest.param(DtmfReceived(leg=CALLER, digit="4", at_ms=1200), "Caller pressed 4", id="dtmf"),
        pytest.param(MediaGap(leg=AGENT, at_ms=1200, missing_ms=240), "Agent: 240 ms of audio missing", id="gap"),
        pytest.param(
            MediaGap(leg=AGENT, at_ms=1200, missing_ms=2400, reason="undecoded"),
            "Agent: 2.4 s heard but not transcribed",
            id="not-decoded",
        ),
        pytest.param(
            MediaGap(leg=CALLER, at_ms=1200, missing_ms=9000, reason="paused"),
            "Caller: 9.0 s left out (paused)",
            id="left-out-by-the-carrier",
        ),
        pytest.param(
            CallDegraded(reason="load", what="partials"),
            "Busy: words may appear only once they are final",
            id="degraded",
        ),
        pytest.param(
            CallEnded(reason="hangup", duration_ms=65_000),
            "Call ended after 1 minute 5 seconds: hung up",
            id="hung-up",
        ),
        pytest.param(
            CallEnded(reason="error", duration_ms=3000, error="carrier_protocol"),
            "Call ended after 3 seconds: the carrier sent what its protocol forbids",
            id="failed",
        ),
    ],
)
def test_what_is_not_speech_is_said_in_a_sentence(
    server: ScriptedServer, browser: Browser, body: Body, says: str
) -> None:
    """Keys, gaps, shed work and the end of the call stand among the captions."""
    server.begin("c1", started())
    server.tell("c1", final(CALLER, 1, 0, "Hello."))
    browser.open_call(server, "c1")
    server.tell("c1", body)
    browser.until(lambda: browser.texts(".note p") == [says], says)


def test_the_head_follows_the_call(server: ScriptedServer, browser: Browser) -> None:
    """Who is speaking, how long it has been, and how it ended are said above the captions."""
    server.begin("c1", started(), ago_s=75)
    browser.open_call(server, "c1")
    assert browser.text("#call-heading") == "+1 612 555 0142"
    assert browser.text(".badge") == "Live"
    browser.until(lambda: "1:16" in browser.text("#call-facts"), "the clock to run")
    server.tell("c1", SpeechStarted(leg=CALLER, at_ms=100))
    browser.until(lambda: browser.texts("#legend li")[0] == "Caller, speaking", "the caller to speak")
    server.tell("c1", SpeechEnded(leg=CALLER, at_ms=900))
    browser.until(lambda: browser.texts("#legend li")[0] == "Caller", "the caller to stop")
    server.tell("c1", CallEnded(reason="hangup", duration_ms=80_000))
    browser.until(lambda: browser.text(".badge") == "Ended, settling the text", "the end")
    server.settle("c1")
    browser.until(lambda: browser.text(".badge") == "Completed", "the settled text")
    assert browser.ask("document.title") == "+1 612 555 0142 – callbridge"


def test_speakers_of_a_mixed_line_have_names_and_colours(server: ScriptedServer, browser: Browser) -> None:
    """Without two tracks the speaker's name and colour tell voices apart; a changed mind changes both."""
    server.begin("c1", started(legs=(MIXED,)))
    server.tell("c1", final(MIXED, 1, 0, "Good morning.", "S1"))
    server.tell("c1", final(MIXED, 2, 2000, "Hello.", "S2"))
    server.tell("c1", final(MIXED, 3, 4000, "How can I help?"))
    browser.open_call(server, "c1")
    browser.until(lambda: len(browser.lines()) == 3, "three lines")
    assert [line["who"] for line in browser.lines()] == ["S1", "S2", "Mixed line"]
    colours = browser.do("return [...document.querySelectorAll('.said')].map((e) => getComputedStyle(e).color)")
    assert len(set(colours)) == 3
    server.tell("c1", SpeakerUpdated(leg=MIXED, segment=3, speaker="S1"))
    browser.until(lambda: browser.lines()[2]["who"] == "S1", "the speaker's name")
    assert browser.lines()[2]["voice"] == browser.lines()[0]["voice"]


def test_words_that_two_say_at_once_show_who_else_speaks(server: ScriptedServer, browser: Browser) -> None:
    """They stay their speaker's, underlined in the other's colour, with the other's name behind; marks come and go."""
    server.begin("c1", started(legs=(MIXED,)))
    server.tell("c1", final(MIXED, 1, 0, "Good morning.", "S1"))
    server.tell("c1", final(MIXED, 2, 2000, "Hello. Is that you?", "S2"))
    said = segment(MIXED, 3, 4000, "Yes, it is me today.", "S1")
    server.tell("c1", TranscriptFinal.of(spoken_over(said, "S2", 2, 4)))
    browser.open_call(server, "c1")
    browser.until(lambda: browser.texts(".together"), "the mark")
    assert browser.texts(".together") == ["is me"]
    assert browser.said()[2] == "Yes, it is me today."
    shown = "getComputedStyle(document.querySelector('.together')"
    assert browser.ask(f"{shown}, '::after').content").endswith('S2"')
    of_s2 = browser.style(".line:nth-child(2) .said", "color")
    assert browser.ask(f"{shown}, '::after').color") == of_s2
    assert browser.style(".together", "color") == browser.style(".line:nth-child(1) .said", "color") != of_s2
    assert browser.style(".together", "text-decoration-line") == "underline"

    server.tell("c1", TranscriptRevised(leg=MIXED, replaces=(3,), segments=(spoken_over(said, "S2", 0, 1),)))
    browser.until(lambda: browser.texts(".together") == ["Yes,"], "another answer")
    server.tell("c1", TranscriptRevised(leg=MIXED, replaces=(3,), segments=(said,)))
    browser.until(lambda: not browser.texts(".together"), "the mark to go")
    assert browser.said()[2] == "Yes, it is me today."


def test_a_second_voice_on_a_leg_is_named_though_the_colour_is_the_legs(
    server: ScriptedServer, browser: Browser
) -> None:
    """A loudspeaker, a transfer: whoever goes on needs no second name, whoever takes over does."""
    server.begin("c1", started())
    for number, speaker in enumerate(["S1", "S1", "S2"], 1):
        server.tell("c1", final(CALLER, number, number * 2000, f"Line {number}.", speaker))
    browser.open_call(server, "c1")
    browser.until(lambda: len(browser.lines()) == 3, "three lines")
    assert [line["who"] for line in browser.lines()] == ["Caller, S1", "Caller, S1", "Caller, S2"]
    goes_on = browser.do("return [...document.querySelectorAll('.line')].map((e) => e.classList.contains('goes-on'))")
    assert goes_on == [False, True, False]


def test_only_finals_are_spoken_to_a_screen_reader(server: ScriptedServer, browser: Browser) -> None:
    """The live region gets finals as they come: no partials, no revisions, nothing from before."""
    server.begin("c1", started())
    server.tell("c1", final(AGENT, 1, 0, "Good morning."))
    browser.open_call(server, "c1")
    browser.until(lambda: len(browser.lines()) == 1, "the story so far")
    server.tell("c1", partial(CALLER, 1, 2000, "Hel"))
    server.tell("c1", final(CALLER, 1, 2000, "Hello."))
    server.tell("c1", TranscriptRevised(leg=CALLER, replaces=(1,), segments=(segment(CALLER, 1, 2000, "Hello!"),)))
    browser.until(lambda: browser.said() == ["Good morning.", "Hello!"], "the revision")
    spoken = browser.do("return [...document.querySelector('#announcer').children].map((e) => e.textContent)")
    assert spoken == ["Caller: Hello."]
    assert browser.ask("document.querySelector('#announcer').getAttribute('aria-live')") == "polite"
    assert browser.ask("document.querySelector('#captions').closest('[aria-live]')") is None


def test_words_are_text_and_never_markup(server: ScriptedServer, browser: Browser) -> None:
    """What people say, and what carriers name them, cannot become part of the page."""
    evil = "<img src=x onerror=alert(1)> & <script>alert(2)</script>"
    server.begin("c1", started(evil))
    server.tell("c1", final(CALLER, 1, 0, evil))
    browser.open_call(server, "c1")
    browser.until(lambda: browser.said() == [evil], "the words")
    assert browser.text("#call-heading") == evil
    assert browser.ask("document.querySelectorAll('main img, main script').length") == 0


def test_an_address_may_be_older_than_its_call(server: ScriptedServer, browser: Browser) -> None:
    """Somebody who waits at a call's address sees it as soon as it begins."""
    browser.expected_complaints = ["/v1/calls/c1"]
    browser.open_call(server, "c1")
    browser.until(lambda: browser.text("#call-heading") == "No such call" and server.watching == 1, "the wait")
    server.begin("c1", started())
    browser.until(lambda: browser.text("#call-heading") == "+1 612 555 0142", "the call")
    server.tell("c1", final(CALLER, 1, 0, "Hello."))
    browser.until(lambda: browser.said() == ["Hello."], "its first words")
    assert not browser.texts("#call-fault")


def test_a_call_that_is_not_there_is_said_so(server: ScriptedServer, browser: Browser) -> None:
    """A stale address says that the call is gone, and does not keep asking."""
    browser.expected_complaints = ["/v1/calls/gone"]
    browser.open_call(server, "gone")
    assert browser.text("#call-heading") == "No such call"
    assert "may have been deleted" in browser.text("#call-fault")
