"""`callbridge serve` with tones for speech, and with leases that run out in a moment where a test says so: `python -m
tests.cluster.node`. Where the settings name a recogniser elsewhere, it is that which reads the tones.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from bridge import app, call, logs, node, recovery
from bridge.clock import SystemClock
from bridge.settings import load
from tests.tones import ToneEngine, tone_segmenter


async def _ready(*_: Any) -> None: ...


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--host")
    arguments.add_argument("--port", type=int)
    arguments.add_argument("--lease", type=float)
    given = arguments.parse_args()
    settings = load(host=given.host, port=given.port)
    logs.setup(settings)
    if (lease_s := given.lease) is not None:
        node.LEASE_S, node.BEAT_S, recovery.LOOK_AT_OTHERS_S = lease_s, lease_s / 5, lease_s / 5  # type: ignore[misc]  # Final
    call.Segmenter = tone_segmenter  # type: ignore[misc, assignment]  # a test's stand-in for the class
    engine = ToneEngine() if settings.engine == "local" else None
    asyncio.run(app.serve(settings, SystemClock(), ready=_ready, engine=engine))


if __name__ == "__main__":
    main()
