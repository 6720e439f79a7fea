"""One replica of the recogniser on a Ray cluster: the engine of one process behind an HTTP request.

The scheduler, its batches and windows are those of `CALLBRIDGE_ENGINE=local`; what is new is only who asks.
"""

from __future__ import annotations

import os
import time
from typing import Any, Final

import ray
from ray import serve
from starlette.requests import Request
from starlette.responses import Response

from bridge.clock import SystemClock
from bridge.errors import EngineError
from bridge.recognise.growth import lateness, replicas_wanted
from bridge.recognise.local import open_engine
from bridge.recognise.remote import PRESSURE, REPLICA, SHED, TOOK, UNDECODABLE
from bridge.recognise.wire import pack_decoded, unpack_job
from bridge.settings import load

NAME: Final = "callbridge"
LATE: Final = "late_s"

ONGOING: Final = 512
"""Requests in one replica: its scheduler says who goes first, not the proxy's queue."""
LOOK_S: Final = 2.0
OBJECT_STORE: Final = 100_000_000
"""Bytes of shared memory, on a cluster of one machine: requests do not pass through it."""
AT_REST: Final = {"RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.5", "RAY_SERVE_METRICS_EXPORT_INTERVAL_MS": "1000"}
"""A cluster of our own does what Ray Serve does ten times a second less often: a quarter of its work at rest less."""
GROW_AFTER_S: Final = 2.0
SHRINK_AFTER_S: Final = 120.0


class Recogniser:
    """Answers POST with what was heard, 204 with what was shed; 422 says why a piece of speech cannot be decoded."""

    def __init__(self, settings: dict[str, Any], cpus: int) -> None:
        self._clock = SystemClock()
        self._engine = open_engine(load(**settings), self._clock, on_cores=cpus)
        self._name = serve.get_replica_context().replica_tag

    async def __call__(self, request: Request) -> Response:
        began = time.perf_counter()
        if request.method != "POST":
            return Response(status_code=SHED)
        try:
            decoded = await self._engine.decode(unpack_job(await request.body(), self._clock.monotonic()))
        except EngineError as error:
            return Response(error.message, UNDECODABLE)
        headers = {
            REPLICA: self._name,
            PRESSURE: f"{self._engine.pressure():.3f}",
            TOOK: f"{time.perf_counter() - began:.4f}",
        }
        if decoded is None:
            return Response(status_code=SHED, headers=headers)
        return Response(pack_decoded(decoded), headers=headers, media_type="application/json")

    def record_autoscaling_stats(self) -> dict[str, float]:
        """What `grow` is told of each replica."""
        return {LATE: max(0.0, self._engine.oldest_wait()), "pressure": self._engine.pressure()}

    async def check_health(self) -> None:
        """Raises EngineError: Ray then replaces this replica."""
        if self._engine.fault is not None:
            raise EngineError(self._engine.fault)


def grow(context: Any) -> tuple[int, dict[str, Any]]:
    """Ray Serve's autoscaling policy (docs.ray.io, Serve, custom autoscaling policies)."""
    told = context.aggregated_metrics
    late, pressure = told.get(LATE, {}), told.get("pressure", {})
    wanted = replicas_wanted(
        context.current_num_replicas,
        lateness(late.values()),
        sum(pressure.values()) / len(pressure) if pressure else 0.5,
        least=context.capacity_adjusted_min_replicas,
        most=context.capacity_adjusted_max_replicas,
        coming=max(0, context.target_num_replicas - context.current_num_replicas),
    )
    return wanted, {}


def application(args: dict[str, Any]) -> Any:
    """What Ray Serve runs, also from a config file: `import_path: bridge.recognise.ray_replica:application`.

    `args`: `settings` by name, `least` and `most` replicas, `cpus` and `gpus` of each.
    """
    return serve.deployment(
        Recogniser,
        name=NAME,
        max_ongoing_requests=ONGOING,
        graceful_shutdown_timeout_s=60,
        health_check_period_s=5,
        ray_actor_options={"num_cpus": args["cpus"], "num_gpus": args["gpus"]},
        autoscaling_config={
            "min_replicas": args["least"],
            "max_replicas": args["most"],
            "initial_replicas": args["least"],
            "metrics_interval_s": LOOK_S,
            "look_back_period_s": 3 * LOOK_S,
            "upscale_delay_s": GROW_AFTER_S,
            "downscale_delay_s": SHRINK_AFTER_S,
            "policy": {"policy_function": grow},
        },
    ).bind(args["settings"], args["cpus"])


def deploy(
    settings: dict[str, Any],
    *,
    address: str | None,
    host: str,
    port: int,
    least: int,
    most: int,
    cpus: int,
    gpus: float,
) -> None:
    """Put the recogniser up, or replace the version that runs, replica by replica. Returns once it answers.

    `address` is Ray's (`auto`, HOST:6379); None starts a cluster of this machine's, which ends with the process.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # what a cluster is used for is its owner's affair
    if address is None:
        for name, value in AT_REST.items():
            os.environ.setdefault(name, value)
        ray.init(include_dashboard=False, _node_ip_address="127.0.0.1", object_store_memory=OBJECT_STORE)
    else:
        ray.init(address=address)
    serve.start(http_options={"host": host, "port": port, "location": "EveryNode"})
    args = {"settings": settings, "least": least, "most": most, "cpus": cpus, "gpus": gpus}
    serve.run(application(args), name=NAME, route_prefix="/")


def take_down(address: str | None) -> None:
    ray.init(address=address)
    serve.delete(NAME)
