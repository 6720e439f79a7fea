"""`callbridge bench`: how many live calls this machine holds, at which delay, error rate and cost."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console
from rich.progress import Progress

from bridge.bench.accuracy import accuracy
from bridge.bench.calls import read_folder
from bridge.bench.child import child_server
from bridge.bench.compose import Clip, Shape, bundled, clips, compose, one_line
from bridge.bench.load import Server, run
from bridge.bench.long_call import long_call, long_table
from bridge.bench.naming_delay import NamingDelay, naming_delay, naming_of, naming_table
from bridge.bench.report import accuracy_of, accuracy_table, figures_of, speakers_of, speakers_table, table_of
from bridge.bench.smart_turn import SmartTurn
from bridge.bench.speakers import SpeakerCall, SpeakerModels, score_rttm, score_speakers, speaker_calls
from bridge.bench.turn_trial import Pause
from bridge.bench.turns import summary, trial, turns_table
from bridge.cli import config_option, example
from bridge.cli.engine import voices_for
from bridge.clock import SystemClock
from bridge.errors import SetupError
from bridge.recognise.local import open_engine
from bridge.settings import load
from bridge.speakers.encoder import LIKENESS, CampPlus, Segmentation
from bridge.speakers.weights import SEGMENTATION, find_model

P95_S: Final = 1.0
P99_S: Final = 2.0
"""What a machine must keep to hold so many calls: the final's delay behind the true end of speech."""

LOST: Final = 0.01
"""Share of utterances that may go without a final, as any recogniser has it."""

MOST: Final = 512

Trial = Callable[[int], Awaitable[dict[str, Any]]]


json_option = click.option(
    "--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="The figures as JSON."
)


@click.group(
    invoke_without_command=True,
    epilog=example(
        "callbridge bench --calls 8",
        "callbridge bench --find-capacity --json capacity.json",
        "callbridge bench --calls 4 --audio recordings/ --language en",
        "callbridge bench --accuracy --audio recordings/ --kind prompt",
        "callbridge bench speakers --audio recordings/",
        "callbridge bench naming --calls 2",
        "callbridge bench turns --audio recordings/",
    ),
)
@click.option("--calls", "counts", type=click.IntRange(1, MOST), multiple=True, help="Calls at once; repeatable.")
@click.option("--find-capacity", is_flag=True, help="The most calls that keep p95 ≤ 1 s and p99 ≤ 2 s.")
@click.option("--accuracy", "only_accuracy", is_flag=True, help="Word error rates on --audio, not in real time.")
@click.option("--audio", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Recordings to use.")
@click.option("--kind", "kinds", multiple=True, help="Only recordings of this kind; repeatable.")
@click.option("--language", default="", help="Only recordings in this language.")
@click.option("--minutes", type=click.FloatRange(0.2, 60), default=0.97, show_default=True, help="Length of a call.")
@click.option("--seed", default=0, show_default=True, help="Which calls are made up of the recordings.")
@click.option("--to", "url", metavar="URL", help="A server that runs already, e.g. http://127.0.0.1:8080.")
@click.option("--token", envvar="CALLBRIDGE_TOKEN", help="An API key of that server.")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    *,
    counts: tuple[int, ...],
    find_capacity: bool,
    only_accuracy: bool,
    audio: Path | None,
    kinds: tuple[str, ...],
    language: str,
    minutes: float,
    seed: int,
    url: str | None,
    token: str | None,
    json_file: Path | None,
) -> None:
    """Place live calls in real time through real media sockets, and measure what comes back.

    Each call is made of single utterances with pauses of 1.2–2 s, and hangs up half a second after its last word.
    Without --to a server is started for it. Times count from the true end of speech. CPU is the server's alone.
    """
    if ctx.invoked_subcommand is not None:
        return
    if url is not None and token is None:
        raise click.UsageError("--to needs --token: an API key of that server")
    if only_accuracy:
        _accuracy(audio, kinds, language, json_file)
        return
    sentences = _sentences(audio, kinds, language)
    console = Console(stderr=True)

    async def all_of_it() -> list[dict[str, Any]]:
        if url is not None and token is not None:
            return await _runs(_trial(Server(url, token), sentences, minutes, seed, console), counts, find_capacity)
        async with child_server({}) as server:
            return await _runs(_trial(server, sentences, minutes, seed, console), counts, find_capacity)

    runs = asyncio.run(all_of_it())
    Console().print(table_of(sorted(runs, key=lambda one: one["calls"])))
    held = max((one["calls"] for one in runs if holds(one)), default=0)
    click.echo(f"held with p95 ≤ {P95_S:g} s and p99 ≤ {P99_S:g} s: {held} calls")
    if json_file is not None:
        json_file.write_text(json.dumps({"capacity": held, "runs": runs}, indent=1) + "\n")
    if not any(one["calls"] for one in runs):
        sys.exit(1)


@command.command(
    short_help="Who spoke when: diarization error rates.",
    epilog=example(
        "callbridge bench speakers --audio recordings/",
        "callbridge bench speakers --audio recordings/ --rttm what-another-wrote/",
        "callbridge bench speakers --audio recordings/ --hours 2",
    ),
)
@click.option(
    "--audio",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Recordings of one channel, NAME.wav with NAME.rttm beside it.",
)
@click.option(
    "--rttm",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Score what another diarizer wrote about them, NAME.rttm, instead of ours.",
)
@click.option("--hours", type=click.FloatRange(0.01, 24), help="Say each again and again for so long, as one call.")
@json_option
@config_option
def speakers(
    *, audio: Path, rttm: Path | None, hours: float | None, json_file: Path | None, config: Path | None
) -> None:
    """Diarization error rates through an 8 kHz μ-law line: live, one second later, and when the call is over.

    The collar is 0.25 s on either side of a reference boundary. Where two speak at once is scored, and is left out
    under "no overlap"; "overlaps" is how much of it is found, "right" how much of what is found is some.
    """
    calls = speaker_calls(audio)
    if hours is not None:
        _long_calls(calls, hours, json_file, config)
        return
    if rttm is not None:
        rows = [score_rttm(call, rttm) for call in calls]
    else:
        settings = load(config)
        voices = CampPlus(find_model(settings.speaker_model, model_dir=settings.model_dir))
        together = Segmentation(find_model(SEGMENTATION, model_dir=settings.model_dir))
        models = SpeakerModels(embed=voices.embed, overlaps=together.overlaps, likeness=LIKENESS)
        with Progress(console=Console(stderr=True), transient=True) as progress:
            tracked = progress.track(calls, description="recordings")
            rows = [score_speakers(call, models) for call in tracked]
    Console().print(speakers_table(rows))
    if json_file is not None:
        json_file.write_text(json.dumps(speakers_of(rows), indent=1) + "\n")


@command.command(
    short_help="How much later finals come for saying who speaks.",
    epilog=example("callbridge bench naming --calls 2 --minutes 3"),
)
@click.option("--calls", "count", type=click.IntRange(1, MOST), default=1, show_default=True, help="Pairs at once.")
@click.option("--minutes", type=click.FloatRange(0.2, 60), default=3.0, show_default=True, help="Length of a call.")
@json_option
def naming(*, count: int, minutes: float, json_file: Path | None) -> None:
    """Place every call twice at once, with `diarize=true` and without, and compare when their finals come.

    Two voices of the bundled set share a line; both calls of a pair are the same audio, begun at different moments.
    """
    calls = compose(one_line(bundled()), count, shape=Shape(call_ms=round(minutes * 60_000)))

    async def both() -> NamingDelay:
        async with child_server({}) as server:
            return await naming_delay(server, calls, SystemClock())

    with Console(stderr=True).status(f"{2 * count} calls, {minutes:g} min each …"):
        delay = asyncio.run(both())
    Console().print(naming_table(delay))
    if json_file is not None:
        json_file.write_text(json.dumps(naming_of(delay), indent=1) + "\n")


def _long_calls(calls: Sequence[SpeakerCall], hours: float, json_file: Path | None, config: Path | None) -> None:
    voices = voices_for(load(config))
    found = {}
    try:
        for call in calls:
            with Console(stderr=True).status(f"{call.name}, {hours:g} h …"):
                found[call.name] = asyncio.run(long_call(call, hours, voices, SystemClock()))
            Console().print(long_table(call.name, found[call.name]))
    finally:
        voices.close()
    if json_file is not None:
        json_file.write_text(json.dumps({name: asdict(one) for name, one in found.items()}, indent=1) + "\n")


def _accuracy(audio: Path | None, kinds: Sequence[str], language: str, json_file: Path | None) -> None:
    if audio is None:
        raise click.UsageError("--accuracy needs --audio: a folder of recordings with references")
    calls = list(read_folder(audio, kinds=kinds, language=language))
    clock = SystemClock()

    async def scored() -> dict[str, dict[str, Any]]:
        engine = open_engine(load(), clock)
        try:
            with Progress(console=Console(stderr=True), transient=True) as progress:
                task = progress.add_task("recordings", total=len(calls))
                scores = await accuracy(
                    calls, engine, clock, offline=engine.weights.folder, done=lambda: progress.advance(task)
                )
        finally:
            await engine.close()
        return accuracy_of(scores)

    rows = asyncio.run(scored())
    Console().print(accuracy_table(rows))
    if json_file is not None:
        json_file.write_text(json.dumps(rows, indent=1) + "\n")


def holds(run: dict[str, Any]) -> bool:
    """Whether so many calls were served as they should be."""
    if run["refused"] or run["final_p95_s"] is None:
        return False
    in_time = run["final_p95_s"] <= P95_S and run["final_p99_s"] <= P99_S
    return bool(in_time and run["lost_at_end"] == 0)


def _sentences(audio: Path | None, kinds: Sequence[str], language: str) -> list[Clip]:
    if audio is None:
        return bundled()
    found = [clip for call in read_folder(audio, kinds=kinds, language=language) for clip in clips(call)]
    if not found:
        raise SetupError(f"{audio}: no recording with a reference to make calls of")
    return found


def _trial(server: Server, sentences: Sequence[Clip], minutes: float, seed: int, console: Console) -> Trial:
    async def trial(count: int) -> dict[str, Any]:
        calls = compose(sentences, count, seed=seed, shape=Shape(call_ms=round(minutes * 60_000)))
        longest = max(call.duration_ms for call in calls) / 1000
        with console.status(f"{count} calls, {longest:.0f} s each …"):
            return figures_of(await run(server, calls, SystemClock(), seed=seed))

    return trial


async def _runs(trial: Trial, counts: Sequence[int], find_capacity: bool) -> list[dict[str, Any]]:
    if not find_capacity:
        return [await trial(count) for count in counts or (1,)]
    runs = []
    held, refused = 0, 2
    while refused <= MOST:
        runs.append(await trial(refused))
        if not holds(runs[-1]):
            break
        held, refused = refused, refused * 2
    while refused - held > max(1, held // 8):
        middle = (held + refused) // 2
        runs.append(await trial(middle))
        held, refused = (middle, refused) if holds(runs[-1]) else (held, middle)
    return runs


@command.command("turns", epilog=example("callbridge bench turns --audio recordings/ --json turns.json"))
@click.option(
    "--audio",
    "folders",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Recordings with references, beside the bundled ones; repeatable.",
)
@click.option(
    "--smart-turn", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Smart Turn 3's ONNX file."
)
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Every pause as JSON.")
def turns(folders: tuple[Path, ...], smart_turn: Path | None, json_file: Path | None) -> None:
    """How soon the end of a turn is known, and how often it is none, beside plain silence and Smart Turn."""
    clock = SystemClock()

    async def heard() -> list[Pause]:
        engine = open_engine(load(), clock)
        smart = None if smart_turn is None else SmartTurn(smart_turn)
        try:
            with Progress(console=Console(stderr=True), transient=True) as progress:
                task = progress.add_task("turns", total=None)
                return await trial(folders, engine, clock, smart=smart, done=lambda _: progress.advance(task))
        finally:
            await engine.close()

    pauses = asyncio.run(heard())
    if json_file is not None:
        json_file.write_text("\n".join(json.dumps(asdict(pause)) for pause in pauses) + "\n")
    for title, tuned in (("test", False), ("tuned on", True)):
        part = [pause for pause in pauses if pause.tuned is tuned]
        if part:
            Console().print(turns_table(part, title))
            click.echo("\n".join(summary(part)))
