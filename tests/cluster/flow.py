"""The flow suite over services of its own: `python -m tests.cluster.flow [what pytest takes]`."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.cluster import over
from tests.cluster.ray_cluster import ray_cluster
from tests.cluster.services import own_postgres, own_redis

FLOW: Final = Path(__file__).parents[1] / "flow"
SERVED: Final = ("real_server(", "sqlite_store", "http: HttpServer", "open_store(", "build(")
"""What a file says that has a store or a recogniser; the others know neither."""


def chosen() -> list[str]:
    """The files of the suite that this changes anything for."""
    return [str(path) for path in sorted(FLOW.glob("test_*.py")) if any(word in path.read_text() for word in SERVED)]


async def run(arguments: list[str]) -> int:
    async with (
        own_postgres() as postgres,
        own_redis() as redis,
        ray_cluster(("-m", "tests.cluster.tone_engine")) as ray,
    ):
        environment = os.environ | {
            over.POSTGRES: f"postgresql://postgres@127.0.0.1:{postgres.port}",
            over.REDIS: f"redis://127.0.0.1:{redis.port}/0",
            over.RAY: ray.address,
        }
        testing = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pytest", "-p", "tests.cluster.over", *(arguments or chosen())), env=environment
        )
        return await testing.wait()


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(run(sys.argv[1:])))
    except pytest.skip.Exception as why:
        print(f"The flow suite is left out: {why}")  # noqa: T201  # who asked for it is to know
