"""Recordings sent in over HTTP: words out, as a call; and whatever may go wrong on the way."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge import transcriptions
from bridge.errors import TooManyRequestsError
from bridge.model.stream import Leg
from bridge.ports import Urgency
from bridge.rttm import read_rttm
from bridge.web import uploads
from bridge.web.auth import Scope
from bridge.web.keys import make_key
from tests.clock import LeapingClock
from tests.http_server import until
from tests.real_server import PATIENCE_S, RealServer, hear_tones, real_server
from tests.receiver import SECRET, receiving
from tests.recorded import CODECS, channels, file_of, mulaw_of, said, said_in_turn, words_of
from tests.tones import DURATION_MS, HeldEngine
from tests.voices import ScriptedVoices, voice

STEREO = channels(Leg.CALLER, Leg.AGENT)
WAV = file_of("wav", STEREO)
LOCAL = "127.0.0.0/8"


@pytest.fixture(autouse=True)
def _tones(monkeypatch: pytest.MonkeyPatch) -> None:
    hear_tones(monkeypatch)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RealServer]:
    async with real_server(tmp_path, allow_private_urls=LOCAL, recording_max_mb=2) as running:
        yield running


def form(data: bytes, *, name: str = "monday.wav", **fields: str) -> aiohttp.FormData:
    body = aiohttp.FormData(fields)
    body.add_field("file", io.BytesIO(data), filename=name)
    return body


def kept(server: RealServer) -> list[str]:
    """What is on the shelf."""
    return [path.suffix for path in (server.folder / "spool" / "recordings").iterdir()]


@asynccontextmanager
async def shop(answer: Callable[[], web.Response]) -> AsyncIterator[str]:
    """An address of a customer's."""

    async def serve(_: web.Request) -> web.Response:
        return answer()

    app = web.Application()
    app.router.add_get("/{name}", serve)
    async with TestServer(app, host="127.0.0.1") as running:
        yield str(running.make_url("/monday.wav?signature=secret"))


async def test_a_recording_becomes_a_call(server: RealServer) -> None:
    """Left is the caller, right the agent; the words are there at once when they are waited for, and the call is
    listed, read, searched and deleted as any other."""
    body = form(WAV, metadata=json.dumps({"order": "447"}), keywords="Harbor, Lane")
    done = await server.json("POST", "/v1/transcriptions?wait=20", data=body)
    assert (done["status"], done["progress"], done["duration_ms"]) == ("completed", 1.0, DURATION_MS)
    segments = done["segments"]
    assert words_of(segments, "caller") == said(Leg.CALLER)
    assert words_of(segments, "agent") == said(Leg.AGENT)
    assert words_of(segments) == said_in_turn()
    call = await server.json("GET", f"/v1/calls/{done['call_id']}")
    assert call["carrier"] == "recording"
    assert call["carrier_call_id"] == "monday.wav"
    assert call["metadata"] == {"order": "447"}
    assert (call["codec"], call["sample_rate"], call["reason"], call["settled"]) == ("pcm_s16le", 16000, "closed", True)
    assert [one["call_id"] for one in (await server.json("GET", "/v1/calls?text=tone03"))["calls"]] == [done["call_id"]]
    async with server.session.delete(f"/v1/calls/{done['call_id']}") as gone:
        assert gone.status == 204
    assert (await server.fault("GET", f"/v1/transcriptions/{done['call_id']}", status=404))["code"] == "not_found"
    assert kept(server) == []


async def test_speakers_of_one_channel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only where it is asked for; they come back with the words, and as RTTM."""
    voices = ScriptedVoices(LeapingClock(), answer=lambda _: voice(1))
    monkeypatch.setattr(voices, "close", lambda: None, raising=False)
    monkeypatch.setattr("bridge.app.CampPlusEncoder", lambda *_: voices)
    async with real_server(tmp_path) as server:
        mono = file_of("wav", channels())
        plain = await server.json("POST", "/v1/transcriptions?wait=20", data=form(mono))
        assert (voices.heard, {segment["speaker"] for segment in plain["segments"]}) == (0, {None})
        done = await server.json("POST", "/v1/transcriptions?wait=20", data=form(mono, diarize="true"))
        assert {segment["speaker"] for segment in done["segments"]} == {"S1"}
        async with server.session.get(f"/v1/calls/{done['call_id']}/transcript?format=rttm") as answer:
            turns = read_rttm((await answer.text()).splitlines())
    assert [turn.start_ms for turn in turns] == [segment["start_ms"] for segment in done["segments"]]


@pytest.mark.parametrize("container", CODECS)
async def test_formats(server: RealServer, container: str) -> None:
    """Every container is known by what is in it; one channel is one mixed leg."""
    name = {"name": "no-extension"}
    done = await server.json("POST", "/v1/transcriptions?wait=20", data=form(file_of(container, channels()), **name))
    assert words_of(done["segments"], "mixed") == said_in_turn()


async def test_samples_without_a_header(server: RealServer) -> None:
    """They are read as they are said to be."""
    told = {"encoding": "mulaw", "sample_rate": "16000", "channels": "2"}
    done = await server.json("POST", "/v1/transcriptions?wait=20", data=form(mulaw_of(STEREO), **told))
    assert words_of(done["segments"], "agent") == said(Leg.AGENT)


async def test_without_waiting(tmp_path: Path) -> None:
    """The answer says where to ask; progress grows; `call.completed` is delivered as for any call."""
    engine = HeldEngine()
    async with real_server(tmp_path, engine=engine, allow_private_urls="on") as server:
        hook = await server.json("POST", "/v1/webhooks", status=201, json={"url": "http://127.0.0.1:9/hook"})
        async with server.session.post("/v1/transcriptions", data=form(WAV)) as answer:
            assert answer.status == 202
            where = answer.headers["Location"]
        await until(lambda: bool(engine.jobs))
        job = await server.json("GET", where)
        assert (job["status"], job["duration_ms"], job["text"]) == ("in_progress", DURATION_MS, None)
        assert {job.urgency for job in engine.jobs} == {Urgency.RECORDING}
        engine.open.set()
        await server.context.transcriber.finished("default", job["call_id"])
        assert words_of((await server.json("GET", where))["segments"]) == said_in_turn()
        deliveries = await server.json("GET", f"/v1/webhooks/{hook['id']}/deliveries")
        assert [told["type"] for told in deliveries["deliveries"]] == ["call.completed"]


async def test_a_callback_of_its_own(server: RealServer) -> None:
    """Told of this recording alone, signed with its own secret; callbacks to one host share an endpoint, whose deliveries
    are listed as any other's.
    """
    async with receiving(server.context.clock) as receiver:
        for query, name in (("?job=7", "first"), ("?job=8", "second")):
            told = {"callback_url": f"{receiver.url}{query}", "callback_secret": SECRET, "call_id": name}
            await server.json("POST", "/v1/transcriptions?wait=20", data=form(WAV, **told))
        await server.json("POST", "/v1/transcriptions?wait=20", data=form(WAV))
        again = form(WAV, callback_url=receiver.url, callback_secret=SECRET, call_id="first")
        assert (await server.fault("POST", "/v1/transcriptions", status=409, data=again))["code"] == "conflict"
        await receiver.got(2)
        assert {received.message["data"]["call_id"] for received in receiver.seen} == {"first", "second"}
        assert words_of(receiver.seen[0].message["data"]["transcript"]["segments"]) == said_in_turn()
        [hook] = (await server.json("GET", "/v1/webhooks"))["webhooks"]
        listed = (await server.json("GET", f"/v1/webhooks/{hook['id']}/deliveries"))["deliveries"]
        assert {(one["call_id"], one["url"]) for one in listed} == {
            ("first", f"{receiver.url}?job=7"),
            ("second", f"{receiver.url}?job=8"),
        }


async def test_a_callback_that_may_not_be_called(server: RealServer) -> None:
    """Said at once, and nothing is transcribed."""
    inside = form(WAV, callback_url="http://10.0.0.7/done", call_id="order-447")
    error = await server.fault("POST", "/v1/transcriptions", status=422, data=inside)
    assert list(error["details"]["fields"]) == ["url"]
    await server.fault("GET", "/v1/transcriptions/order-447", status=404)
    assert kept(server) == []


async def test_preferring_to_wait(server: RealServer) -> None:
    """`Prefer: wait=…` is as good as `?wait=…`."""
    wait = {"Prefer": "respond-async, wait=20"}
    done = await server.json("POST", "/v1/transcriptions", data=form(WAV), headers=wait)
    assert done["status"] == "completed"


async def test_by_its_address(server: RealServer) -> None:
    """It is fetched; of its address only the file's name is kept, since the rest may be a credential."""
    async with shop(lambda: web.Response(body=io.BytesIO(WAV), content_type="audio/wav")) as url:
        done = await server.json("POST", "/v1/transcriptions?wait=20", json={"url": url, "call_id": "order-447"})
    assert words_of(done["segments"]) == said_in_turn()
    call = await server.json("GET", "/v1/calls/order-447")
    assert call["carrier_call_id"] == "monday.wav"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        pytest.param(lambda: web.Response(status=302, headers={"Location": "/x"}), "fetch_failed", id="redirect"),
        pytest.param(lambda: web.Response(status=404), "fetch_failed", id="nothing-there"),
        pytest.param(lambda: web.Response(text="<html>", content_type="text/html"), "fetch_failed", id="a-page"),
        pytest.param(lambda: web.Response(body=io.BytesIO(bytes(2_100_000))), "too_large", id="too-large"),
        pytest.param(lambda: web.Response(body=b"RIFF nothing"), "unreadable_recording", id="no-recording"),
    ],
)
async def test_an_address_without_a_recording(
    server: RealServer, answer: Callable[[], web.Response], code: str
) -> None:
    """The call fails by name, which webhooks are told too; nothing stays on the disk."""
    async with shop(answer) as url:
        error = await server.fault(
            "POST",
            "/v1/transcriptions?wait=20",
            status=413 if code == "too_large" else 422,
            json={"url": url, "call_id": "c"},
        )
    assert error["code"] == code
    call = await server.json("GET", "/v1/calls/c")
    assert (call["status"], call["reason"], call["error"]) == ("failed", "error", code)
    assert (await server.json("GET", "/v1/transcriptions/c"))["error"] == code
    assert kept(server) == []


async def test_an_address_inside_the_network(tmp_path: Path) -> None:
    """One that is written out is refused at once; a name that leads there is not connected to."""
    async with real_server(tmp_path) as server:
        error = await server.fault("POST", "/v1/transcriptions", status=422, json={"url": "http://127.0.0.1/a.wav"})
        assert error["details"]["fields"]["url"].endswith("is not a public address")
        named = {"url": "http://localhost:9/a.wav"}
        assert (await server.fault("POST", "/v1/transcriptions?wait=20", status=422, json=named))["code"] == (
            "fetch_failed"
        )


@pytest.mark.parametrize(
    ("data", "fields", "status", "code"),
    [
        pytest.param(b"not audio at all", {}, 422, "unreadable_recording", id="not-audio"),
        pytest.param(b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1/x\n", {}, 422, "unreadable_recording", id="a-playlist"),
        pytest.param(b"ffconcat version 1.0\nfile a.wav\n", {}, 422, "unreadable_recording", id="a-list-of-files"),
        pytest.param(b"", {}, 422, "unreadable_recording", id="empty"),
        pytest.param(bytes(2_100_000), {}, 413, "too_large", id="too-large"),
        pytest.param(WAV, {"language": "tlh"}, 422, "invalid_request", id="a-language-nobody-writes"),
        pytest.param(WAV, {"call_id": "no id"}, 422, "invalid_request", id="a-bad-id"),
        pytest.param(WAV, {"metadata": "{"}, 422, "invalid_request", id="metadata-that-is-no-json"),
        pytest.param(WAV, {"url": "https://example.org/a.wav"}, 422, "invalid_request", id="file-and-address"),
    ],
)
async def test_what_is_refused(server: RealServer, data: bytes, fields: dict[str, str], status: int, code: str) -> None:
    """Nothing is begun, and nothing stays."""
    error = await server.fault("POST", "/v1/transcriptions", status=status, data=form(data, **fields))
    assert error["code"] == code
    assert "/" not in error["message"].replace("and/or", "")
    assert (await server.json("GET", "/v1/calls"))["calls"] == []
    assert kept(server) == []


async def test_a_form_that_is_cut_off(server: RealServer) -> None:
    """A body that is no form is the client's fault."""
    broken = {"Content-Type": "multipart/form-data; boundary=x"}
    error = await server.fault("POST", "/v1/transcriptions", status=422, data=b"--y\r\n", headers=broken)
    assert error["code"] == "invalid_request"


async def test_a_sender_that_stalls(server: RealServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given up, and its place is another's: there are only so many to come in at once."""
    monkeypatch.setattr(transcriptions, "MOST_COMING", 1)
    goes_on = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield WAV[:100_000]
        await goes_on.wait()
        yield WAV[100_000:]

    slow = aiohttp.FormData({"call_id": "slow"})
    slow.add_field("file", slowly(), filename="monday.wav")
    sending = asyncio.create_task(server.json("POST", "/v1/transcriptions?wait=20", data=slow))
    await until(lambda: kept(server) == [".part"])
    assert (await server.fault("POST", "/v1/transcriptions", data=form(WAV), status=503))["code"] == "at_capacity"
    goes_on.set()
    assert (await sending)["status"] == "completed"
    monkeypatch.setattr(uploads, "IDLE_S", 0.05)
    goes_on.clear()
    stalled = aiohttp.FormData({"call_id": "stalled"})
    stalled.add_field("file", slowly(), filename="monday.wav")
    fault = await server.fault("POST", "/v1/transcriptions", data=stalled, status=422)
    assert fault["message"] == "nothing of the body came for 0.05 s"
    assert kept(server) == []


async def test_an_id_that_is_taken(server: RealServer) -> None:
    """One call an id, whether it came by telephone or as a file."""
    await server.json("POST", "/v1/transcriptions?wait=20", data=form(WAV, call_id="mine"))
    assert (await server.fault("POST", "/v1/transcriptions", status=409, data=form(WAV, call_id="mine")))["code"] == (
        "conflict"
    )
    assert kept(server) == []


async def test_an_id_that_another_tenant_has_taken(tmp_path: Path) -> None:
    """It is free: each has a recording of that id, side by side, and cancels its own."""
    engine = HeldEngine()
    async with real_server(tmp_path, engine=engine) as server:
        _, key = await make_key(server.context.store, tenant="other", name="other", now=0.0)
        other = {"Authorization": f"Bearer {key}"}
        await server.json("POST", "/v1/transcriptions", status=202, data=form(WAV, call_id="mine"))
        await server.json("POST", "/v1/transcriptions", status=202, data=form(WAV, call_id="mine"), headers=other)
        await server.json("POST", "/v1/transcriptions/mine/cancel", headers=other)
        engine.open.set()
        await asyncio.wait_for(server.context.transcriber.finished("default", "mine"), PATIENCE_S)
        done = await server.json("GET", "/v1/transcriptions/mine")
        cancelled = await server.json("GET", "/v1/transcriptions/mine", headers=other)
    assert (done["status"], cancelled["status"], cancelled["error"]) == ("completed", "failed", "cancelled")


async def test_too_many_wait(tmp_path: Path) -> None:
    """Those in work and those that wait are bounded; the next is told when to come again, before it sends its file."""
    async with real_server(tmp_path, engine=HeldEngine(), recordings_waiting=1) as server:
        for _ in range(5):
            await server.json("POST", "/v1/transcriptions", status=202, data=form(WAV))
        async with server.session.post("/v1/transcriptions", data=form(WAV)) as refused:
            assert refused.status == 503
            assert refused.headers["Retry-After"] == "30"


async def test_taking_back(tmp_path: Path) -> None:
    """What is in work and what waits end alike: the call fails as `cancelled`, and room is made."""
    async with real_server(tmp_path, engine=HeldEngine()) as server:
        for number in range(5):
            await server.json("POST", "/v1/transcriptions", status=202, data=form(WAV, call_id=f"c{number}"))
        assert (await server.json("GET", "/v1/transcriptions/c4"))["status"] == "queued"
        for call_id in ("c4", "c0"):
            job = await server.json("POST", f"/v1/transcriptions/{call_id}/cancel")
            assert (job["status"], job["error"]) == ("failed", "cancelled")
            assert (await server.json("GET", f"/v1/calls/{call_id}"))["error"] == "cancelled"
        assert len(kept(server)) == 6
        assert (await server.fault("POST", "/v1/transcriptions/c0/cancel", status=409))["code"] == "conflict"
        assert (await server.fault("POST", "/v1/transcriptions/none/cancel", status=404))["code"] == "not_found"


async def test_one_tenant_leaves_places_for_others(tmp_path: Path) -> None:
    """It may have as many waiting as are still free, then it is told to come again; the last place goes to whoever has
    none.
    """
    async with real_server(tmp_path, engine=HeldEngine(), recordings_waiting=4) as server:
        keys = [await make_key(server.context.store, tenant=name, name=name, now=0.0) for name in ("second", "third")]
        first, second, third = {}, *({"Authorization": f"Bearer {key}"} for _, key in keys)

        async def send(own: dict[str, str], status: int) -> str | None:
            async with server.session.post("/v1/transcriptions", data=form(WAV), headers=own) as answer:
                assert answer.status == status
                return answer.headers.get("Retry-After")

        for _ in range(4 + 2):  # in work, and half of those that may wait
            await send(first, 202)
        assert await send(first, 429) == "30"
        await send(second, 202)
        assert await send(second, 429) == "30"
        await send(third, 202)
        assert await send(third, 503) == "30"


async def test_one_tenant_leaves_others_room_to_send(server: RealServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of recordings that come in at once it has half of the places, as long as it is alone."""
    monkeypatch.setattr(transcriptions, "MOST_COMING", 4)
    transcriber = server.context.transcriber
    coming = [transcriber.receive("first") for _ in range(2)]
    with pytest.raises(TooManyRequestsError):
        transcriber.receive("first")
    coming.append(transcriber.receive("second"))
    coming.pop(0).discard()
    coming.append(transcriber.receive("first"))
    for upload in coming:
        upload.discard()


async def test_deleting_what_is_not_done(tmp_path: Path) -> None:
    """What is in work and what waits end alike: work stops, nothing of them is left, and room is made."""
    async with real_server(tmp_path, engine=HeldEngine()) as server:
        for number in range(5):
            await server.json("POST", "/v1/transcriptions", status=202, data=form(WAV, call_id=f"c{number}"))
        await until(lambda: len(_jobs(server)) >= 4)
        for call_id in ("c4", "c0"):
            async with server.session.delete(f"/v1/calls/{call_id}") as gone:
                assert gone.status == 204
            for path in (f"/v1/calls/{call_id}", f"/v1/calls/{call_id}/transcript", f"/v1/transcriptions/{call_id}"):
                assert (await server.fault("GET", path, status=404))["code"] == "not_found"
        assert len(kept(server)) == 6
        at_work = {task.get_name() for task in asyncio.all_tasks()}
        assert {name for name in at_work if name.startswith("recording ")} == {f"recording c{n}" for n in (1, 2, 3)}
        await server.json("POST", "/v1/transcriptions", status=202, data=form(WAV, call_id="c0"))


@pytest.mark.parametrize("at_first", [0, 1, 2], ids=["before-any-word", "one-leg-told", "both-legs-told"])
async def test_a_server_that_dies(tmp_path: Path, at_first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one takes the recording up where it was: no word is missing, none is told twice, the end comes once."""
    monkeypatch.setattr("bridge.recordings.pieces.LONGEST_WINDOW", 3 * 16_000)  # several windows a leg
    async with real_server(tmp_path, engine=HeldEngine(at_first=at_first)) as server:
        await server.json("POST", "/v1/transcriptions", status=202, data=form(WAV, call_id="c", language="en"))
        await until(lambda: len(_jobs(server)) > at_first)
        await _told(server, at_first)
    async with real_server(tmp_path) as server:
        await server.context.transcriber.finished("default", "c")
        done = await server.json("GET", "/v1/transcriptions/c")
        assert words_of(done["segments"]) == said_in_turn()
        assert kept(server) == []
        events = await server.context.store.events("default", "c", after=0, limit=1000)
    types = [event.type for event in events]
    assert types[0] == "call.started"
    assert types[-1] == "call.ended"
    assert types.count("call.ended") == 1
    assert types.count("transcript.final") == len(done["segments"])


def _jobs(server: RealServer) -> list[Any]:
    return server.context.transcriber._means.engine.jobs


async def _told(server: RealServer, finals: int) -> None:
    async with asyncio.timeout(20):
        while len(await server.context.store.segments("default", "c")) < finals:  # noqa: ASYNC110  # nobody is told
            await asyncio.sleep(0.01)


async def test_tenants_apart(server: RealServer) -> None:
    """Another tenant's recording is not there: not its words, nor how far it is, nor to be taken back."""
    await server.json("POST", "/v1/transcriptions?wait=20", data=form(WAV, call_id="mine"))
    stranger = server.context.auth.signer.issue(
        tenant="rival", identity="r", scopes=[Scope.CALLS_READ, Scope.CALLS_WRITE], lifetime_s=60
    )
    rival = {"Authorization": f"Bearer {stranger.token}"}
    for method, path in (("GET", "/v1/transcriptions/mine"), ("POST", "/v1/transcriptions/mine/cancel")):
        assert (await server.fault(method, path, status=404, headers=rival))["code"] == "not_found"


async def test_words_need_a_scope_of_their_own(server: RealServer) -> None:
    """Who may only send recordings cannot read them by waiting."""
    sender = server.context.auth.signer.issue(tenant="default", identity="s", scopes=[Scope.MEDIA], lifetime_s=60)
    own = {"Authorization": f"Bearer {sender.token}"}
    await server.fault("POST", "/v1/transcriptions?wait=1", status=403, data=form(WAV), headers=own)
    await server.json("POST", "/v1/transcriptions", status=202, data=form(WAV), headers=own)
