"""How much later finals come when they say who speaks: the same calls with and without, at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.table import Table

from bridge.bench.calls import BenchCall
from bridge.bench.load import Server, run
from bridge.bench.measure import Figures, quantile
from bridge.ports import Clock

SHARES: Final = {"p50": 0.5, "p95": 0.95}


@dataclass(frozen=True, slots=True, kw_only=True)
class NamingDelay:
    """Both runs, of the same calls in the same order."""

    plain: Figures
    named: Figures

    @property
    def later_s(self) -> list[float]:
        """Of each utterance, how much later its final came; empty unless both runs have all of them."""
        if self.plain.missing or self.named.missing:
            return []
        return [named - plain for plain, named in zip(self.plain.finals_s, self.named.finals_s, strict=True)]


async def naming_delay(server: Server, calls: Sequence[BenchCall], clock: Clock) -> NamingDelay:
    """Place all calls twice, side by side."""
    plain, named = await asyncio.gather(
        run(server, calls, clock, seed=0), run(server, calls, clock, seed=1, parameters={"diarize": "true"})
    )
    return NamingDelay(plain=plain.figures, named=named.figures)


def naming_of(delay: NamingDelay) -> dict[str, Any]:
    """Seconds as JSON values."""
    rows = {"plain": delay.plain.finals_s, "named": delay.named.finals_s, "later": delay.later_s}
    found = {name: {share: quantile(values, at) for share, at in SHARES.items()} for name, values in rows.items()}
    return {"utterances": len(delay.plain.finals_s), "missing": [delay.plain.missing, delay.named.missing], **found}


def naming_table(delay: NamingDelay) -> Table:
    """From the true end of an utterance to its final; the last row is of each utterance against itself."""
    table = Table(title=f"finals of {len(delay.plain.finals_s)} utterances", title_justify="left")
    for name in ("", *(f"{share} / s" for share in SHARES)):
        table.add_column(name, justify="right" if name else "left")
    for name, values in (
        ("without speakers", delay.plain.finals_s),
        ("with speakers", delay.named.finals_s),
        ("each later by", delay.later_s),
    ):
        table.add_row(name, *(f"{quantile(values, at):.3f}" for at in SHARES.values()))
    return table
