"""`callbridge serve` with tones for speech, and leases that run out in a moment: `python -m tests.cluster.node`."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from bridge import app, call, logs, node, recovery
from bridge.clock import SystemClock
from bridge.settings import load
from tests.tones import ToneEngine, tone_segmenter

LEASE_S = 1.5


async def _ready(*_: Any) -> None: ...


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--host")
    arguments.add_argument("--port", type=int)
    settings = load(**vars(arguments.parse_args()))
    logs.setup(settings)
    node.LEASE_S, node.BEAT_S, recovery.LOOK_AT_OTHERS_S = LEASE_S, LEASE_S / 5, LEASE_S / 5  # type: ignore[misc]
    call.Segmenter = tone_segmenter  # type: ignore[misc, assignment]
    asyncio.run(app.serve(settings, SystemClock(), ready=_ready, engine=ToneEngine()))


if __name__ == "__main__":
    main()
