"""`callbridge play`: a recording becomes a call, and the exit status says how it went."""

from __future__ import annotations

import asyncio
import os
import pty
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from bridge.model.stream import Leg
from callcodecs.g711 import decode_ulaw
from tests.media_server import API_KEY, ServeMedia


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Two parties, 0.4 s, 16 kHz: the caller on one tone, the agent on another."""
    path = tmp_path / "call.wav"
    seconds = np.arange(6400) / 16000
    parties = [10000 * np.sin(2 * np.pi * hertz * seconds) for hertz in (500, 1500)]
    with wave.open(str(path), "wb") as file:
        file.setparams((2, 2, 16000, 0, "NONE", ""))
        file.writeframes(np.stack(parties, axis=1).astype("<i2").tobytes())
    return path


async def play(*arguments: str | Path, terminal: int | None = None) -> tuple[int, str, str]:
    """Run the command in a process of its own: status, standard output, standard error."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bridge",
        "play",
        *map(str, arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=terminal or asyncio.subprocess.PIPE,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    )
    said, complained = await process.communicate()
    return process.returncode or 0, said.decode(), (complained or b"").decode()


async def test_a_recording_becomes_a_call(serve_media: ServeMedia, recording: Path) -> None:
    """Left is heard as the caller, right as the agent; parameters and token arrive; status 0."""
    server = await serve_media()
    status, said, complained = await play(
        recording,
        "--to",
        server.twilio,
        "--speed",
        "4",
        "--param",
        "language=en",
        "--param",
        "metadata.a=b=c",
        "--token",
        API_KEY,
    )
    heard = await server.taker.next_call()
    assert (status, said, complained) == (0, "", "43 messages sent, closed with 1000\n")
    assert heard.started.parameters == {"language": "en", "metadata.a": "b=c"}
    for leg, hertz in ((Leg.CALLER, 500), (Leg.AGENT, 1500)):
        line = decode_ulaw(b"".join(chunk.payload for chunk in heard.chunks(leg)))
        assert np.argmax(np.abs(np.fft.rfft(line))) == hertz * len(line) // 8000


@pytest.mark.parametrize(
    ("dialect", "codec", "heard_as"),
    [
        ("telnyx", "g722", "G722"),
        ("telnyx", "L16BE@16000", "L16"),
        ("plivo", "L16LE", "L16"),
        ("vonage", None, "L16LE"),
    ],
)
async def test_a_carrier_and_a_codec(
    serve_media: ServeMedia, recording: Path, dialect: str, codec: str | None, heard_as: str
) -> None:
    """Any dialect, in any codec that it offers; without a wish, in the usual one."""
    server = await serve_media(auth="off")
    wish = [] if codec is None else ["--codec", codec]
    address = f"{server.url.replace('http', 'ws')}/v1/media/{dialect}"
    assert (await play(recording, "--to", address, "--dialect", dialect, "--speed", "20", *wish))[0] == 0
    heard = await server.taker.next_call()
    assert (heard.started.carrier, heard.started.media_format.encoding) == (dialect, heard_as)


async def test_a_call_over_tcp(serve_media: ServeMedia, recording: Path) -> None:
    """Asterisk's AudioSocket, by the UUID in the address where there is one; a call that is hung up on is status 1."""
    server = await serve_media()
    uuid = "40325ec2-5efd-4bd3-805f-53576e581d13"
    audiosocket = ("--dialect", "audiosocket", "--speed", "20", "--to")
    status, said, complained = await play(recording, *audiosocket, f"{server.audiosocket}/{uuid}")
    heard = await server.taker.next_call()
    assert (status, said, complained) == (0, "", "21 messages sent, closed with 1000\n")
    assert (heard.started.carrier, heard.started.carrier_call_id) == ("audiosocket", uuid)
    server.taker.room = False
    status, _, complained = await play(recording, *audiosocket, server.audiosocket)
    assert status == 1
    assert "closed with 1001 (hang-up)" in complained


async def test_a_refused_call(serve_media: ServeMedia, recording: Path) -> None:
    """A wrong signature, and a token that nobody knows, are one readable line and status 1."""
    server = await serve_media(twilio_auth_token="secret")
    refused = await play(recording, "--to", server.twilio, "--secret", "another")
    assert refused == (1, "", "callbridge: HTTP 403 Forbidden\n")
    server = await serve_media()
    status, _, complained = await play(recording, "--to", server.twilio, "--token", "wrong")
    assert status == 1
    assert "closed with 1008 (carrier_unauthorised: " in complained


async def test_nobody_answers(recording: Path) -> None:
    """An address without a server is status 1, without a traceback."""
    status, _, complained = await play(recording, "--to", "ws://127.0.0.1:1/v1/media/twilio")
    assert status == 1
    assert complained.startswith("callbridge: Cannot connect to host 127.0.0.1:1")
    assert complained.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        pytest.param(["--to", "calls.example.org"], "is not like wss://", id="address"),
        pytest.param(["--to", "ws://x", "--dialect", "nobody"], "'nobody' is not", id="dialect"),
        pytest.param(["--to", "ws://x", "--codec", "G722"], "PCMU@8000 are", id="codec"),
        pytest.param(["--to", "ws://x", "--param", "novalue"], "is not NAME=VALUE", id="parameter"),
        pytest.param(["--to", "ws://x", "--speed", "0"], "is not in the range", id="speed"),
        pytest.param(["--to", "tcp://x:1"], "is not spoken at tcp://", id="websocket-over-tcp"),
        pytest.param(["--to", "ws://x", "--dialect", "audiosocket"], "is not spoken at ws://", id="tcp-over-websocket"),
        pytest.param(
            ["--to", "tcp://x:1", "--dialect", "audiosocket", "--param", "a=b"], "carries none", id="no-parameters"
        ),
        pytest.param(["--to", "tcp://x:1/42", "--dialect", "audiosocket"], "'42' is no UUID", id="uuid"),
        pytest.param([], "Missing option '--to'", id="no-address"),
    ],
)
async def test_what_cannot_be_asked(recording: Path, arguments: list[str], complaint: str) -> None:
    """Usage errors are told by name, status 2."""
    status, _, complained = await play(recording, *arguments)
    assert status == 2
    assert complaint in complained


async def test_what_is_no_recording(tmp_path: Path) -> None:
    """A missing file is a usage error; one without audio is status 1 and one line."""
    (tmp_path / "notes.wav").write_text("hello")
    assert (await play(tmp_path / "missing.wav", "--to", "ws://x"))[0] == 2
    status, _, complained = await play(tmp_path / "notes.wav", "--to", "ws://x")
    assert status == 1
    assert "no audio that can be read" in complained


async def test_a_bar_on_a_terminal(serve_media: ServeMedia, recording: Path) -> None:
    """On a terminal the bar shows how much of the call has been sent."""
    server = await serve_media(auth="off")
    ours, theirs = pty.openpty()
    try:
        status, _, _ = await play(recording, "--to", server.twilio, terminal=theirs)
        shown = os.read(ours, 65536).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert status == 0
    assert "0:00 of 0:00" in shown
    assert "━" in shown
