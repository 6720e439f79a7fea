"""Known voices over HTTP: enrolled with a recording, used in that tenant's calls alone, deleted for good."""

from __future__ import annotations

import io
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest

from bridge import app as app_module
from bridge import call as call_module
from bridge import known_voices as known_module
from bridge.model.frame import SAMPLE_RATE, Samples
from tests.clock import LeapingClock
from tests.real_server import RealServer, real_server
from tests.unit.recordings.doubles import ScriptedEngine, segmenter, speech
from tests.voices import ScriptedVoices

GRACE = [(2.0, 0.21), (1.0, 0.0), (4.0, 0.22), (1.0, 0.0)]
"""Loudness is the voice: twenties are one person's."""


class Voices(ScriptedVoices):
    def close(self) -> None: ...


@pytest.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RealServer]:
    for module in (app_module, call_module, known_module):
        monkeypatch.setattr(module, "Segmenter", lambda *_: segmenter())
    monkeypatch.setattr(app_module, "CampPlusEncoder", lambda *_: Voices(LeapingClock()))
    async with real_server(tmp_path, engine=ScriptedEngine(), known_voices=True) as running:
        yield running


def _wav(samples: Samples, channels: int = 1) -> bytes:
    kept = io.BytesIO()
    with wave.open(kept, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((np.repeat(samples, channels) * 32767).astype("<i2").tobytes())
    return kept.getvalue()


def _form(samples: Samples, **fields: str) -> aiohttp.FormData:
    body = aiohttp.FormData(fields)
    body.add_field("file", io.BytesIO(_wav(samples)), filename="voice.wav")
    return body


async def _speakers(server: RealServer) -> list[str]:
    """Of a recording in which somebody new speaks, then whoever is in the twenties."""
    said = speech((4.0, 0.11), (1.0, 0.0), (4.0, 0.23), (1.0, 0.0))
    done = await server.json("POST", "/v1/transcriptions?wait=20", data=_form(said, diarize="true"))
    return [segment["speaker"] for segment in done["segments"]]


async def test_an_enrolled_voice_has_its_name_in_transcripts_until_it_is_deleted(server: RealServer) -> None:
    assert await _speakers(server) == ["S1", "S2"]
    made = await server.json("POST", "/v1/speakers", data=_form(speech(*GRACE), name="Grace"), status=201)
    assert made["name"] == "Grace"
    assert made["speech_ms"] == pytest.approx(6000, abs=200)
    assert "direction" not in made
    assert await server.json("GET", "/v1/speakers") == {"speakers": [made]}
    assert await _speakers(server) == ["S1", "Grace"]
    async with server.session.delete(f"/v1/speakers/{made['id']}") as gone:
        assert gone.status == 204
    assert await server.json("GET", "/v1/speakers") == {"speakers": []}
    assert await _speakers(server) == ["S1", "S2"]
    assert list((server.folder / "spool" / "recordings").iterdir()) == []


async def test_a_voice_is_its_tenants_alone(server: RealServer) -> None:
    """Another tenant does not see it, cannot delete it, and its calls do not carry the name."""
    made = await server.json("POST", "/v1/speakers", data=_form(speech(*GRACE), name="Grace"), status=201)
    assert await server.context.store.voices("other") == []
    known = server.context.known_voices
    assert known is not None
    assert list(await known.of("default")) == ["Grace"]
    assert await known.of("other") == {}
    assert made["id"].startswith("spk_")


@pytest.mark.parametrize(
    ("samples", "fields", "status", "says"),
    [
        pytest.param(speech((2.0, 0.21), (1.0, 0.0)), {"name": "Grace"}, 422, "5 s and more", id="too-little-speech"),
        pytest.param(
            speech((4.0, 0.21), (1.0, 0.0), (4.0, 0.31), (1.0, 0.0)), {"name": "Grace"}, 422, "more than one", id="two"
        ),
        pytest.param(speech(*GRACE), {}, 422, "name", id="no-name"),
        pytest.param(speech(*GRACE), {"name": "S2"}, 422, "nobody knows", id="a-name-of-ours"),
    ],
)
async def test_what_is_no_voice_of_one_person_is_refused(
    server: RealServer, samples: Samples, fields: dict[str, str], status: int, says: str
) -> None:
    refused = await server.fault("POST", "/v1/speakers", data=_form(samples, **fields), status=status)
    assert says in str(refused)
    assert await server.json("GET", "/v1/speakers") == {"speakers": []}
    assert list((server.folder / "spool" / "recordings").iterdir()) == []


async def test_a_name_is_enrolled_once(server: RealServer) -> None:
    await server.json("POST", "/v1/speakers", data=_form(speech(*GRACE), name="Grace"), status=201)
    again = await server.fault("POST", "/v1/speakers", data=_form(speech(*GRACE), name="Grace"), status=409)
    assert again["code"] == "conflict"


async def test_voices_are_not_enrolled_unless_that_is_set(tmp_path: Path) -> None:
    """Reading and deleting work: what was enrolled before can always be taken back."""
    async with real_server(tmp_path, engine=ScriptedEngine()) as plain:
        refused: dict[str, Any] = await plain.fault(
            "POST", "/v1/speakers", data=_form(speech(*GRACE), name="Grace"), status=403
        )
        assert "CALLBRIDGE_KNOWN_VOICES" in refused["message"]
        assert await plain.json("GET", "/v1/speakers") == {"speakers": []}
