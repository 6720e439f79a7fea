"""Texts as long as they may be, of nothing but one word: read in the time that their length takes, not its square."""

from __future__ import annotations

import json
import time

import pytest

from bridge.ingest.genesys_signature import INPUT, SIGNATURE, signed_once
from bridge.ingest.plivo import PlivoStream

LONGEST = 256 * 1024
"""Of a message. A second for eight thousand characters would be a quarter of an hour."""


def took_s(began: float) -> float:
    return time.process_time() - began


@pytest.mark.parametrize("word", ["a", "a-", "a "])
def test_a_signature(word: str) -> None:
    """Whoever is not let in may send one, too."""
    headers = dict.fromkeys((INPUT, SIGNATURE), word * (LONGEST // len(word)))
    began = time.process_time()
    assert signed_once("c2VjcmV0", "wss://calls.example.org/v1/media/genesys", headers, now=0.0) is None
    assert took_s(began) < 2


@pytest.mark.parametrize("word", ["a", "<a", "a ", "="])
def test_extra_headers(word: str) -> None:
    """Nothing can be read in them, and the call goes on."""
    start = {
        "callId": "c", "streamId": "s", "tracks": ["inbound"], "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000},
    }  # fmt: skip
    message = json.dumps({"event": "start", "start": start, "extra_headers": word * (LONGEST // len(word))})
    stream = PlivoStream({})
    began = time.process_time()
    [started] = stream.receive(message)
    assert started.parameters == {}  # type: ignore[union-attr]  # StreamStarted
    assert took_s(began) < 2
