"""What the server writes down where many may read it: not one word that was said, no audio, no secret, at any level."""

from __future__ import annotations

import base64
import io
import logging
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
import structlog
from aiohttp.test_utils import TestServer

from bridge.app import build
from bridge.carrier.audio import encode, read_call
from bridge.carrier.twilio import TwilioSide
from bridge.clock import SystemClock
from bridge.errors import EngineError
from bridge.logs import setup
from bridge.ports import Decoded, DecodedWord, DecodeJob, Urgency
from bridge.settings import Settings, load
from tests.calling import call
from tests.receiver import SECRET, receiving, until

CALL = Path(__file__).parents[2] / "fixtures" / "audio" / "hang-up.wav"
KEY = "cbk_bootstrap-key-that-nobody-may-read"
WRONG = "cbk_wrong-credential"
SAID = ("marmalade", "zeppelin", "quixotic")
KEYWORD, NOTE = "bergamot", "kaleidoscope"


class Loose:
    """An Engine that hears the same words in everything, and breaks over all that is decoded a second time."""

    async def decode(self, job: DecodeJob) -> Decoded:
        if job.urgency is Urgency.SETTLE:
            raise EngineError("the model is broken")
        step = max(1, len(job.samples) // len(SAID))
        return Decoded(
            text=" ".join(SAID),
            language="en",
            language_probability=1,
            average_log_probability=-0.1,
            no_speech_probability=0,
            words=tuple(
                DecodedWord(text=word, start=at * step, end=(at + 1) * step, probability=0.9)
                for at, word in enumerate(SAID)
            ),
        )

    def pressure(self) -> float:
        return 0.0


@pytest.fixture
def said() -> Iterator[io.StringIO]:
    """Everything that is logged, as JSON, down to `debug`."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    setup(Settings(log_format="json", log_level="debug"), stream=stream)
    yield stream
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


async def test_a_whole_call_is_not_in_the_log(said: io.StringIO, tmp_path: Path) -> None:
    """A call and its transcript, searches, a webhook that fails, a recogniser that breaks, credentials that are wrong:
    the log has lines of all of it and none of its words, and no file but the key's holds a secret.
    """
    audio = encode(read_call(CALL), TwilioSide.media_format)
    clock = SystemClock()
    async with receiving(clock) as receiver:
        settings = load(
            database_url=f"sqlite:///{tmp_path}/callbridge.db",
            spool_dir=tmp_path / "spool",
            bootstrap_key=KEY,
            allow_private_urls="127.0.0.1",
            webhook_url=receiver.url,
            webhook_secret=SECRET,
            record=True,
        )
        async with (
            TestServer(build(settings, clock, Loose()), host="127.0.0.1") as server,
            aiohttp.ClientSession(str(server.make_url(""))) as session,
        ):
            bearer = {"Authorization": f"Bearer {KEY}"}
            token = await _token(session, bearer)
            made = await _endpoint(session, bearer)
            parameters = {"token": token, "call_id": "one", "keywords": KEYWORD, "metadata.note": NOTE}
            url = str(server.make_url("/v1/media/twilio")).replace("http", "ws", 1)
            await call(url, audio, parameters=parameters)
            await call(url, audio, parameters={"token": WRONG})
            await receiver.got(1)
            for path in (f"/v1/calls?text={SAID[0]}&token={token}", f"/v1/calls?text={SAID[0]}&stauts=x"):
                await (await session.get(path, headers=bearer)).read()
            await (await session.get("/v1/calls", headers={"Authorization": f"Bearer {KEY}x"})).read()
            await (await session.get("/v1/calls/one/transcript?format=txt", headers=bearer)).read()
            await until(lambda: "webhook try failed" in said.getvalue())
    assert SAID[0] in receiver.seen[0].body.decode()

    log = said.getvalue()
    for event in ("request", "media stream ended by a fault", "webhook try failed"):
        assert event in log
    loud = max((payload for frame in audio.frames for payload in frame.values()), key=lambda one: len(set(one)))
    for secret in (*SAID, KEYWORD, NOTE, KEY, token, WRONG, SECRET, made, base64.b64encode(loud).decode(), repr(loud)):
        assert secret not in log, secret
    held_in = kept_under(tmp_path)
    assert {"callbridge.db", ".kept"} <= {path.suffix if path.suffix == ".kept" else path.name for path in held_in}
    for path, held in held_in.items():
        assert not any(secret.encode() in held for secret in (KEY, token, SECRET, made)), path
        assert path.stat().st_mode & 0o077 == 0, path


def kept_under(folder: Path) -> dict[Path, bytes]:
    """Every file but the one with the key."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "secret.key"}


async def _token(session: aiohttp.ClientSession, bearer: dict[str, str]) -> str:
    async with session.post("/v1/tokens", json={"identity": "me"}, headers=bearer) as response:
        return str((await response.json())["token"])


async def _endpoint(session: aiohttp.ClientSession, bearer: dict[str, str]) -> str:
    """The secret of an endpoint that nobody answers at."""
    body = {"url": "http://127.0.0.1:9/hook", "events": ["*"]}
    async with session.post("/v1/webhooks", json=body, headers=bearer) as response:
        return str((await response.json())["secret"])
