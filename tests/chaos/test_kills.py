"""The real thing killed at random moments: process, database, disk, recogniser, carrier and receiver are all real.

`make chaos KILLS=50` does it fifty times, to one server after the other over the same files; `SEED` says where each kill
falls.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from itertools import count
from typing import Any, Final

import numpy as np
import pytest
import pytest_asyncio

from bridge.bench.normalise import normalise
from bridge.bench.score import align
from bridge.bench.score import count as errors_in
from bridge.carrier.audio import encode
from bridge.carrier.place import CallReport, place_call
from bridge.carrier.side import Dialled
from bridge.carrier.twilio import TwilioSide
from bridge.clock import SystemClock
from bridge.errors import CallRefusedError
from bridge.model.stream import Leg
from tests.chaos.server import Mortal
from tests.fixture_calls import FixtureCall, fixture_call
from tests.receiver import SECRET, Receiver, receiving

pytestmark = [pytest.mark.model, pytest.mark.asyncio(loop_scope="module")]

KILLS: Final = int(os.environ.get("KILLS", "2"))
SEED: Final = int(os.environ.get("SEED", "4"))
LATEST_S: Final = 6.0 if KILLS < 10 else 30.0
"""A kill falls before this; the call lasts 27.5 s, so late ones hit it at its end and behind."""

UNWRITTEN_MS: Final = 250
"""What may not have reached the disk: the spool's quarter of a second."""
ON_ITS_WAY_MS: Final = 100
"""And what is on its way through a machine that has time for it."""
PATIENCE_S: Final = 60.0
RECOVERED_WITHIN_S: Final = 10.0
"""Where others want no processor."""
MISHEARD: Final = 0.06
"""The share of reference words that the model loses on this call however it is heard."""

CALL: Final = fixture_call("questions")
NUMBERS: Final = count(1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving(SystemClock()) as receiver:
        yield receiver


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def only_server(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> AsyncIterator[Mortal]:
    server = Mortal(
        tmp_path_factory.mktemp("mortal"),
        {
            "CALLBRIDGE_WEBHOOK_URL": receiver.url,
            "CALLBRIDGE_WEBHOOK_SECRET": SECRET,
            "CALLBRIDGE_ALLOW_PRIVATE_URLS": "127.0.0.1",
            "CALLBRIDGE_LANGUAGE": "en",
            "CALLBRIDGE_DRAIN_GRACE_S": "1",
        },
    )
    yield server
    server.signal(signal.SIGKILL)
    await server.gone()


@pytest_asyncio.fixture(loop_scope="module")
async def server(only_server: Mortal) -> Mortal:
    """It lives: the one that the test before has started, or a new one over the same files."""
    if not only_server.lives:
        await only_server.start()
    return only_server


def crowd() -> float:
    """How many want each processor: everything takes so many times as long as it does alone. At least 1."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def unsafe_ms() -> float:
    """The last moment before a kill, which is not promised."""
    return UNWRITTEN_MS + ON_ITS_WAY_MS * crowd()


async def place(server: Mortal, report: CallReport, call_id: str) -> None:
    side = TwilioSide(Dialled(legs=report.audio.legs, parameters={"call_id": call_id}))
    url = f"{server.url.replace('http', 'ws')}/v1/media/twilio"
    with suppress(CallRefusedError, ConnectionError):
        await place_call(url, report.audio, side, clock=SystemClock(), report=report)


def sent_ms(report: CallReport) -> int:
    return int(np.count_nonzero(~np.isnan(report.sent))) * report.audio.frame_ms


async def completed(receiver: Receiver, call_id: str) -> dict[str, Any]:
    """The call's webhook, once it has come."""
    async with asyncio.timeout(PATIENCE_S * crowd()):
        while True:
            for seen in receiver.seen:
                if seen.message["data"]["call_id"] == call_id:
                    data: dict[str, Any] = seen.message["data"]
                    return data
            await asyncio.sleep(0.05)


def check_words(call: FixtureCall, data: dict[str, Any], until_ms: int) -> None:
    """Every reference word up to `until_ms` lies in a segment of its leg; their text is what the model makes of it."""
    segments = data["transcript"]["segments"]
    for leg in (Leg.CALLER, Leg.AGENT):
        mine = [segment for segment in segments if segment["leg"] == leg]
        due = [word for word in call.words(leg) if word.end_ms < until_ms]
        for word in due:
            middle = (word.start_ms + word.end_ms) / 2
            held = any(segment["start_ms"] - 200 <= middle <= segment["end_ms"] + 200 for segment in mine)
            assert held, f"{word.word!r} of the {leg} at {word.start_ms} ms is in no segment"
        said = normalise(" ".join(word.word for word in due))
        heard = normalise(" ".join(segment["text"] for segment in mine))
        lost = errors_in(align(said, heard)).deletions
        assert lost <= 1 + MISHEARD * len(said), f"{lost} words of the {leg} are lost: {said} {heard}"


async def check_call(
    server: Mortal, receiver: Receiver, call_id: str, report: CallReport, reasons: set[str], *, unsafe: float
) -> None:
    heard_ms = sent_ms(report)
    data = await completed(receiver, call_id)
    assert data["reason"] in reasons
    assert heard_ms - unsafe <= data["duration_ms"] <= heard_ms + 100
    check_words(CALL, data, round(heard_ms - unsafe))
    events = await server.events(call_id)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert [event["type"] for event in events].count("call.ended") == 1
    assert not [event for event in events if event["type"] == "media.gap"]
    messages = {seen.id for seen in receiver.seen if seen.message["data"]["call_id"] == call_id}
    assert len(messages) == 1, "tries of one delivery have one id"


@pytest.mark.parametrize("kill", range(KILLS))
async def test_kill_9(server: Mortal, receiver: Receiver, kill: int, record_property: Any) -> None:
    """One terminal record, one signed delivery, and every word up to a quarter of a second before the kill."""
    at_s = random.Random(f"{SEED}/{kill}").uniform(0.3, LATEST_S)  # noqa: S311  # to be drawn again, not guessed
    call_id = f"call-{next(NUMBERS)}"
    report = CallReport(encode(CALL.audio, TwilioSide.media_format, frame_ms=20))
    placing = asyncio.create_task(place(server, report, call_id))
    due = time.monotonic() + at_s
    await asyncio.sleep(at_s)
    unsafe = unsafe_ms() + 1000 * (time.monotonic() - due)  # a machine that held us up has held the server up
    server.signal(signal.SIGKILL)
    await server.gone()
    await asyncio.wait_for(placing, PATIENCE_S)
    await server.start()
    began = time.monotonic()
    ended = {"hangup", "recovered"} if sent_ms(report) >= CALL.reference["duration_ms"] else {"recovered"}
    await check_call(server, receiver, call_id, report, ended, unsafe=unsafe)
    took_s = time.monotonic() - began
    record_property("recovered_s", took_s)
    print(  # noqa: T201
        f"killed at {at_s:.2f} s, {sent_ms(report)} ms sent, webhook {took_s:.2f} s after the start, {crowd():.1f} a processor"
    )
    assert took_s < RECOVERED_WITHIN_S * crowd()
    assert await asyncio.to_thread(spooled, server) == []


@pytest.mark.parametrize("signals", [pytest.param(1, id="grace-ends"), pytest.param(2, id="second-signal")])
async def test_sigterm(server: Mortal, receiver: Receiver, signals: int) -> None:
    """A deploy in mid-call: the call ends as `drained`, by the old process or by the new one, with all it said."""
    call_id = f"call-{next(NUMBERS)}"
    report = CallReport(encode(CALL.audio, TwilioSide.media_format, frame_ms=20))
    placing = asyncio.create_task(place(server, report, call_id))
    await asyncio.sleep(4)
    for _ in range(signals):
        server.signal(signal.SIGTERM)
        await asyncio.sleep(0.1)
    assert await asyncio.wait_for(server.gone(), PATIENCE_S) == 0
    await asyncio.wait_for(placing, PATIENCE_S)
    await server.start()
    await check_call(server, receiver, call_id, report, {"drained"}, unsafe=unsafe_ms())
    assert await asyncio.to_thread(spooled, server) == []


def spooled(server: Mortal) -> list[str]:
    return [path.name for path in server.spool.rglob("*") if path.is_file()]
