"""Where live events go, and where subscribers read them: in this process, or in a Redis that all nodes share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from bridge.deliver.hub import Hub
from bridge.errors import SetupError
from bridge.ports import CallStore, Clock
from bridge.web.context import Check

if TYPE_CHECKING:
    from bridge.deliver.shared_hub import SharedHub


@asynccontextmanager
async def live_events(
    url: str, store: CallStore, node: str, clock: Clock
) -> AsyncIterator[tuple[Hub | SharedHub, Mapping[str, Check]]]:
    """Board and feed in one, and what `/readyz` may say of them. `node`: this process, unlike every other.

    Raises SetupError when the driver is not installed, or the address cannot be read. A Redis that does not answer is
    no reason not to start.
    """
    if url.startswith("memory://"):
        yield Hub(store), {}
        return
    try:
        from bridge.deliver.shared_hub import SharedHub  # noqa: PLC0415  # an extra
    except ModuleNotFoundError as error:
        raise SetupError(f"redis:// needs {error.name}: pip install 'callbridge[redis]'") from error
    shared = SharedHub(store, url, node, clock)
    shared.start()
    try:
        yield shared, {"live_events": shared.check}
    finally:
        await shared.close()
