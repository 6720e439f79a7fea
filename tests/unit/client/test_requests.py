"""Our SDK's requests, without a network: what is repeated, what is raised, how lists behave."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from bridge import client as sdk
from bridge.client.policy import Retries, base_of


class Server:
    """Answers requests one after the other, and remembers them."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.seen: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long it waited, in which no time passed."""
    taken: list[float] = []
    monkeypatch.setattr("time.sleep", taken.append)
    return taken


def opened(*answers: httpx.Response | Exception, **given: Any) -> tuple[sdk.Client, Server]:
    server = Server(*answers)
    return sdk.Client(
        "key_1", "cbk_secret", "https://calls.example.org/v1", http=httpx.MockTransport(server), **given
    ), server


def fault(status: int, code: str, **headers: str) -> httpx.Response:
    body = {"error": {"code": code, "message": "why", "details": {"field": "status"}}}
    return httpx.Response(status, json=body, headers={name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (fault(400, "INVALID_FIELD_VALUE"), sdk.ValidationError),
        (fault(422, "invalid_request"), sdk.ValidationError),
        (fault(413, "FILE_TOO_LARGE"), sdk.ValidationError),
        (fault(401, "INVALID_TOKEN"), sdk.AuthenticationError),
        (fault(403, "forbidden"), sdk.AuthorizationError),
        (fault(404, "not_found"), sdk.NotFoundError),
        (fault(404, "RECORDING_NOT_FOUND"), sdk.RecordingNotFoundError),
        (fault(404, "TRANSCRIPTION_NOT_READY"), sdk.TranscriptionNotFoundError),
        (fault(404, "WEBHOOK_NOT_FOUND"), sdk.WebhookNotFoundError),
        (fault(409, "conflict"), sdk.ConflictError),
        (fault(501, "internal"), sdk.ServerError),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_each_fault_has_its_exception(answer: httpx.Response, kind: type[sdk.CallbridgeError]) -> None:
    """At once, with all that was said; every one is a CallbridgeError."""
    client, server = opened(answer)
    with pytest.raises(sdk.CallbridgeError) as raised:
        client.recordings("rec_1").get()
    assert type(raised.value) is kind
    assert (raised.value.status_code, raised.value.details, raised.value.message) == (
        answer.status_code,
        {"field": "status"},
        "why",
    )
    assert len(server.seen) == 1


def test_a_proxys_page_is_a_fault_too(naps: list[float]) -> None:
    """An answer that is no JSON has no code, and is raised all the same."""
    client, _ = opened(*(httpx.Response(502, text="<html>") for _ in range(4)))
    with pytest.raises(sdk.ServerError, match="502"):
        client.calls.list()


def test_it_is_tried_again_after_longer_and_longer(naps: list[float]) -> None:
    """Twice as long each time; then the answer counts."""
    client, server = opened(
        httpx.ReadTimeout("late"), fault(503, "at_capacity"), httpx.Response(200, json={"calls": []}), retry_delay=0.5
    )
    assert list(client.calls.list()) == []
    assert (naps, len(server.seen)) == ([0.5, 1.0], 3)


def test_a_rate_limit_is_waited_for(naps: list[float]) -> None:
    """As long as the server asks for; when tries run out the exception has it."""
    client, _ = opened(*(fault(429, "RATE_LIMIT_EXCEEDED", retry_after="7") for _ in range(3)), max_retries=2)
    with pytest.raises(sdk.RateLimitError) as raised:
        client.recordings.list()
    assert (naps, raised.value.retry_after) == ([7.0, 7.0], 7.0)


@pytest.mark.parametrize(
    ("answer", "tries"),
    [
        pytest.param(httpx.ReadTimeout("late"), 1, id="perhaps-done"),
        pytest.param(fault(500, "internal"), 1, id="perhaps-half-done"),
        pytest.param(httpx.ConnectError("refused"), 2, id="never-sent"),
        pytest.param(fault(429, "too_many_requests"), 2, id="not-done"),
        pytest.param(fault(503, "at_capacity"), 2, id="no-room"),
    ],
)
def test_what_may_have_been_done_is_not_done_twice(
    naps: list[float], answer: httpx.Response | Exception, tries: int
) -> None:
    """A POST is repeated only where it certainly has not been taken."""
    made = httpx.Response(201, json={"id": "we_1"})
    client, server = opened(answer, made)
    try:
        client.webhooks.create("https://app.example.org", ["recording.transcribed"])
    except sdk.CallbridgeError:
        assert tries == 1
    assert len(server.seen) == tries


def test_a_page_is_a_sequence_and_a_mapping() -> None:
    """Loops and len are about items, names about the rest of the answer."""
    body = {"voicenotes": [{"id": "rec_1"}, {"id": "rec_2"}], "total": 7, "pagination": {"has_more": True}}
    client, server = opened(httpx.Response(200, json=body))
    page = client.voicenotes.list(limit=2, status="transcribed")
    assert [one["id"] for one in page] == ["rec_1", "rec_2"]
    assert (len(page), page[0]["id"], page[-1:], page["total"], page.get("none", 3)) == (
        2,
        "rec_1",
        [{"id": "rec_2"}],
        7,
        3,
    )
    assert page["voicenotes"] == page.items
    assert "total" in page
    assert {"id": "rec_1"} in page
    assert str(server.seen[0].url) == "https://calls.example.org/voicenotes?page=0&limit=2&status=transcribed"
    assert server.seen[0].headers["authorization"] == "Bearer cbk_secret"


def test_calls_of_all_pages() -> None:
    """One page after the other, with the same filters."""
    client, server = opened(
        httpx.Response(200, json={"calls": [{"call_id": "a"}], "cursor": "next"}),
        httpx.Response(200, json={"calls": [{"call_id": "b"}], "cursor": None}),
    )
    assert [call["call_id"] for call in client.calls.each(text="refund")] == ["a", "b"]
    assert dict(server.seen[1].url.params) == {"text": "refund", "cursor": "next"}


def test_ids_cannot_leave_their_path() -> None:
    """Whatever an id holds, it is one part of the path."""
    client, server = opened(httpx.Response(204))
    client.recordings("../account?x=1").delete()
    assert server.seen[0].url.raw_path == b"/recordings/..%2Faccount%3Fx%3D1"


def test_debug_tells_requests_and_no_secrets(caplog: pytest.LogCaptureFixture) -> None:
    """One line a request."""
    client, _ = opened(httpx.Response(200, json={"calls": []}), debug=True)
    with caplog.at_level(logging.DEBUG, "callbridge.client"):
        client.calls.list()
    assert "GET /v1/calls 200" in caplog.text
    assert "cbk_secret" not in caplog.text + repr(client)


def test_a_token_for_a_user() -> None:
    """Identity, life and scopes go along; the answer comes back as it is."""
    server = Server(httpx.Response(200, json={"token": "eyJ", "expires_in": 600}))
    token = sdk.AccessToken("key_1", "cbk_secret", "user_7", "https://x.example.org", http=httpx.MockTransport(server))
    assert token(expires_in=600, scopes=["calls:read"])["token"] == "eyJ"
    assert server.seen[0].url.path == "/token"
    assert server.seen[0].content == b'{"user_id":"user_7","expires_in":600,"scopes":["calls:read"]}'


def test_where_the_server_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """As given, with or without the version; else as the environment says; else here."""
    assert base_of("https://x.example.org/v1/") == "https://x.example.org"
    monkeypatch.setenv("CALLBRIDGE_URL", "https://env.example.org")
    assert base_of(None) == "https://env.example.org"
    monkeypatch.delenv("CALLBRIDGE_URL")
    assert base_of(None) == "http://127.0.0.1:8080"


def test_no_wait_is_endless() -> None:
    """However often, and whatever a server asks for: a minute."""
    assert Retries(most=20).wait_s(20, "GET", status=None) == 60.0
    assert Retries().wait_s(1, "GET", status=503, asked_s=86_400) == 60.0
    assert Retries(most=0).wait_s(1, "GET", status=503) is None


# -- events --------------------------------------------------------------------------------------------------------


def stream(*pieces: str | Exception) -> httpx.Response:
    class Body(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            for piece in pieces:
                if isinstance(piece, Exception):
                    raise piece
                yield piece.encode()

    return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Body())


def told(seq: int) -> str:
    return f'id: {seq}\ndata: {{"seq": {seq}}}\n\n'


BROKEN = httpx.RemoteProtocolError("peer closed")


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param([stream("retry: 0\n\n", told(1), told(2), told(3)), httpx.Response(204)], id="to-its-end"),
        pytest.param([stream(told(1), BROKEN), stream(told(2), told(3)), httpx.Response(204)], id="broken"),
        pytest.param(
            [stream(told(1), told(2)[:-1], BROKEN), stream(told(2), told(3)), httpx.Response(204)],
            id="broken-in-an-event",
        ),
        pytest.param(
            [
                stream(told(1)),
                httpx.ConnectError("away"),
                fault(503, "draining"),
                stream(told(2), told(3)),
                httpx.Response(204),
            ],
            id="a-server-that-starts-again",
        ),
        pytest.param(
            [stream(": still here\n\n"), stream(told(1), told(2), told(3)), httpx.Response(204)], id="silence"
        ),
    ],
)
def test_events_go_on_whatever_breaks(naps: list[float], answers: list[Any]) -> None:
    """Each once and in order, taken up behind the last one, until the server says that it was the last."""
    client, server = opened(*answers)
    assert [event["seq"] for event in client.calls("call-1").events()] == [1, 2, 3]
    assert server.seen[-1].headers["last-event-id"] == "3"
    assert {request.url.path for request in server.seen} == {"/v1/calls/call-1/events"}


def test_the_end_is_not_waited_for(naps: list[float]) -> None:
    """Behind events the server is asked at once whether there will be more; behind none only when it likes to be."""
    client, _ = opened(stream("retry: 2000\n\n"), stream(told(1), told(2)), httpx.Response(204))
    assert len(list(client.calls("call-1").events())) == 2
    assert naps == [2.0]


def test_events_from_a_place_on(naps: list[float]) -> None:
    """Behind the `seq` that was seen before."""
    client, server = opened(stream(told(8)), httpx.Response(204))
    assert [event["seq"] for event in client.calls("call-1").events(after=7)] == [8]
    assert server.seen[0].headers["last-event-id"] == "7"


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        pytest.param([fault(404, "not_found")], sdk.NotFoundError, id="no-such-call"),
        pytest.param([httpx.ConnectError("away") for _ in range(3)], sdk.TransportError, id="nobody-there"),
        pytest.param([fault(503, "draining") for _ in range(3)], sdk.ServerError, id="always-full"),
    ],
)
def test_events_that_cannot_be_had(naps: list[float], answers: list[Any], kind: type[Exception]) -> None:
    """After as many failures in a row as the client may have."""
    client, server = opened(*answers, max_retries=2)
    with pytest.raises(kind):
        next(client.calls("call-1").events())
    assert len(server.seen) == len(answers)


def test_all_calls_events_go_on_too(naps: list[float]) -> None:
    """From now on, again and again."""
    client, server = opened(stream('data: {"seq": 1}\n\n', BROKEN), stream('data: {"seq": 5}\n\n'))
    events = client.calls.events()
    assert [next(events)["seq"], next(events)["seq"]] == [1, 5]
    events.close()
    assert server.seen[0].url.path == "/v1/events"
