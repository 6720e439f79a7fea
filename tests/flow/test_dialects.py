"""The matrix: every dialect of the table, on a good line and on bad ones. The same conversation in, the same events out.

Carrier and whole server talk over real sockets, events are read over HTTP; only the recogniser is a script. A new row
in the table joins by itself.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp.test_utils import TestServer

from bridge import call
from bridge.app import build
from bridge.carrier.audio import EncodedAudio, encode
from bridge.carrier.faults import NO_FAULTS, Faults
from bridge.carrier.place import CallReport, Manner, place_call
from bridge.carrier.side import CarrierSide, Dialled, Message
from bridge.carrier.tcp import HUNG_UP
from bridge.clock import SystemClock
from bridge.dialects import DIALECTS, Dialect, Frames, Proof
from bridge.errors import CarrierError
from bridge.ingest.conversation import Handshake
from bridge.model.stream import Leg, MediaChunk, MediaFormat
from bridge.settings import Settings
from bridge.web import audiosocket
from tests.calling import announce, carrier_address
from tests.tones import DURATION_MS, ToneEngine, heard_on, recording, tone_segmenter
from tests.wire import read, recordings

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY = "a key for the first start"
PATIENCE_S = 20
"""Real seconds; a call takes a fraction of one."""

WINDOW_MS = 32
"""Speech begins and ends on the edge of a window."""

EXACT_MS = 40
"""Words are where they were said, whatever the line."""

CUT_MS = 8_010
"""Between two utterances."""

LINES: Mapping[str, Faults] = {
    "good": NO_FAULTS,
    "1-percent-lost": Faults(loss=0.01, seed=5),
    "5-percent-lost": Faults(loss=0.05, seed=5),
    "20-percent-lost": Faults(loss=0.2, seed=5),
    "duplicated": Faults(duplication=0.2, seed=5),
    "reordered": Faults(reorder_ms=400, seed=5),
    "stalled": Faults(stall_at_ms=6_000, stall_ms=5_000),
}


@dataclass
class Bridge:
    """The running server."""

    url: str

    async def events(self, call_id: str) -> list[dict[str, Any]]:
        """All of a call's events, once it is settled."""
        headers = {"Authorization": f"Bearer {KEY}"}
        timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
        address = f"{self.url}/v1/calls/{call_id}/events"
        async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session, asyncio.timeout(PATIENCE_S):
            while True:
                async with session.get(address) as answer:
                    lines = (await answer.text()).splitlines()
                if answer.status != HTTPStatus.NOT_FOUND:
                    break
                await asyncio.sleep(0.01)  # its carrier has hung up before it was read
        return [json.loads(line[5:]) for line in lines if line.startswith("data:")]


@dataclass
class DialectBridge(Bridge):
    """With the address of each dialect."""

    asterisk: asyncio.Server

    def address(self, dialect: Dialect) -> str:
        return carrier_address(dialect, self.url.replace("http", "ws"), self.asterisk)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bridge(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DialectBridge]:
    """One whole server for the matrix, with a database of its own."""
    folder = tmp_path_factory.mktemp("bridge")
    settings = Settings(
        bootstrap_key=KEY,
        database_url=f"sqlite:///{folder}/callbridge.db",
        spool_dir=folder,
        max_calls=50,
        resume_grace_s=0.1,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(call, "Segmenter", tone_segmenter)
        app = build(settings, SystemClock(), ToneEngine())
        server = TestServer(app, host="127.0.0.1")
        await server.start_server()
        asterisk = await audiosocket.listen(app, "127.0.0.1", 0)
        yield DialectBridge(str(server.make_url("")).rstrip("/"), asterisk)
        asterisk.close()
        await server.close()


# -- a call ---------------------------------------------------------------------------------------------------------


@dataclass
class Placed:
    """A call that was placed, and what came out of it."""

    side: CarrierSide
    report: CallReport
    events: list[dict[str, Any]]

    def of(self, kind: str, leg: Leg | None = None) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind and leg in {None, event.get("leg")}]

    @property
    def frame_ms(self) -> int:
        return self.side.frame_ms


async def placed(bridge: DialectBridge, dialect: Dialect, line: Faults, side: CarrierSide, name: str) -> Placed:
    """The conversation over this line, as fast as the other side takes it."""
    if Proof.ANNOUNCED in dialect.proofs:
        await announce(bridge.url, side, parameters(name), key=KEY)
    report = await place_call(
        bridge.address(dialect),
        encoded(side.media_format, side.legs, side.frame_ms),
        side,
        clock=SystemClock(),
        manner=Manner(speed=math.inf, faults=line),
        subprotocols=dialect.subprotocols,
    )
    return Placed(side, report, await bridge.events(name))


@cache
def encoded(media_format: MediaFormat, legs: tuple[Leg, ...], frame_ms: int) -> EncodedAudio:
    return encode(recording().on_line(legs), media_format, frame_ms=frame_ms)


def a_side(dialect: Dialect, name: str, media_format: MediaFormat | None = None) -> CarrierSide:
    call = Dialled(legs=(Leg.CALLER, Leg.AGENT), token=KEY, parameters=parameters(name), media_format=media_format)
    return dialect.speak(call)


def parameters(name: str) -> dict[str, str]:
    """What the customer adds, whose call id is `name`."""
    return {"call_id": name, "metadata.queue": "sales"}


def is_numbered(dialect: Dialect) -> bool:
    """Whether its messages say by number or time where they belong; else TCP alone keeps them in order."""
    side = a_side(dialect, "probe")
    audio = encoded(side.media_format, side.legs, side.frame_ms)
    hearing = dialect.hear(Handshake(url="wss://calls.example.org/", headers={}, query={}))
    spoken = [*side.opening(), *side.media(0, audio.frames[0])]
    chunks = [item for said in spoken for item in hearing.receive(said) if isinstance(item, MediaChunk)]
    return all(chunk.sequence is not None or chunk.timestamp_ms is not None for chunk in chunks)


class Breaking:
    """A side whose last words are a fault."""

    def __init__(self, side: CarrierSide, fault: Message) -> None:
        self._side = side
        self._fault = fault

    def __getattr__(self, name: str) -> Any:
        return getattr(self._side, name)

    def closing(self) -> Sequence[Message]:
        return [self._fault]


def what_breaks_it(dialect: Dialect) -> tuple[str, Message]:
    """A message with which a recording breaks its own conversation, and that breaks a running call as well."""
    for file in recordings(broken=True, dialect=dialect.name):
        heading, messages = read(file)
        hearing = dialect.hear(Handshake(url="wss://calls.example.org/", headers={}, query={}))
        for message in a_side(dialect, "probe").opening():
            hearing.receive(message)
        try:
            hearing.receive(messages[-1])
        except CarrierError as error:
            if error.code == heading["fault"]:
                return error.code, messages[-1]
    raise AssertionError(f"no recording of {dialect.name} breaks a running call")


def close_code(call: Placed, dialect: Dialect, fault: str) -> int:
    """What the carrier is told of its fault: over TCP no more than that the call is over.

    One that says the last word itself was told in words, and closes in good order.
    """
    if dialect.frames is Frames.TCP:
        return HUNG_UP
    if call.side.parted is not None:
        return 1000
    return 1003 if fault == "unsupported_media" else 1002


EVERY_DIALECT = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
EVERY_LINE = pytest.mark.parametrize("line", LINES)


@EVERY_LINE
@EVERY_DIALECT
async def test_the_same_events(bridge: DialectBridge, dialect: Dialect, line: str) -> None:
    """Who, which words, when: the same in every dialect, to a frame; with frames lost, to 40 ms."""
    faults, name = LINES[line], f"{dialect.name}-{line}"
    call = await placed(bridge, dialect, faults, a_side(dialect, name), name)
    assert call.report.close_code == 1000
    disturbed = faults.loss or faults.duplication or faults.reorder_ms
    if disturbed and not is_numbered(dialect):
        check_all_that_came_is_heard(call, dialect)
    else:
        check_conversation(call, dialect, lost=faults.loss > 0, begun_by_ms=faults.reorder_ms)


@pytest.mark.parametrize(
    ("dialect", "media_format"),
    [
        pytest.param(dialect, each, id=f"{dialect.name}-{each.encoding}-{each.sample_rate}")
        for dialect in DIALECTS.values()
        for each in a_side(dialect, "probe").offered[1:]
    ],
)
async def test_the_same_events_in_every_codec(
    bridge: DialectBridge, dialect: Dialect, media_format: MediaFormat
) -> None:
    """However the audio travels, the same is heard; L16 too, where nobody says which byte comes first."""
    name = f"{dialect.name}-{media_format.encoding}-{media_format.sample_rate}"
    call = await placed(bridge, dialect, NO_FAULTS, a_side(dialect, name, media_format), name)
    assert call.report.close_code == 1000
    check_conversation(call, dialect, lost=False)


@EVERY_DIALECT
async def test_a_hang_up_without_a_word(bridge: DialectBridge, dialect: Dialect) -> None:
    """The network fails between two utterances: what was said before is told as if nothing had happened."""
    name = f"{dialect.name}-cut"
    call = await placed(bridge, dialect, Faults(hang_up_at_ms=CUT_MS), a_side(dialect, name), name)
    check_frame_of(call, dialect)
    assert call.report.close_code is None
    assert texts(call) == {leg: before(CUT_MS, words) for leg, words in heard_on(call.side.legs).items()}
    assert call.events[-1]["reason"] == "closed"
    assert call.events[-1]["duration_ms"] == pytest.approx(CUT_MS, abs=2 * call.frame_ms)


@EVERY_DIALECT
async def test_a_message_that_breaks_the_call(bridge: DialectBridge, dialect: Dialect) -> None:
    """What a carrier must not send, sent at the end of a call: it fails by name, and is heard to the end all the same."""
    code, message = what_breaks_it(dialect)
    name = f"{dialect.name}-broken"
    call = await placed(bridge, dialect, NO_FAULTS, Breaking(a_side(dialect, name), message), name)
    assert call.report.close_code == close_code(call, dialect, code)
    check_frame_of(call, dialect)
    assert texts(call) == {leg: before(DURATION_MS, words) for leg, words in heard_on(call.side.legs).items()}
    assert (call.events[-1]["reason"], call.events[-1]["error"]) == ("error", code)


# -- what holds -----------------------------------------------------------------------------------------------------


def check_frame_of(call: Placed, dialect: Dialect) -> None:
    """One start, one end, numbered without gaps; the start says whose call it is and how it is coded."""
    assert [event["seq"] for event in call.events] == list(range(1, len(call.events) + 1))
    started, ended = call.events[0], call.events[-1]
    assert (started["type"], ended["type"]) == ("call.started", "call.ended")
    assert len(call.of("call.started")) == len(call.of("call.ended")) == 1
    assert started["carrier"] == dialect.name
    assert started["metadata"] == {"queue": "sales"}
    assert started["legs"] == list(call.side.legs)
    sent = call.side.media_format
    assert started["codec"] in ({sent.encoding, "L16"} if sent.encoding.startswith("L16") else {sent.encoding})
    assert started["sample_rate"] == sent.sample_rate


def check_speech(call: Placed, leg: Leg, stretches: Iterable[tuple[int, int]]) -> None:
    """Speech is told where it is, to the window."""
    told = zip(call.of("speech.started", leg), call.of("speech.ended", leg), strict=True)
    for (began, over), (start_ms, end_ms) in zip(told, stretches, strict=True):
        assert began["at_ms"] == pytest.approx(start_ms, abs=WINDOW_MS)
        assert over["at_ms"] == pytest.approx(end_ms, abs=WINDOW_MS)


def check_conversation(call: Placed, dialect: Dialect, *, lost: bool, begun_by_ms: int = 0) -> None:
    """Before `begun_by_ms`, chunks that belong before a leg's first one to come may be named as gaps. Of a word whose
    first or last frame was lost, nobody knows more than to a frame where it is.
    """
    check_frame_of(call, dialect)
    for leg, utterances in heard_on(call.side.legs).items():
        finals = call.of("transcript.final", leg)
        assert [final["text"].split() for final in finals] == [[said.word for said in words] for words in utterances]
        heard = [word for final in finals for word in final["words"]]
        for word, said in zip(heard, [said for words in utterances for said in words], strict=True):
            middle = (word["start_ms"] + word["end_ms"] - said.start_ms - said.end_ms) / 2
            assert abs(middle) <= (max(EXACT_MS, call.frame_ms) if lost else EXACT_MS)
            if not lost:
                assert word["start_ms"] == pytest.approx(said.start_ms, abs=min(EXACT_MS, call.frame_ms))
                assert word["end_ms"] == pytest.approx(said.end_ms, abs=min(EXACT_MS, call.frame_ms))
        if not lost:
            check_speech(call, leg, [(words[0].start_ms, words[-1].end_ms) for words in utterances])
    assert any(gap["at_ms"] >= begun_by_ms for gap in call.of("media.gap")) == lost, call.of("media.gap")
    assert not call.of("transcript.revised")
    ended = call.events[-1]
    assert ended["reason"] == ("hangup" if call.side.closing() else "closed")
    assert ended["duration_ms"] == pytest.approx(DURATION_MS, abs=10 * call.frame_ms if lost else call.frame_ms)


def check_all_that_came_is_heard(call: Placed, dialect: Dialect) -> None:
    """A dialect without numbers cannot know of a disturbed line (TCP has none): its call is as long as what came."""
    check_frame_of(call, dialect)
    quiet = len(call.side.opening()) + len(call.side.closing())
    a_frame = len(call.side.media(0, call.report.audio.frames[0]))
    came = (call.report.messages_sent - quiet) / a_frame * call.frame_ms
    assert call.events[-1]["duration_ms"] == pytest.approx(came, abs=0.02 * came)
    assert call.of("transcript.final")


def texts(call: Placed) -> dict[Leg, list[str]]:
    return {leg: [final["text"] for final in call.of("transcript.final", leg)] for leg in call.side.legs}


def before(cut_ms: int, utterances: Sequence[Any]) -> list[str]:
    return [" ".join(said.word for said in words) for words in utterances if words[-1].end_ms < cut_ms]
