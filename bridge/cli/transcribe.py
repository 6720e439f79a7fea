"""`callbridge transcribe`: recordings into words, by the same engine as live calls."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

import click

from bridge.captions import as_srt, as_text, as_vtt
from bridge.cli import config_option, example
from bridge.cli.engine import engine_for, voices_for
from bridge.cli.progress import audio_bar, minutes
from bridge.clock import SystemClock
from bridge.errors import InvalidRequestError, SetupError
from bridge.model.frame import to_ms
from bridge.model.languages import languages_of
from bridge.ports import VoiceEncoder
from bridge.recognise.local import LocalEngine
from bridge.recordings.file import Recording, look
from bridge.recordings.transcribe import TranscribeOptions, Transcript, transcribe
from bridge.rttm import as_rttm
from bridge.settings import Settings, load
from bridge.speech.segmenter import Segmenter, SegmenterOptions
from bridge.store.payloads import transcript_fields


def _as_json(recording: Recording, transcript: Transcript) -> str:
    told = {
        "file": str(recording.path),
        "duration_ms": recording.duration_ms,
        "legs": recording.legs,
        **transcript_fields(transcript.segments, settled=True),
    }
    return json.dumps(told, ensure_ascii=False) + "\n"


FORMS: Final[Mapping[str, Callable[[Recording, Transcript], str]]] = {
    "text": lambda _, transcript: as_text(transcript.segments),
    "json": _as_json,
    "srt": lambda _, transcript: as_srt(transcript.segments),
    "vtt": lambda _, transcript: as_vtt(transcript.segments),
    "rttm": lambda recording, transcript: as_rttm(transcript.segments, recording.path.stem),
}
SUBTITLES: Final = frozenset({"srt", "vtt"})
"""A file each: two of them one behind the other are none."""


@click.command(
    epilog=example(
        "callbridge transcribe call.wav",
        "callbridge transcribe --format srt talk.mp3 > talk.srt",
        "callbridge transcribe --format json *.wav > calls.jsonl",
        "callbridge transcribe --diarize meeting.wav",
    )
)
@click.argument(
    "files", nargs=-1, required=True, metavar="FILE…", type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--format", "form", type=click.Choice(list(FORMS)), default="text", show_default=True, help="As what.")
@click.option("--language", help="A language code such as en; else it is found out.")
@click.option("--diarize", is_flag=True, help="Tell the speakers of one channel apart.")
@config_option
def command(*, files: tuple[Path, ...], form: str, language: str | None, diarize: bool, config: Path | None) -> None:
    """Put recordings of any format into words: mono is a mix, in stereo the caller is left and the agent right.

    JSON is a line a file. Status 1: some file could not be read, or some of its speech not be decoded.
    """
    if form in SUBTITLES and len(files) > 1:
        raise InvalidRequestError(f"--format {form}: one file at a time; subtitles of several cannot stand together")
    settings = load(config, language=language)
    if settings.language != "auto" and settings.language not in languages_of(settings.model):
        raise SetupError(f"--language: {settings.model!r} does not write {settings.language!r}")
    whole = asyncio.run(_transcribe(files, form, settings, diarize=diarize or settings.diarize))
    if not whole:
        raise click.exceptions.Exit(1)


async def _transcribe(files: tuple[Path, ...], form: str, settings: Settings, *, diarize: bool) -> bool:
    """Whether all that was said in all files is in the output."""
    voices = voices_for(settings) if diarize else None
    engine = engine_for(settings, SystemClock())
    whole = True
    try:
        for number, path in enumerate(files, 1):
            if form == "text" and len(files) > 1:
                click.echo(f"{'' if number == 1 else chr(10)}==> {path} <==")
            try:
                recording = await asyncio.to_thread(look, path)
                transcript = await _one(recording, engine, voices, settings, f"{path.name} ({number}/{len(files)})")
            except InvalidRequestError as error:
                click.echo(f"callbridge: {error.message}", err=True)
                whole = False
                continue
            click.echo(FORMS[form](recording, transcript), nl=False)
            _remark(recording, transcript)
            whole = whole and not transcript.undecoded
    finally:
        await engine.close()
        if voices is not None:
            voices.close()
    return whole


async def _one(
    recording: Recording, engine: LocalEngine, voices: VoiceEncoder | None, settings: Settings, title: str
) -> Transcript:
    options = TranscribeOptions(
        language=None if settings.language == "auto" else settings.language,
        segmenter=partial(Segmenter, SegmenterOptions(hangover_ms=settings.speech_hangover_ms)),
        at_once=engine.tuning.workers * engine.tuning.max_batch,
        voices=voices,
    )
    with audio_bar(title, recording.duration_ms) as done:
        return await transcribe(recording, engine, SystemClock(), options, done)


def _remark(recording: Recording, transcript: Transcript) -> None:
    """What the reader of the output would not see in it."""
    if not transcript.segments:
        click.echo(f"{recording.path}: nobody speaks", err=True)
    if recording.damaged:
        click.echo(f"{recording.path}: {recording.damaged} damaged packets are left out", err=True)
    if recording.missing_ms:
        click.echo(f"{recording.path}: ends {minutes(recording.missing_ms)} before its header says", err=True)
    for lost in transcript.undecoded:
        start, end = to_ms(lost.position), to_ms(lost.position + lost.samples)
        click.echo(
            f"callbridge: {recording.path}: {minutes(start)}–{minutes(end)} ({lost.leg}) could not be decoded", err=True
        )
