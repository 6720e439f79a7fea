"""Everything that reads what others wrote, with good examples to disfigure and the faults it may name.

Dialects, their signatures, the questions their numbers ask and encodings come from the product's own tables: a new row is
fuzzed without a line here. Requests to the HTTP face have a file of their own.
"""

from __future__ import annotations

import base64
import io
import json
import pickle
import shutil
import wave
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from urllib.parse import urlencode

import jwt
import numpy as np
import structlog.testing
from multidict import CIMultiDict

from bridge.audio.leg import LegAudio
from bridge.carrier.side import Dialled
from bridge.deliver.guard import Guard
from bridge.deliver.retry import Outcome, next_due
from bridge.deliver.signing import key_of
from bridge.dialects import DIALECTS, Dialect, Proof
from bridge.errors import (
    CarrierError,
    InvalidRequestError,
    SetupError,
    SpoolError,
    UnsupportedMediaError,
)
from bridge.ingest.conversation import Handshake
from bridge.model.stream import Leg, MediaChunk, MediaFormat, StreamItem, StreamStarted
from bridge.recognise.model_file import ModelFile
from bridge.recordings.file import look
from bridge.settings import Settings, load
from bridge.spool.reading import read_blocks, read_header
from bridge.spool.record import FRAME, MAGIC, Header, block, items_of, opening
from bridge.spool.redo import Entry, entries_to_bytes, redo
from bridge.store.address import sqlite_file
from bridge.store.terms import terms
from bridge.web.address import host_of
from bridge.web.auth import ALGORITHM, Scope, TokenSigner
from bridge.web.authorization import as_bearer
from bridge.web.voice.asked import Asked
from bridge.web.voice.table import VOICES, Voice, Webhook
from callcodecs import DECODERS, open_decoder
from callcodecs.errors import CodecError, CorruptPayloadError, MalformedPacketError, UnknownEncodingError
from callcodecs.rtp import RtpExtension, RtpPacket, is_rtcp
from tests import tiny_whisper
from tests.clock import VirtualClock
from tests.fuzz.mutation import Mutation
from tests.tapes import payload_of
from tests.wire import read, recordings

NOW: Final = 1_800_000_000.0


@dataclass(frozen=True, kw_only=True)
class Parser:
    """`draw` makes an input, `read` reads it and raises nothing but what is `documented`."""

    draw: Callable[[Mutation], Any]
    read: Callable[[Any], object]
    documented: tuple[type[Exception], ...] = ()


# -- what carriers say ---------------------------------------------------------------------------------------------


@cache
def conversations(dialect: str) -> list[tuple[dict[str, str], list[str | bytes]]]:
    """Every recording of a dialect, of all of them for one that has none yet: the address's query, the messages."""
    files = [file for broken in (False, True) for file in recordings(broken=broken, dialect=dialect)]
    read_all = [read(file) for file in files or recordings(broken=False)]
    return [(heading.get("query", {}), messages) for heading, messages in read_all]


def draw_conversation(dialect: str, by: Mutation) -> tuple[dict[str, str], list[str | bytes]]:
    query, messages = by.one_of(conversations(dialect))
    said = messages[:10]
    for _ in range(by.between(1, 3)):
        at = by.between(0, max(0, len(said) - 1))
        match by.between(0, 9):
            case 0:
                said = said[:at] + said[at + 1 :]
            case 1:
                said = [*said[:at], by.one_of(by.one_of(conversations(dialect))[1] or [""]), *said[at:]]
            case _:
                said = [*said[:at], by.message(said[at]), *said[at + 1 :]] if said else [by.message("{}")]
    return by.pairs(query) if by.chance(0.3) else query, said


def hear(dialect: Dialect, given: tuple[dict[str, str], list[str | bytes]]) -> None:
    """A fault changes nothing; what is understood can be spooled, and heard."""
    query, messages = given
    hearing = dialect.hear(Handshake(url="wss://calls.example.org/", headers={}, query=query))
    items: list[StreamItem] = []
    for message in messages:
        before = pickle.dumps(vars(hearing))
        try:
            items += hearing.receive(message)
        except CarrierError:
            assert pickle.dumps(vars(hearing)) == before, "a fault that changed the conversation"
    assert [n for n, item in enumerate(items) if isinstance(item, StreamStarted)] == [0][: len(items)]
    payload = payload_of(items)
    assert payload_of(items_of(payload)) == payload, "an item that the spool does not bring back"
    if items and isinstance(items[0], StreamStarted):
        listen(items[0], items[1:])


def listen(started: StreamStarted, items: Iterable[StreamItem]) -> None:
    try:
        legs = {leg: LegAudio(leg, started.media_format) for leg in started.legs}
    except UnsupportedMediaError:
        return
    for item in items:
        if isinstance(item, MediaChunk) and (item.timestamp_ms or 0) < 10_000:  # longer silences are only slower
            legs[item.leg].push(item)


@cache
def upgrades(dialect: str) -> list[Mapping[str, str]]:
    """Headers that a carrier sends with its upgrade."""
    row = DIALECTS[dialect]
    sides = [
        row.speak(Dialled(legs=(Leg.CALLER, Leg.AGENT), secret=secret, placed_at=NOW))
        for secret in ("a-secret-of-32-characters-for-hmac", None)
    ]
    return [side.headers(f"wss://calls.example.org{row.path}") for side in sides]


SECRETS: Final = Settings(
    twilio_auth_token="a-secret-of-32-characters-for-hmac",
    signalwire_signing_key="a-secret-of-32-characters-for-hmac",
    plivo_auth_token="a-secret-of-32-characters-for-hmac",
    vonage_signature_secret="a-secret-of-32-characters-for-hmac",
    genesys_client_secret=base64.b64encode(b"a-secret-of-32-characters-for-hmac").decode(),
    telnyx_public_key=base64.b64encode(bytes(range(32))).decode(),
)

SIGNING_HEADERS: Final = {
    "X-Twilio-Signature": "0123456789abcdefghijklmnopq=",
    "X-SignalWire-Signature": "0123456789abcdefghijklmnopq=",
    "X-Plivo-Signature-V3": "0123456789abcdefghijklmnopqrstuvwxyz0123456=,b",
    "X-Plivo-Signature-V3-Nonce": "12345678901234567890",
    "Telnyx-Signature-Ed25519": base64.b64encode(bytes(64)).decode(),
    "Telnyx-Timestamp": str(int(NOW)),
    "Authorization": "Bearer "
    + jwt.encode(
        {"iss": "Vonage", "iat": int(NOW), "jti": "1"}, "a-secret-of-32-characters-for-hmac", algorithm="HS256"
    ),
}


def draw_handshake(dialect: Dialect, by: Mutation) -> Handshake:
    headers = by.headers({**SIGNING_HEADERS, **by.one_of(upgrades(dialect.name))})
    url = f"wss://calls.example.org{dialect.path}?{urlencode(by.pairs(QUESTION))}"
    return Handshake(url=url, headers=CIMultiDict(headers), query={})


QUESTION: Final = {
    "dial": "+15550100", "say": "hello <there> & you", "mode": "start", "language": "en", "keywords": "a,b",
    "metadata.queue": "sales", "From": "+15550101", "To": "+15550102", "CallSid": "CA1", "CallUUID": "u", "from": "1", "to": "2",
    "uuid": "aaaaaaaa-bbbb-cccc-dddd-0123456789ab", "bodySHA256": "0" * 64, "byte_order": "big",
}  # fmt: skip


def draw_question(voice: Voice, by: Mutation) -> Webhook:
    """A webhook as `web/voice/routes.py` makes one of a request."""
    query = {name: value for name, value in by.pairs(QUESTION).items() if by.chance(0.5)}
    form = list(by.pairs(QUESTION).items())
    return Webhook(
        url=f"https://calls.example.org{voice.path}?{urlencode(query, errors='replace')}",
        query=query,
        headers=CIMultiDict(by.headers(SIGNING_HEADERS)),
        body=by.raw(urlencode(form, errors="replace").encode()),
        form=form,
        fields=form,
    )


def ask(voice: Voice, webhook: Webhook) -> None:
    voice.signed(webhook, SECRETS, NOW)
    given = {voice.fields[name]: value for name, value in webhook.fields if name in voice.fields}
    asked = Asked.of(
        webhook.query, stream_url=f"wss://calls.example.org/v1/media/{voice.dialect}", parameters=given, token="t"
    )
    assert isinstance(voice.answer(asked), bytes)


# -- sound ---------------------------------------------------------------------------------------------------------


def draw_payloads(by: Mutation) -> list[bytes]:
    good = bytes(range(160)), bytes(160), b"\xfc\xff\xfe" + bytes(range(60)), b"\x0c\x80\x03" + bytes(70), bytes(320)
    return [by.raw(by.one_of(good)) for _ in range(by.between(1, 4))]


def decode(encoding: str, payloads: list[bytes]) -> None:
    """A payload that is refused costs that payload only."""
    decoder = open_decoder(encoding, 8000)
    for payload in payloads:
        decoder.count(payload)
        try:
            assert decoder.decode(payload).dtype == np.int16
        except CorruptPayloadError:
            decoder.lost()


PACKETS: Final = [
    RtpPacket(payload_type=0, sequence=7, timestamp=160, ssrc=9, payload=bytes(160)).serialize(),
    RtpPacket(payload_type=101, sequence=65535, timestamp=2**32 - 1, ssrc=9, payload=b"\5\x0a\0\xa0", marker=True,
              csrcs=(1, 2), extension=RtpExtension(profile=0xBEDE, data=bytes(8)), padding=4).serialize(),
]  # fmt: skip


def parse_packet(data: bytes) -> None:
    """What was parsed is written as it was, but for the content of its padding."""
    is_rtcp(data)
    packet = RtpPacket.parse(data)
    assert RtpPacket.parse(packet.serialize()) == packet


@cache
def wav(channels: int) -> bytes:
    """A fifth of a second, 8 kHz."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(np.arange(1600 * channels, dtype="<i2").tobytes())
    return out.getvalue()


def draw_recording(by: Mutation) -> bytes:
    """Mostly the head of the file, where everything stands that a reader goes by."""
    whole = wav(by.between(1, 2))
    return by.raw(whole[:64]) + whole[64:] if by.chance(0.7) else by.raw(whole)


def front_door(folder: Path, data: bytes) -> None:
    path = folder / "recording"
    path.write_bytes(data)
    for legs in look(path).blocks():
        assert all(samples.dtype == np.float32 for samples in legs.values())


# -- files ---------------------------------------------------------------------------------------------------------


@cache
def tape() -> list[bytes]:
    """A tape's head and its blocks' payloads."""
    started = StreamStarted(
        carrier="twilio", carrier_call_id="CA1", stream_id="MZ1", legs=(Leg.CALLER, Leg.AGENT),
        media_format=MediaFormat(encoding="PCMU", sample_rate=8000), parameters={"metadata.a": "b"},
    )  # fmt: skip
    chunks: list[StreamItem] = [MediaChunk(leg=Leg.CALLER, payload=bytes(20), sequence=n) for n in range(3)]
    return [opening(Header(call_id="one", tenant="acme", started_at=NOW), started), payload_of(chunks)]


def draw_tape(by: Mutation) -> bytes:
    """Damage anywhere, and damage that the checksums know nothing of."""
    head, payload = tape()
    if by.chance(0.4):
        return by.raw(head + block(payload))
    if by.chance(0.5):
        return head + block(by.raw(payload))
    at = len(MAGIC) + FRAME.size
    size, _ = FRAME.unpack(head[len(MAGIC) : at])
    described, behind = head[at : at + size], head[at + size :]
    if by.chance(0.5):
        described = json.dumps(by.value(json.loads(described))).encode()
    else:
        behind = block(by.raw(behind[FRAME.size :]))
    return MAGIC + block(described) + behind


def read_tape(folder: Path, data: bytes) -> None:
    path = folder / "one.tape"
    path.write_bytes(data)
    read_header(path)
    for _ in read_blocks(path):
        pass


@cache
def redo_log() -> list[bytes]:
    """The payloads of a log's blocks, for two tapes."""
    head, payload = tape()
    writes = [Entry("1-aa-1.tape", 0, head), Entry("2-aa-2.tape", 0, head), Entry("1-aa-1.tape", len(head), payload)]
    return [entries_to_bytes(writes), entries_to_bytes([Entry("2-aa-2.tape", len(head), payload)])]


def draw_redo_log(by: Mutation) -> bytes:
    """Damage anywhere, and damage that the checksums know nothing of."""
    if by.chance(0.4):
        return by.raw(b"".join(map(block, redo_log())))
    return b"".join(block(by.raw(payload)) for payload in redo_log())


def read_redo_log(folder: Path, data: bytes) -> None:
    """Whatever it says, nothing is written but tapes that are there, and nothing behind a hole."""
    spool = folder / "spool"
    shutil.rmtree(spool, ignore_errors=True)
    spool.mkdir()
    (spool / "1-aa-1.tape").write_bytes(tape()[0][:50])
    (spool / "aa.redo").write_bytes(data)
    with structlog.testing.capture_logs():
        redo(spool)
    assert {path.name for path in spool.iterdir()} <= {"1-aa-1.tape", "aa.damaged"}
    assert (spool / "1-aa-1.tape").stat().st_size <= 50 + len(data)


@cache
def model_file() -> bytes:
    """Weights, as CTranslate2 writes them."""
    with TemporaryDirectory() as folder:
        tiny_whisper.write(Path(folder))
        return (Path(folder) / "model.bin").read_bytes()


def read_model_file(folder: Path, data: bytes) -> None:
    path = folder / "model.bin"
    path.write_bytes(data)
    for variable in ModelFile(path).values():
        variable.sum()


TOML: Final = """# settings
host = "127.0.0.1"
port = 8080
public_url = "https://calls.example.org/base"
database_url = "postgresql://user:secret@db.example.org:5432/calls?sslmode=require"
allow_private_urls = "10.0.0.0/8, crm.internal"
auth = "required"
max_calls = "auto"
record = false
telnyx_public_key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
idle_timeout_s = 30.5
speech_hangover_ms = 500
"""


def read_settings(folder: Path, data: bytes) -> None:
    path = folder / "callbridge.toml"
    path.write_bytes(data)
    settings = load(path)
    Guard(settings.allow_private_urls)
    sqlite_file(settings.database_url)


# -- what clients send ---------------------------------------------------------------------------------------------

SIGNER: Final = TokenSigner(["installation key", "the one before"], VirtualClock())


@cache
def tokens() -> list[str]:
    made = SIGNER.issue(tenant="acme", identity="me", scopes=[Scope.MEDIA], lifetime_s=60).token
    claims = jwt.decode(made, options={"verify_signature": False})
    return [made, *(jwt.encode(claims | change, SIGNER._keys[0], algorithm=ALGORITHM) for change in CLAIMS)]


CLAIMS: Final[tuple[dict[str, Any], ...]] = (
    {"exp": "soon"}, {"exp": 1e308}, {"scopes": "media"}, {"scopes": [1]}, {"scopes": None}, {"tenant": None}, {"sub": 5}, {"iat": "x"},
)  # fmt: skip

HEADERS: Final = ("Bearer cbk_0123456789abcdef", "Basic dXNlcjpwYXNzd29yZA==", "cbk_0123456789abcdef", "basic dTo=")
RETRY_AFTER: Final = ("120", "Fri, 31 Dec 1999 23:59:59 GMT", "Wed, 21 Oct 2099 07:28:00 +0200", "0")
URLS: Final = (
    "https://user:pass@hooks.example.org:8443/a/b?c=d#e", "http://[2606:4700::1111]:80/", "http://127.0.0.1/",
    "http://[fe80::1%25eth0]/", "https://xn--bcher-kva.example/", "http://0x7f.1/",
)  # fmt: skip
HOSTS: Final = ("//calls.example.org:8080", "https://[::1]:80", "//127.0.0.1", "null")
ALLOWED: Final = ("off", "on", "10.0.0.0/8, crm.internal., fd00::/8", "127.0.0.1")


def check_url(given: tuple[str, str]) -> None:
    allowed, url = given
    Guard(allowed).check_url(url)


def draw_outcome(by: Mutation) -> Outcome:
    return Outcome(status=503, retry_after=by.text(by.one_of(RETRY_AFTER)))


def draw_text(values: tuple[str, ...], by: Mutation) -> str:
    return by.text(by.one_of(values))


def parsers(folder: Path) -> Mapping[str, Parser]:
    """By name. `folder` is for files that are read."""
    return {
        **{
            f"dialect-{name}": Parser(draw=partial(draw_conversation, name), read=partial(hear, dialect))
            for name, dialect in DIALECTS.items()
        },
        **{
            f"upgrade-{name}": Parser(
                draw=partial(draw_handshake, dialect),
                read=lambda handshake, signed=dialect.signed: signed(handshake, SECRETS, NOW),
            )
            for name, dialect in DIALECTS.items()
        },
        **{
            f"voice-{voice.dialect}": Parser(
                draw=partial(draw_question, voice), read=partial(ask, voice), documented=(InvalidRequestError,)
            )
            for voice in VOICES
        },
        **{
            f"codec-{name}": Parser(draw=draw_payloads, read=partial(decode, name), documented=(CodecError,))
            for name in DECODERS
        },
        "codec-name": Parser(
            draw=lambda by: (by.text("PCMU"), by.value(8000)),
            read=lambda given: open_decoder(*given),
            documented=(UnknownEncodingError,),
        ),
        "rtp": Parser(
            draw=lambda by: by.raw(by.one_of(PACKETS)), read=parse_packet, documented=(MalformedPacketError,)
        ),
        "recording": Parser(draw=draw_recording, read=partial(front_door, folder), documented=(InvalidRequestError,)),
        "tape": Parser(draw=draw_tape, read=partial(read_tape, folder), documented=(SpoolError,)),
        "redo": Parser(draw=draw_redo_log, read=partial(read_redo_log, folder)),
        "model-file": Parser(
            draw=lambda by: by.raw(model_file()), read=partial(read_model_file, folder), documented=(SetupError,)
        ),
        "settings": Parser(
            draw=lambda by: by.raw(TOML.encode()),
            read=partial(read_settings, folder),
            documented=(SetupError,),
        ),
        "token": Parser(draw=lambda by: draw_text(tuple(tokens()), by), read=SIGNER.read),
        "claims": Parser(draw=lambda by: by.one_of(tokens()), read=SIGNER.read),
        "authorization": Parser(
            draw=partial(draw_text, HEADERS), read=lambda header: as_bearer(header, tuple(Proof)).encode
        ),
        "host": Parser(draw=partial(draw_text, HOSTS), read=host_of),
        "webhook-url": Parser(
            draw=lambda by: (draw_text(ALLOWED, by) if by.chance(0.3) else "off", draw_text(URLS, by)),
            read=check_url,
            documented=(InvalidRequestError,),
        ),
        "webhook-secret": Parser(
            draw=lambda by: by.text("whsec_MDEyMzQ1Njc4OWFiY2Rl").encode("utf-8", "replace").decode(), read=key_of
        ),
        "retry-after": Parser(draw=draw_outcome, read=lambda outcome: next_due(outcome, number=1, now=NOW, chance=0.5)),
        "search": Parser(draw=lambda by: by.text("don't “Ça va” ไม่เป็นไร 東京 3/4"), read=terms),
    }
