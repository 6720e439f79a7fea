"""The recogniser's figures in `/metrics`, as long as it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bridge.engine_metrics import engine_metrics
from bridge.metrics import render
from bridge.ports import Decoded, DecodeJob, Urgency
from bridge.recognise.scheduler import Scheduler
from bridge.recognise.workers import Encoded, Joining, Tell
from tests.clock import VirtualClock


@dataclass(frozen=True)
class Plan:
    job: DecodeJob
    window_s: int = 8
    previous_tokens: int = 0


class OneWorker:
    """Hears nothing, at once."""

    count = 1
    apart = 0
    joins = False

    def plan(self, job: DecodeJob) -> Plan:
        return Plan(job)

    async def encode(self, plan: Plan, *, apart: bool = False) -> Encoded[Plan]:
        return Encoded(plan, None)

    async def decode(
        self,
        batch: Sequence[Encoded[Plan]],
        tell: Tell,
        joining: Joining[Plan],
        *,
        apart: bool = False,
    ) -> None:
        for index in range(len(batch)):
            tell(index, Decoded.nothing("en"))

    async def close(self) -> None: ...


def shown(name: str) -> list[str]:
    return [line for line in render().decode().splitlines() if line.startswith(name)]


async def test_what_the_engine_did_is_shown_while_it_runs(clock: VirtualClock) -> None:
    """Counts by urgency come from the scheduler itself; with the engine they go."""
    engine = Scheduler(OneWorker(), clock)
    second = np.zeros(16_000, dtype=np.float32)
    with engine_metrics(engine):
        for urgency in (Urgency.FINAL, Urgency.FINAL, Urgency.PARTIAL):
            await engine.decode(DecodeJob(samples=second, urgency=urgency, deadline=clock.monotonic() + 1))
        assert shown("callbridge_decodes_total") == [
            'callbridge_decodes_total{urgency="final"} 2.0',
            'callbridge_decodes_total{urgency="speculative"} 0.0',
            'callbridge_decodes_total{urgency="partial"} 1.0',
            'callbridge_decodes_total{urgency="settle"} 0.0',
            'callbridge_decodes_total{urgency="recording"} 0.0',
        ]
        assert shown("callbridge_engine_speech_seconds_total") == ["callbridge_engine_speech_seconds_total 2.0"]
        assert len(shown("callbridge_engine_pressure")) == 1
        assert shown("callbridge_engine_late_seconds") == ["callbridge_engine_late_seconds 0.0"]
    assert shown("callbridge_decodes_total") == []
    assert shown("callbridge_engine_pressure") == []
    await engine.close()
