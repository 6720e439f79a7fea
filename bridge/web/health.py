"""Alive, ready, and in figures."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final, Literal

import structlog
from aiohttp import hdrs, web
from pydantic import Field

from bridge import metrics
from bridge.errors import BridgeError
from bridge.web.context import Check
from bridge.web.route import Answer, Ask, Nothing, Outgoing, Route, answer

CHECK_TIMEOUT_S: Final = 3

log = structlog.get_logger(__name__)


class Alive(Outgoing):
    status: Literal["ok"] = "ok"


class Finding(Outgoing):
    ok: bool
    message: str | None = Field(default=None, description="what is wrong")
    needed: bool = Field(default=True, description="false for what calls do without: the server stays ready")


class Readiness(Outgoing):
    ready: bool
    checks: Mapping[str, Finding]


async def healthz(ask: Ask[Nothing, Nothing]) -> web.StreamResponse:
    del ask
    return answer(Alive())


async def readyz(ask: Ask[Nothing, Nothing]) -> web.StreamResponse:
    """Whether new calls may be sent here, and if not, why."""
    checks, advice = ask.context.checks, ask.context.advice
    judged = await asyncio.gather(
        *(_judge(*named, needed=True) for named in checks.items()),
        *(_judge(*named, needed=False) for named in advice.items()),
    )
    found = dict(zip([*checks, *advice], judged, strict=True))
    if ask.context.leaving.is_set():
        found["server"] = Finding(ok=False, message="shutting down")
    ready = all(finding.ok for finding in found.values() if finding.needed)
    return answer(Readiness(ready=ready, checks=found), status=200 if ready else 503)


async def metrics_text(ask: Ask[Nothing, Nothing]) -> web.StreamResponse:
    del ask
    return web.Response(body=metrics.render(), headers={hdrs.CONTENT_TYPE: metrics.CONTENT_TYPE})


async def _judge(name: str, check: Check, *, needed: bool) -> Finding:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            await check()
    except TimeoutError:
        return Finding(ok=False, needed=needed, message=f"no answer within {CHECK_TIMEOUT_S} s")
    except BridgeError as error:
        return Finding(ok=False, needed=needed, message=error.message)
    except Exception:
        log.exception("readiness check failed", check=name)
        return Finding(ok=False, needed=needed, message="the check itself failed; the log says how")
    return Finding(ok=True, needed=needed)


ROUTES: Final = (
    Route(
        method=hdrs.METH_GET,
        path="/healthz",
        handler=healthz,
        scope=None,
        summary="Whether the process answers",
        tag="health",
        answers=(Answer(description="it does", model=Alive),),
    ),
    Route(
        method=hdrs.METH_GET,
        path="/readyz",
        handler=readyz,
        scope=None,
        summary="Whether calls may be sent here, and if not, why",
        tag="health",
        answers=(
            Answer(description="ready", model=Readiness),
            Answer(description="not ready: `checks` says why", status=503, model=Readiness),
        ),
    ),
    Route(
        method=hdrs.METH_GET,
        path="/metrics",
        handler=metrics_text,
        scope=None,
        summary="Counters and timings for Prometheus",
        tag="health",
        answers=(Answer(description="Prometheus text format", media_types=("text/plain",)),),
    ),
)
