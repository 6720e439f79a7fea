"""Pulse's half of a session, without a socket: what only time or a parameter brings about."""

from __future__ import annotations

import json

import pytest
from multidict import MultiDict

from bridge.compat.dialogue import Begin, Finish, Say
from bridge.compat.smallest.live import SmallestLive
from bridge.compat.smallest.wording import Wording
from bridge.errors import StoreError

pytestmark = pytest.mark.surface("smallest")


def dialect(**query: str) -> SmallestLive:
    return SmallestLive(MultiDict(query), session_id="s1", model="base")


def test_a_silent_client_is_let_go() -> None:
    """Thirty seconds without audio or a keepalive end the session as if it had been closed."""
    assert dialect().quiet(29.5) == []
    assert [wish.code for wish in dialect().quiet(30.0) if isinstance(wish, Finish)] == [1000]


@pytest.mark.shows("keywords")
@pytest.mark.shows("endpointing")
@pytest.mark.shows("language choice")
def test_what_a_client_chooses_reaches_the_call() -> None:
    """Its language, its words to expect without their weights, its silence and its sensitivity."""
    query = {"language": "hi", "keywords": "Zug:2,Bahn", "endpointing_timeout": "300", "vad_threshold": "0.6"}
    [begin] = dialect(**query).opened()
    assert isinstance(begin, Begin)
    chosen = {"language": "hi", "keywords": "Zug,Bahn", "endpointing_ms": "300", "vad_threshold": "0.6"}
    assert begin.parameters == chosen
    [multi] = dialect(language="multi-eu", endpointing="false", eou_timeout_ms="900").opened()
    assert isinstance(multi, Begin)
    assert multi.parameters == {"keywords": ""}


def test_our_own_faults_are_not_the_client_s() -> None:
    """They are said, and the socket closed with 1011."""
    told, finish = dialect().fault(StoreError("away"))
    assert isinstance(told, Say)
    assert json.loads(told.text)["message"] == "away"
    assert isinstance(finish, Finish)
    assert finish.code == 1011


@pytest.mark.parametrize(
    ("query", "text"),
    [
        pytest.param({}, "Well, Hi!", id="as-it-is"),
        pytest.param({"punctuate": "false"}, "Well Hi", id="no-punctuation"),
        pytest.param({"capitalize": "false"}, "well, hi!", id="no-capitals"),
        pytest.param({"format": "false"}, "well hi", id="neither"),
    ],
)
def test_how_words_are_written(query: dict[str, str], text: str) -> None:
    """As the client wants them."""
    assert Wording.of(MultiDict(query)).text("Well, Hi!") == text
