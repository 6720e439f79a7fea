"""`callbridge deploy-engine` with tones for speech: `python -m tests.cluster.tone_engine`. Only the recogniser inside a
replica is a stand-in.
"""

from __future__ import annotations

import argparse
import signal
from typing import Any

from ray import serve

from bridge.clock import SystemClock
from bridge.recognise import ray_replica
from tests.tones import ToneEngine


class Tones(ToneEngine):
    """As much of `LocalEngine` as a replica uses."""

    fault: str | None = None

    def oldest_wait(self) -> float:
        return 0.0


class ToneRecogniser(ray_replica.Recogniser):
    def __init__(self, settings: dict[str, Any], cpus: int) -> None:
        del settings, cpus
        self._clock = SystemClock()
        self._engine: Any = Tones()
        self._name = serve.get_replica_context().replica_tag


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--address")
    for name in ("port", "cpus", "min-replicas", "max-replicas"):
        arguments.add_argument(f"--{name}", type=int, required=True)
    given = arguments.parse_args()
    ray_replica.Recogniser = ToneRecogniser  # type: ignore[misc]
    least, most = given.min_replicas, given.max_replicas
    ray_replica.deploy(
        {}, address=given.address, host="127.0.0.1", port=given.port, least=least, most=most, cpus=given.cpus, gpus=0
    )
    print("The recogniser answers", flush=True)  # noqa: T201  # who started us waits for it
    if given.address is None:
        signal.sigwait({signal.SIGINT, signal.SIGTERM})


if __name__ == "__main__":
    main()
