"""The benchmark of turns' ends: material, trial and scores put together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Final

from rich.table import Table

from bridge.bench.calls import SpokenWord, read_fixture, read_folder
from bridge.bench.compose import BUNDLED, Clip, clips
from bridge.bench.measure import quantile
from bridge.bench.smart_turn import SmartTurn
from bridge.bench.turn_material import Take, on_the_line, takes_of_call, takes_of_clip
from bridge.bench.turn_scores import LOOKS_S, eagerness, rows
from bridge.bench.turn_trial import Pause, pauses
from bridge.model.frame import to_ms
from bridge.ports import Clock, DecodeJob, Engine, Urgency
from bridge.turns.text import TRAILING

KINDS: Final = ("prompt", "read", "emotion")
"""Of a folder of recordings: one person who says one thing."""


async def trial(
    folders: Sequence[Path], engine: Engine, clock: Clock, *, smart: SmartTurn | None, done: Callable[[Take], None]
) -> list[Pause]:
    """Every pause of every turn there is: of the bundled sentences, and of the recordings in some folders."""
    found: list[Pause] = []
    async for take in _takes(folders, engine, clock):
        found += await pauses(take, engine, clock, smart)
        done(take)
    return found


async def _takes(folders: Sequence[Path], engine: Engine, clock: Clock) -> AsyncIterator[Take]:
    for wav in sorted(BUNDLED.glob("*.wav")):
        for number, clip in enumerate(clips(read_fixture(wav))):
            yield takes_of_clip(clip, wav.stem, f"{wav.stem}-{number}", clip.utterance.words)
    for call in (call for folder in folders for call in read_folder(folder)):
        if call.language[:2] not in TRAILING:
            continue
        if call.kind == "call":
            for take in takes_of_call(call):
                yield take
        elif call.kind in KINDS:
            for clip in clips(call):
                yield takes_of_clip(clip, call.kind, call.id, await _words_of(clip, engine, clock))


async def _words_of(clip: Clip, engine: Engine, clock: Clock) -> list[SpokenWord]:
    """Where the words of a recording are, as the recogniser aligns them."""
    samples = on_the_line(clip)
    job = DecodeJob(
        samples=samples,
        urgency=Urgency.FINAL,
        deadline=clock.monotonic(),
        language=clip.language[:2],
        want_words=True,
    )
    decoded = await engine.decode(job)
    words = () if decoded is None else decoded.words
    return [SpokenWord(word=word.text, start_ms=to_ms(word.start), end_ms=to_ms(word.end)) for word in words]


def turns_table(pauses_of: Sequence[Pause], title: str) -> Table:
    """The systems side by side, for people."""
    table = Table(title=title)
    table.add_column("system")
    for look in LOOKS_S:
        table.add_column(f"cut by {1000 * look:.0f} ms", justify="right")
        table.add_column(f"found by {1000 * look:.0f} ms", justify="right")
    table.add_column("median at 5 % cut / ms", justify="right")
    table.add_column("p90 / ms", justify="right")
    for row in rows(pauses_of):
        looks = [f"{100 * share:.1f} %" for pair in zip(row.cut, row.found, strict=True) for share in pair]
        best = row.at_five
        delays = ["none", "none"] if best is None else [f"{1000 * best.median_s:.0f}", f"{1000 * best.p90_s:.0f}"]
        table.add_row(row.name, *looks, *delays)
    return table


def summary(pauses_of: Sequence[Pause]) -> list[str]:
    """How many turns, what the preset `bot` does, and what a look costs."""
    turns = len({pause.take for pause in pauses_of})
    bot = eagerness(pauses_of)
    checks = [1000 * pause.check_s for pause in pauses_of]
    decodes = [1000 * pause.decode_s for pause in pauses_of]
    ms = [1000 * figure for figure in (bot.median_s, bot.earlier_s)]
    costs = [f"median {quantile(of, 0.5):.1f} ms, p95 {quantile(of, 0.95):.1f} ms" for of in (checks, decodes)]
    return [
        f"{turns} turns, {len(pauses_of)} pauses, {sum(not pause.at_end for pause in pauses_of)} of them inside",
        f"bot: {bot.cut:.1%} cut, median {ms[0]:.0f} ms; eager {ms[1]:.0f} ms earlier, {bot.taken_back:.0%} taken back",
        f"a look: {costs[0]}; the words: {costs[1]}, of one core",
    ]
