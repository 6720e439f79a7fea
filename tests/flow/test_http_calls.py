"""Calls and transcripts over HTTP, from the store that calls are really kept in."""

from __future__ import annotations

import base64

import pytest

from bridge.model.events import rfc3339
from bridge.model.stream import Leg
from bridge.store.payloads import call_fields, transcript_fields
from tests.http_server import HttpServer
from tests.story import ended, final, partial, revised, segment, started


async def a_call(http: HttpServer, call_id: str, *texts: str, tenant: str = "acme", over: bool = True) -> None:
    """A call in which these texts were said, an hour after the one before."""
    await http.clock.advance(3600)
    finals = [final(number, text) for number, text in enumerate(texts, 1)]
    await http.tell(call_id, started(f"CA-{call_id}"), *finals, tenant=tenant, last_seq=0)
    if over:
        await http.tell(call_id, ended(), tenant=tenant)
        await http.settle(call_id, tenant)


async def test_a_call_reads_as_webhooks_tell_it(http: HttpServer) -> None:
    """One call has one description, whichever way it is learned of."""
    await a_call(http, "one", "hello there", "good bye")
    record = await http.store.call("acme", "one")
    assert await http.json("GET", "/v1/calls/one") == call_fields(record)
    said = transcript_fields(await http.store.segments("acme", "one"), settled=True)
    words = {"words": [{"word": "hello", "start_ms": 1000, "end_ms": 1100, "confidence": 0.75}]}
    found = await http.json("GET", "/v1/calls/one/transcript")
    assert found["call_id"] == "one"
    assert found["text"] == said["text"] == "hello there\ngood bye"
    assert found["settled"] is True
    assert found["segments"][0]["words"][:1] == words["words"]
    assert found["segments"][0]["leg"] == "caller"


async def test_a_call_in_progress_is_read_as_far_as_it_goes(http: HttpServer) -> None:
    """What is final so far, without an end; partials are no transcript."""
    await a_call(http, "live", "hello", over=False)
    await http.tell("live", partial(2, "and th"))
    call = await http.json("GET", "/v1/calls/live")
    assert (call["status"], call["ended_at"], call["settled"]) == ("in_progress", None, False)
    assert (await http.json("GET", "/v1/calls/live/transcript"))["text"] == "hello"


async def test_a_revision_is_what_stands(http: HttpServer) -> None:
    """The settled text takes the place of what was said live."""
    await a_call(http, "one", "wreck a nice", "beach", over=False)
    await http.tell("one", revised([1, 2], segment(3, "recognise speech", start_ms=1000)), ended())
    assert (await http.json("GET", "/v1/calls/one/transcript"))["text"] == "recognise speech"


@pytest.mark.parametrize(
    ("form", "media_type", "text"),
    [
        pytest.param("txt", "text/plain", "Caller: hello there\nAgent: yes?\n", id="txt"),
        pytest.param(
            "srt",
            "application/x-subrip",
            "1\n00:00:01,000 --> 00:00:01,200\nCaller: hello there\n\n2\n00:00:02,000 --> 00:00:02,100\nAgent: yes?\n\n",
            id="srt",
        ),
        pytest.param(
            "vtt",
            "text/vtt",
            "WEBVTT\n\n00:00:01.000 --> 00:00:01.200\n<v Caller>hello there\n\n00:00:02.000 --> 00:00:02.100\n<v Agent>yes?\n",
            id="vtt",
        ),
    ],
)
async def test_a_transcript_as_text(http: HttpServer, form: str, media_type: str, text: str) -> None:
    """The forms are exact to the byte, in UTF-8, and kept in no cache."""
    await a_call(http, "one", "hello there", over=False)
    await http.tell("one", final(2, "yes?", leg=Leg.AGENT), ended())
    response = await http.ask("GET", f"/v1/calls/one/transcript?format={form}")
    assert response.status == 200
    assert (response.content_type, response.charset) == (media_type, "utf-8")
    assert response.headers["Cache-Control"] == "no-store"
    assert await response.text() == text


async def test_pages_have_every_call_once_newest_first(http: HttpServer) -> None:
    """The cursor leads through all calls, and new ones do not shift what is read."""
    for number in range(7):
        await a_call(http, f"call-{number}", "hello")
    seen, cursor = [], None
    while True:
        given = {"limit": "3"} | ({"cursor": cursor} if cursor else {})
        page = await http.json("GET", "/v1/calls", params=given)
        seen += [call["call_id"] for call in page["calls"]]
        if (cursor := page["cursor"]) is None:
            break
        await a_call(http, f"late-{len(seen)}", "hello")
    assert seen == [f"call-{number}" for number in reversed(range(7))]


async def test_calls_are_found_by_what_is_asked(http: HttpServer) -> None:
    """Each filter narrows; together they must all hold."""
    await a_call(http, "old", "the invoice is late")
    await a_call(http, "new", "where is my parcel")
    await a_call(http, "third", "an invoice please")
    await a_call(http, "live", "hello", over=False)
    new = await http.json("GET", "/v1/calls/new")

    async def found(**given: str) -> list[str]:
        page = await http.json("GET", "/v1/calls", params=given)
        return [call["call_id"] for call in page["calls"]]

    assert await found() == ["live", "third", "new", "old"]
    assert await found(status="completed") == ["third", "new", "old"]
    assert await found(status="in_progress") == ["live"]
    assert await found(text="invoice") == ["third", "old"]
    assert await found(text="LATE invoice") == ["old"]
    assert await found(text="invoice", started_after=new["started_at"]) == ["third"]
    assert await found(started_before=new["started_at"]) == ["old"]
    assert await found(ended_after=new["started_at"]) == ["third", "new"]
    assert await found(carrier_call_id="CA-old") == ["old"]
    assert await found(text="nobody said this") == []


async def test_a_time_may_be_written_in_any_zone(http: HttpServer) -> None:
    """RFC 3339 offsets count; a plus sign that a URL turned into a space is put back."""
    await a_call(http, "one", "hello")
    call = await http.json("GET", "/v1/calls/one")
    for moment in (call["started_at"].replace("Z", "+00:00"), call["started_at"].replace("Z", " 00:00")):
        page = await http.json("GET", "/v1/calls", params={"started_after": moment})
        assert [found["call_id"] for found in page["calls"]] == ["one"]
    later = rfc3339(http.clock.now() + 3600 + 60).replace("Z", "+01:00")
    page = await http.json("GET", "/v1/calls", params={"started_before": later})
    assert [found["call_id"] for found in page["calls"]] == ["one"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        pytest.param("limit=0", "limit", id="limit-too-small"),
        pytest.param("limit=201", "limit", id="limit-too-large"),
        pytest.param("limit=many", "limit", id="limit-no-number"),
        pytest.param("status=ringing", "status", id="unknown-status"),
        pytest.param("started_after=yesterday", "started_after", id="no-time"),
        pytest.param("started_after=2026-11-21T10:00:00", "started_after", id="no-zone"),
        pytest.param("text=", "text", id="empty-text"),
        pytest.param("stauts=completed", "stauts", id="mistyped-name"),
    ],
)
async def test_a_wrong_parameter_is_named(http: HttpServer, query: str, field: str) -> None:
    """422 with the field's name: a filter that is not understood never means 'all calls'."""
    error = await http.fault("GET", f"/v1/calls?{query}", status=422)
    assert error["code"] == "invalid_request"
    assert list(error["details"]["fields"]) == [field]


@pytest.mark.parametrize("place", ["nonsense", "[18446744073709551616]", "[-1]", "[1.5]", "[true]", "1"])
async def test_a_made_up_cursor_is_refused(http: HttpServer, place: str) -> None:
    """A cursor that is not ours is the client's fault, not the database's."""
    cursor = base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")
    error = await http.fault("GET", f"/v1/calls?cursor={cursor}", status=422)
    assert error["code"] == "invalid_request"


async def test_times_beyond_all_calls(http: HttpServer) -> None:
    """The last and the first moment that can be written are times like any other."""
    await a_call(http, "one", "hello")
    last, first = "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"
    for name, moment, count in (("started_before", last, 1), ("started_after", last, 0), ("ended_after", first, 1)):
        assert len((await http.json("GET", "/v1/calls", params={name: moment}))["calls"]) == count, name


async def test_a_deleted_call_is_gone_everywhere(http: HttpServer) -> None:
    """Its transcript, its events and its place in the list go with it."""
    await a_call(http, "one", "hello")
    assert (await http.ask("DELETE", "/v1/calls/one")).status == 204
    for path in ("/v1/calls/one", "/v1/calls/one/transcript", "/v1/calls/one/events"):
        assert (await http.fault("GET", path, status=404))["code"] == "not_found"
    assert (await http.json("GET", "/v1/calls"))["calls"] == []
    await http.fault("DELETE", "/v1/calls/one", status=404)


async def test_a_call_in_progress_cannot_be_deleted(http: HttpServer) -> None:
    """409: its end must still be told."""
    await a_call(http, "live", "hello", over=False)
    assert (await http.fault("DELETE", "/v1/calls/live", status=409))["code"] == "conflict"
    await http.json("GET", "/v1/calls/live")


async def test_languages_have_names(http: HttpServer) -> None:
    """The default model's 99, by code."""
    found = await http.json("GET", "/v1/languages")
    assert found["model"] == "base"
    assert len(found["languages"]) == 99
    assert {"code": "de", "name": "German"} in found["languages"]
