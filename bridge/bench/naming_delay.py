"""How much later finals come when they say who speaks: the same calls with and without, at the same time."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.table import Table

from bridge.bench.calls import BenchCall
from bridge.bench.load import Server, run
from bridge.bench.measure import Figures, quantile
from bridge.ports import Clock

SHARES: Final = {"p50": 0.5, "p95": 0.95}
BUCKET: Final = 'naming_wait_seconds_bucket{le="'


@dataclass(frozen=True, slots=True, kw_only=True)
class NamingDelay:
    """Both runs, of the same calls in the same order."""

    plain: Figures
    named: Figures
    waited: tuple[tuple[float, float], ...]
    """Seconds, and how many finals waited no longer for their voices, as the server counted."""

    @property
    def later_s(self) -> list[float]:
        """Of each utterance, how much later its final came; empty unless both runs have all of them."""
        if self.plain.missing or self.named.missing:
            return []
        return [named - plain for plain, named in zip(self.plain.finals_s, self.named.finals_s, strict=True)]

    def waited_s(self, share: float) -> float:
        """That many finals waited no longer than this, as finely as it is counted; NaN of none."""
        total = self.waited[-1][1] if self.waited else 0
        return next((bound for bound, waited in self.waited if total and waited >= share * total), math.nan)


async def naming_delay(server: Server, calls: Sequence[BenchCall], clock: Clock) -> NamingDelay:
    """Place all calls twice, side by side."""
    plain, named = await asyncio.gather(
        run(server, calls, clock, seed=0), run(server, calls, clock, seed=1, parameters={"diarize": "true"})
    )
    buckets = {name: value for name, value in named.engine.items() if name.startswith(BUCKET)}
    waited = sorted((float(name.removeprefix(BUCKET).rstrip('"}')), value) for name, value in buckets.items())
    return NamingDelay(plain=plain.figures, named=named.figures, waited=tuple(waited))


def naming_of(delay: NamingDelay) -> dict[str, Any]:
    """Seconds as JSON values."""
    rows = {"plain": delay.plain.finals_s, "named": delay.named.finals_s, "later": delay.later_s}
    waited = {share: delay.waited_s(at) for share, at in SHARES.items()}
    found = {name: {share: quantile(values, at) for share, at in SHARES.items()} for name, values in rows.items()}
    missing = [delay.plain.missing, delay.named.missing]
    return {"utterances": len(delay.plain.finals_s), "missing": missing, "waited": waited, **found}


def naming_table(delay: NamingDelay) -> Table:
    """From the true end of an utterance to its final; "each later by" is of each utterance against itself."""
    table = Table(title=f"finals of {len(delay.plain.finals_s)} utterances", title_justify="left")
    for name in ("", *(f"{share} / s" for share in SHARES)):
        table.add_column(name, justify="right" if name else "left")
    for name, values in (
        ("without speakers", delay.plain.finals_s),
        ("with speakers", delay.named.finals_s),
        ("each later by", delay.later_s),
    ):
        table.add_row(name, *(f"{quantile(values, at):.3f}" for at in SHARES.values()))
    table.add_row("waited for voices, at most", *(f"{delay.waited_s(at):g}" for at in SHARES.values()))
    return table
