"""VocaFuse's wire: what its browser SDK does, and what no SDK shows: identities, limits, pages, presigned addresses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import hdrs

from bridge.compat.vocafuse.upload import MOST_BYTES
from bridge.web.auth import Scope
from tests.compat.vocafuse_browser import grant, put, send
from tests.real_server import KEY, RealServer, hear_tones, real_server
from tests.recorded import channels, file_of, said_in_turn
from tests.tones import HeldEngine

pytestmark = pytest.mark.surface("vocafuse")

WAV = file_of("wav", channels())
LARGE = file_of("wav", np.pad(channels(), ((0, 0), (0, 3_000_000 - channels().shape[1]))))
"""More than one part, most of it silence."""


async def token_of(server: RealServer, identity: str = "user_7", **asked: Any) -> str:
    made = await server.json("POST", "/token", json={"user_id": identity, **asked})
    token: str = made["token"]
    return token


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.shows("uploads from browsers")
@pytest.mark.shows("a file")
async def test_parts_side_by_side(server: RealServer) -> None:
    """They may come in any order, and twice; the last one to come begins the work, and nothing else does."""
    token = await token_of(server)
    granted = await grant(server, token, len(LARGE), audio_format="wav")
    first, last = granted["upload_info"]["parts"]
    assert (first["start_byte"], last["end_byte"]) == (0, len(LARGE) - 1)
    for part in (last, last):
        status, _ = await put(part["presigned_url"], LARGE[part["start_byte"] :])
        assert status == 200
    path = f"/recordings/{granted['recording_id']}"
    assert (await server.fault("GET", path, status=404))["code"] == "RECORDING_NOT_FOUND"
    assert (await put(first["presigned_url"], LARGE[: first["content_length"] - 1]))[0] == 400
    assert (await put(first["presigned_url"], LARGE[: first["content_length"] + 1]))[0] == 413
    assert (await put(first["presigned_url"], LARGE[: first["content_length"]]))[0] == 200
    await server.context.transcriber.finished("default", granted["recording_id"])
    found = await server.json("GET", path)
    assert found["text"].split() == said_in_turn()
    assert (await put(first["presigned_url"], LARGE[: first["content_length"]]))[0] == 409


async def test_a_user_reads_their_own_alone(server: RealServer) -> None:
    """A token opens what was sent under its identity, and no list; deleting is the app's."""
    mine, others = await token_of(server), await token_of(server, "user_8")
    recording_id = await send(server, mine, WAV)
    await server.context.transcriber.finished("default", recording_id)
    for path in (f"/recordings/{recording_id}", f"/v1/voicenotes/{recording_id}/transcription"):
        assert (await server.json("GET", path, headers=bearer(mine)))["voicenote_id"] == recording_id
        assert (await server.fault("GET", path, status=404, headers=bearer(others)))["code"] == "RECORDING_NOT_FOUND"
    for method, path in (("GET", "/recordings"), ("DELETE", f"/recordings/{recording_id}"), ("GET", "/v1/calls")):
        error = await server.fault(method, path, status=403, headers=bearer(mine))
        assert error["type"] in {"AuthorizationError", "request_error"}


async def test_tokens_that_open_nothing(server: RealServer) -> None:
    """A garbled one and one whose time is over have codes of their own."""
    lapsed = server.context.auth.signer.issue(tenant="default", identity="u", scopes=[Scope.UPLOAD], lifetime_s=-1)
    for token, code, number in (("x.y.z", "INVALID_TOKEN", 1001), (lapsed.token, "TOKEN_EXPIRED", 1002)):
        error = await server.fault("GET", "/recordings/rec_1", status=401, headers=bearer(token))
        assert (error["code"], error["number"], error["type"]) == (code, number, "AuthenticationError")


async def test_a_token_that_cannot_be(server: RealServer) -> None:
    """Told as VocaFuse tells it; a body needs no type."""
    for body, code in (
        (b"no json", "INVALID_REQUEST_FORMAT"),
        (b"{}", "MISSING_REQUIRED_FIELD"),
        (b'{"user_id": 7}', "INVALID_FIELD_VALUE"),
        (b'{"user_id": "u", "expires_in": 86401}', "INVALID_FIELD_VALUE"),
        (b'{"user_id": "u", "expires_in": true}', "INVALID_FIELD_VALUE"),
    ):
        error = await server.fault("POST", "/v1/token", status=400, data=body)
        assert (error["code"], error["type"]) == (code, "ValidationError")


async def test_our_own_scopes_may_be_asked_for(server: RealServer) -> None:
    """A page that also shows captions gets what it needs with the same token; nothing makes further credentials."""
    token = await token_of(server, scopes=["voice-api.upload_recording", "calls:read", "keys"])
    assert (await server.json("GET", "/v1/calls", headers=bearer(token)))["calls"] == []
    assert (await server.json("GET", "/recordings", headers=bearer(token)))["total"] == 0
    assert (await server.fault("GET", "/account/api-keys", status=403, headers=bearer(token)))["code"] == (
        "INSUFFICIENT_PERMISSIONS"
    )


async def test_what_is_not_granted(server: RealServer) -> None:
    """Said before anything is sent."""
    token = await token_of(server)
    wrong: list[tuple[dict[str, Any], int, str]] = [
        ({"file_size": MOST_BYTES + 1}, 413, "FILE_TOO_LARGE"),
        ({"file_size": 0}, 400, "INVALID_FIELD_VALUE"),
        ({"file_size": None}, 400, "MISSING_REQUIRED_FIELD"),
        ({"audio_format": "flac"}, 400, "INVALID_FIELD_VALUE"),
        ({"file_name": 7}, 400, "INVALID_FIELD_VALUE"),
    ]
    for asked, status, code in wrong:
        assert (await grant(server, token, 1000, status=status, **asked))["error"]["code"] == code


async def test_an_address_is_good_for_one_recording(server: RealServer) -> None:
    """Not for another id, not changed, not twice, not for more than was granted; and it is no token."""
    token = await token_of(server)
    granted = await grant(server, token, len(WAV))
    url: str = granted["presigned_url"]
    assert (await put(url.replace(granted["recording_id"], "rec_other"), WAV))[0] == 403
    assert (await put(f"{url[:-4]}AAAA", WAV))[0] == 403
    assert (await put(url, WAV + b"\0"))[0] == 413
    assert (await put(url, b"no audio"))[0] == 400
    sealed = url.partition("grant=")[2]
    assert (await server.fault("GET", "/recordings", status=401, headers=bearer(sealed)))["code"] == "INVALID_TOKEN"
    assert (await put(f"{url.partition('grant=')[0]}grant={token}", WAV))[0] == 403
    assert (await put(url, WAV))[0] == 200
    assert (await put(url, WAV))[0] == 409


async def test_preflight(server: RealServer) -> None:
    """A page of another site may send; answers that refuse are readable for its script too."""
    for path in ("/upload", "/v1/upload", "/upload/rec_1", "/upload/rec_1/part/2"):
        async with server.session.options(path) as response:
            assert response.status == 204
            assert "PUT" in response.headers[hdrs.ACCESS_CONTROL_ALLOW_METHODS]
            assert "authorization" in response.headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS]
    async with server.session.post("/upload", json={}, headers=bearer("nobody")) as response:
        assert (response.status, response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN]) == (401, "*")


async def test_pages(server: RealServer) -> None:
    """Counted from 0, newest first, with addresses in the spelling that was asked for."""
    token = await token_of(server)
    sent = [await send(server, token, WAV) for _ in range(3)]
    for recording_id in sent:
        await server.context.transcriber.finished("default", recording_id)
    first = await server.json("GET", "/voicenotes?limit=2")
    second = await server.json("GET", first["next_page_uri"])
    assert first["next_page_uri"].startswith("/voicenotes?")
    assert (first["previous_page_uri"], second["next_page_uri"], second["page"], second["total"]) == (None, None, 1, 3)
    shown = [one["id"] for one in (*first["data"], *second["data"])]
    assert sorted(shown) == sorted(sent)
    times = [one["created_at"] for one in (*first["data"], *second["data"])]
    assert times == sorted(times, reverse=True)
    for narrowed, total in (("date_to=2025-01-01", 0), ("date_from=2025-01-01", 3), ("status=failed", 0)):
        assert (await server.json("GET", f"/recordings?{narrowed}"))["total"] == total
    for wrong in ("page=-1", "limit=many", "date_from=monday", "status=lost"):
        assert (await server.fault("GET", f"/recordings?{wrong}", status=400))["code"] == "INVALID_FIELD_VALUE"


async def test_too_many_requests(tmp_path: Path) -> None:
    """429 says when to come back: as a header, in the body, and in the standard's three headers."""
    async with real_server(tmp_path, requests_per_minute=1) as server:
        own = {"X-VocaFuse-API-Key": "bootstrap", "X-VocaFuse-API-Secret": KEY}
        async with server.session.get("/recordings", headers=own) as response:
            assert (response.status, response.headers["RateLimit-Remaining"]) == (200, "0")
        async with server.session.get("/recordings", headers=own) as response:
            assert (response.status, response.headers["RateLimit-Limit"]) == (429, "1")
            error = (await response.json())["error"]
            assert error["type"] == "RateLimitError"
            assert response.headers[hdrs.RETRY_AFTER] == str(error["details"]["retry_after"])


async def test_one_that_is_not_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Listed and read from the moment it came; its words are not ready, told without the word that would mean another
    exception; deleted, it is taken back.
    """
    hear_tones(monkeypatch)
    async with real_server(tmp_path, engine=HeldEngine()) as server:
        recording_id = await send(server, await token_of(server), WAV, file_name="monday.wav", audio_format="wav")
        path = f"/recordings/{recording_id}"
        found = await server.json("GET", path)
        assert (found["status"], found["text"], found["original_filename"]) == ("processing", "", "monday.wav")
        assert found["audio_format"] == "wav"
        assert [one["id"] for one in (await server.json("GET", "/recordings?status=processing"))["data"]] == [
            recording_id
        ]
        assert (await server.json("GET", "/recordings?status=transcribed"))["total"] == 0
        error = await server.fault("GET", f"{path}/transcription", status=404)
        assert error["code"] == "TRANSCRIPTION_NOT_READY"
        assert "recording" not in error["message"].lower()
        async with server.session.delete(path) as response:
            assert (response.status, await response.read()) == (204, b"")
        await server.fault("GET", path, status=404)
        assert (await server.json("GET", "/recordings"))["total"] == 0


async def test_whatever_is_asked_is_answered(server: RealServer) -> None:
    """Odd values are the client's fault, in its shape; none is ours."""
    token = bearer(await token_of(server))
    odd: list[Any] = [None, True, -1, 1e308, "", "\0", "\ud800", "x" * 5000, [], {}, ["\0"], {"a": {}}]
    for path, fields in (
        ("/token", ("user_id", "expires_in", "scopes")),
        ("/upload", ("file_size", "file_name", "audio_format", "use_multipart")),
        ("/webhooks", ("url", "events", "secret", "signature_mode")),
        ("/account/api-keys", ("name",)),
    ):
        good = {
            "user_id": "u",
            "file_size": 9,
            "url": "https://x.example.org",
            "events": ["recording.failed"],
            "name": "n",
        }
        for field in fields:
            for value in odd:
                body = json.dumps({**good, field: value})
                headers = token if path == "/upload" else None
                async with server.session.post(path, data=body, headers=headers) as response:
                    assert response.status < 500, (path, field, value)
    for value in odd:
        async with server.session.put("/account", data=json.dumps({"name": value, "settings": value})) as response:
            assert response.status in {200, 400}, value
    for query in (
        "page=99999999999",
        "page=999999999",
        "date_to=9999-12-31",
        "date_from=0001-01-01T00:00:00Z",
        "limit=0",
    ):
        async with server.session.get(f"/recordings?{query}") as response:
            assert response.status in {200, 400}, query
    for path in ("/recordings/%00", "/recordings/%ED%A0%80/transcription", "/webhooks/%00", "/account/api-keys/%00"):
        async with server.session.get(path) as response:
            assert response.status in {400, 404}, path
