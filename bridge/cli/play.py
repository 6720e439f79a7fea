"""`callbridge play`: be a carrier, with a recording for a call."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

import click
import numpy as np

from bridge.audio.decode import decoder_for
from bridge.carrier.audio import CallAudio, read_call
from bridge.carrier.place import CallReport, Manner, place_call
from bridge.carrier.place_rtp import SCHEME, destinations, legs_for, place_rtp_call
from bridge.carrier.place_whip import NAME as WHIP
from bridge.carrier.place_whip import OFFERED as WHIP_FORMATS
from bridge.carrier.place_whip import WhipSide, place_whip_call
from bridge.carrier.rtp import RtpSide
from bridge.carrier.side import CarrierSide, Dialled, encode_for
from bridge.carrier.tcp import SCHEME as TCP
from bridge.cli import example
from bridge.cli.progress import audio_bar
from bridge.clock import SystemClock
from bridge.dialects import DIALECTS, OTHER_WAYS, Dialect, Frames
from bridge.errors import CallRefusedError
from bridge.ingest.whip import CARRIER
from bridge.model.stream import Leg, MediaFormat

USUAL: Final = "twilio"
HTTP: Final = frozenset({"http", "https"})
NORMAL_CLOSES: Final = frozenset({1000, 1005})
"""Said in so many words, or a closing frame without a code."""


def _address(_context: click.Context, _option: click.Parameter, given: str) -> str:
    url = urlsplit(given)
    if url.scheme == SCHEME:
        destinations(given)
    elif url.scheme not in {"ws", "wss", TCP, *HTTP} or not url.netloc:
        raise click.BadParameter(
            f"{given!r} is not like wss://calls.example.org/v1/media/twilio, https://calls.example.org/v1/whip, "
            "tcp://host:9092 or rtp://host:40000"
        )
    return given


def _check_dialect(url: str, dialect: Dialect, params: Sequence[str]) -> None:
    """Raises BadParameter for what the dialect cannot be spoken to, or cannot carry."""
    address, over_tcp = urlsplit(url), dialect.frames is Frames.TCP
    if over_tcp != (address.scheme == TCP):
        raise click.BadParameter(f"{dialect.title} is not spoken at {address.scheme}://", param_hint="--to")
    if over_tcp and params:
        raise click.BadParameter(
            f"{dialect.title} carries none: announce the call with POST /v1/audiosocket, and call with its UUID "
            f"({TCP}://HOST:PORT/UUID)",
            param_hint="--param",
        )


def _uuid_in(url: str) -> str | None:
    """The call's id, where the address names it, as Asterisk's `Dial(AudioSocket/HOST:PORT/UUID)` does."""
    named = urlsplit(url).path.strip("/")
    if urlsplit(url).scheme != TCP or not named:
        return None
    try:
        return UUID(named).hex
    except ValueError:
        raise click.BadParameter(f"{named!r} is no UUID", param_hint="--to") from None


def _carriers() -> str:
    """The table of dialects, for `--help`."""
    titles = {name: row.title for name, row in DIALECTS.items()}
    titles |= {SCHEME: OTHER_WAYS[SCHEME].title, WHIP: OTHER_WAYS[CARRIER].title}
    return "\b\nDialects:\n" + "\n".join(f"  {name:<13}{title}" for name, title in titles.items()) + "\n\n"


@click.command(
    epilog=_carriers()
    + example(
        "callbridge play call.wav --to ws://127.0.0.1:8080/v1/media/twilio --token $KEY",
        "callbridge play call.wav --to wss://calls.example.org/v1/media/twilio --secret $TWILIO_AUTH_TOKEN \\",
        "    --param call_id=demo-1 --param metadata.queue=sales",
        "callbridge play call.wav --to http://127.0.0.1:8080/v1/whip --dialect whip --token $KEY",
        "callbridge play call.wav --to rtp://127.0.0.1:40000,40002",
    )
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--to",
    "url",
    required=True,
    metavar="URL",
    callback=_address,
    help="Where the call goes: ws://…, wss://…, http://…, https://…, tcp://… or rtp://…",
)
@click.option(
    "--dialect",
    type=click.Choice([*DIALECTS, SCHEME, WHIP]),
    metavar="NAME",
    show_default="twilio; rtp to an address of rtp://, whip to one of http:// or https://",
    help="Which carrier to be: one of the list below.",
)
@click.option(
    "--codec",
    metavar="NAME[@RATE]",
    help="What the audio is coded in, where the dialect leaves a choice: G722, L16LE@16000 …",
)
@click.option("--speed", type=click.FloatRange(0.1, 20), default=1.0, show_default=True, help="Times real time.")
@click.option("--param", "params", multiple=True, metavar="K=V", help="A custom parameter of the stream; repeatable.")
@click.option("--token", envvar="CALLBRIDGE_TOKEN", help="An API key or token, sent as the dialect carries it.")
@click.option(
    "--answer",
    "answer_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="What came back to the caller, as WAV.",
)
@click.option("--secret", envvar="CALLBRIDGE_CARRIER_SECRET", help="What the carrier signs its upgrade with.")
def command(
    *,
    file: Path,
    url: str,
    dialect: str | None,
    codec: str | None,
    speed: float,
    params: tuple[str, ...],
    token: str | None,
    answer_file: Path | None,
    secret: str | None,
) -> None:
    """Replay FILE as a live call: mono is the caller, in stereo the caller is left and the agent right.

    Prints what the other side sent back. Status 0: the call was taken to its end; 1: it was refused or cut off.
    """
    over_rtp, over_whip = url.startswith(f"{SCHEME}:"), urlsplit(url).scheme in HTTP
    if dialect is not None and over_rtp != (dialect == SCHEME):
        raise click.UsageError("the dialect rtp and an address that begins with rtp:// go together")
    if dialect is not None and over_whip != (dialect == WHIP):
        raise click.UsageError("the dialect whip and an address that begins with http:// or https:// go together")
    if not over_rtp and not over_whip:
        _check_dialect(url, DIALECTS[dialect or USUAL], params)
    recording = read_call(file)
    call = Dialled(
        legs=tuple(recording.legs),
        parameters=dict(_pair(given) for given in params),
        token=token,
        secret=secret,
    )
    if over_rtp:
        over = _rtp_side(url, recording, call, codec)
        _tell_sent(asyncio.run(_play_rtp(url, recording, over, speed)))
        _keep_answer(answer_file, over)
        return
    if over_whip:
        publisher = _whip_side(recording, call, codec, hears=answer_file is not None)
        report = asyncio.run(_play_whip(url, publisher, call, speed))
        _tell_sent(report)
        _keep_answer(answer_file, publisher.rtp)
        if report.close_code not in NORMAL_CLOSES:
            raise CallRefusedError("the other side ended the call", status=None)
        return
    spoken = DIALECTS[dialect or USUAL]
    if (uuid := _uuid_in(url)) is not None:
        call = replace(call, carrier_call_id=uuid)
    if codec is not None:
        call = replace(call, media_format=_coded(codec, spoken.speak(call).offered))
    side = spoken.speak(call)
    report = asyncio.run(_play(url, recording, spoken, side, speed))
    _tell(report)
    _keep_answer(answer_file, side)
    if report.close_code not in NORMAL_CLOSES:
        raise click.exceptions.Exit(1)


async def _play(url: str, recording: CallAudio, dialect: Dialect, side: CarrierSide, speed: float) -> CallReport:
    audio = encode_for(side, recording)
    with audio_bar("Calling", audio.duration_ms) as sent:
        return await place_call(
            url,
            audio,
            side,
            clock=SystemClock(),
            manner=Manner(speed=speed),
            subprotocols=dialect.subprotocols,
            progress=lambda milliseconds: sent(int(milliseconds)),
        )


def _rtp_side(url: str, recording: CallAudio, call: Dialled, codec: str | None) -> RtpSide:
    call = replace(call, legs=legs_for(tuple(recording.legs), len(destinations(url))))
    return RtpSide(call if codec is None else replace(call, media_format=_coded(codec, RtpSide.offered)))


async def _play_rtp(url: str, recording: CallAudio, side: RtpSide, speed: float) -> CallReport:
    audio = encode_for(side, recording)
    with audio_bar("Calling", audio.duration_ms) as sent:
        return await place_rtp_call(
            dict(zip(side.legs, destinations(url), strict=True)),
            audio,
            side,
            clock=SystemClock(),
            manner=Manner(speed=speed),
            progress=lambda milliseconds: sent(int(milliseconds)),
        )


def _whip_side(recording: CallAudio, call: Dialled, codec: str | None, *, hears: bool) -> WhipSide:
    if codec is not None:
        call = replace(call, media_format=_coded(codec, WHIP_FORMATS))
    return WhipSide.of(call, recording, hears=hears)


async def _play_whip(url: str, side: WhipSide, call: Dialled, speed: float) -> CallReport:
    with audio_bar("Calling", side.audio.duration_ms) as sent:
        return await place_whip_call(
            url,
            side,
            parameters=call.parameters,
            token=call.token,
            clock=SystemClock(),
            manner=Manner(speed=speed),
            progress=lambda milliseconds: sent(int(milliseconds)),
        )


def _keep_answer(path: Path | None, side: CarrierSide) -> None:
    """What the other side has said to the caller, in 16-bit samples at the line's rate."""
    if path is None:
        return
    decoder = decoder_for(side.media_format, Leg.AGENT)
    samples = np.concatenate([np.zeros(0, np.int16), *(decoder.decode(payload) for payload in side.answer)])
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(side.media_format.sample_rate)
        file.writeframes(samples.astype("<i2").tobytes())


def _tell_sent(report: CallReport) -> None:
    click.echo(f"{report.messages_sent} packets sent", err=True)


def _tell(report: CallReport) -> None:
    for message in report.received:
        click.echo(message if isinstance(message, str) else f"({len(message)} bytes)")
    if (untold := report.received_count - len(report.received)) > 0:
        click.echo(f"… and {untold} more", err=True)
    closed = "the connection was cut" if report.close_code is None else f"closed with {report.close_code}"
    reason = f" ({report.close_reason})" if report.close_reason else ""
    click.echo(f"{report.messages_sent} messages sent, {closed}{reason}", err=True)


def _coded(wanted: str, offered: Sequence[MediaFormat]) -> MediaFormat:
    """`NAME` or `NAME@RATE` as one of the formats that a dialect offers."""
    names = {f"{each.encoding}@{each.sample_rate}": each for each in reversed(offered)}
    names |= {str(each.encoding): each for each in reversed(offered)}  # the first of a name is the usual one
    try:
        return names[wanted.upper()]
    except KeyError:
        known = ", ".join(f"{each.encoding}@{each.sample_rate}" for each in offered)
        raise click.BadParameter(f"{wanted!r} is not sent in this dialect; {known} are", param_hint="--codec") from None


def _pair(given: str) -> tuple[str, str]:
    name, equals, value = given.partition("=")
    if not name or not equals:
        raise click.BadParameter(f"{given!r} is not NAME=VALUE", param_hint="--param")
    return name, value
