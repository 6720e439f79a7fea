"""Is the machine fit: room for audio, free ports, clocks that agree, enough open files."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import socket
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import aiohttp

import bridge
from bridge.capacity import loop_capacity
from bridge.cli.checkup import State
from bridge.errors import SetupError
from bridge.ports import Clock
from bridge.settings import Settings
from bridge.spool.spool import SPOOL_NEEDS

FILES_A_CALL: Final = 4
"""Its socket, and a few people who watch it."""

FILES_BESIDE: Final = 200
"""The database, webhooks, libraries."""

APART_S: Final = 2.0
"""By how much two clocks may differ: file systems count whole seconds."""

LOOK_S: Final = 0.2

INSTALLED: Final = Path(bridge.__file__).stat().st_mtime
"""Unix seconds; no earlier time can be right."""


async def spool(settings: Settings, _clock: Clock) -> list[tuple[State, str]]:
    folder = settings.spool_dir
    free = shutil.disk_usage(writable(folder)).free
    if free < SPOOL_NEEDS:
        raise SetupError(f"only {free >> 20} MiB are free for {folder}: make room, or set CALLBRIDGE_SPOOL_DIR")
    return [(State.GOOD, f"{folder} can be written; {free / (1 << 30):.1f} GiB free")]


async def port(settings: Settings, _clock: Clock) -> list[tuple[State, str]]:
    """Whether `serve` could listen; that it does already is just as well."""
    where = f"{settings.host}:{settings.port}"
    try:
        _bind(settings.host, settings.port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE and await _serves(settings):
            return [(State.GOOD, f"a callbridge answers at {where}")]
        raise SetupError(f"{_why_not(error, where)}; set CALLBRIDGE_HOST or CALLBRIDGE_PORT") from error
    return [(State.GOOD, f"{where} is free")]


async def audiosocket(settings: Settings, _clock: Clock) -> list[tuple[State, str]]:
    """Whether Asterisk could call. A port that nobody has asked for may be taken: `serve` then does without."""
    if settings.audiosocket_port == "off":
        return [(State.GOOD, "off")]
    where = f"{settings.host}:{settings.audiosocket_port}"
    try:
        _bind(settings.host, settings.audiosocket_port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE and await _serves(settings):
            return [(State.GOOD, f"{where} is taken, as it is where a callbridge runs")]
        why = f"{_why_not(error, where)}; CALLBRIDGE_AUDIOSOCKET_PORT chooses another, or off"
        if "audiosocket_port" in settings.model_fields_set:
            raise SetupError(why) from error
        return [(State.NOTE, f"no AudioSocket calls: {why}")]
    return [(State.GOOD, f"{where} is free")]


async def clocks(settings: Settings, clock: Clock) -> list[tuple[State, str]]:
    """Webhook signatures and tokens hang on the time of day, everything live on steps that are even."""
    wall, steady = clock.now(), clock.monotonic()
    await clock.sleep(LOOK_S)
    if abs((clock.now() - wall) - (clock.monotonic() - steady)) > APART_S:
        raise SetupError("the time of day jumps: let one time service alone set the clock (chrony, systemd-timesyncd)")
    now = clock.now()
    today = datetime.fromtimestamp(now, UTC)
    if now < INSTALLED - APART_S:
        raise SetupError(f"it is {today:%Y-%m-%d %H:%M} UTC here, before callbridge was installed: set the clock")
    with tempfile.TemporaryFile(dir=writable(settings.spool_dir)) as file:
        written = os.fstat(file.fileno()).st_mtime
    if abs(written - clock.now()) > APART_S:
        raise SetupError(
            f"the file system of {settings.spool_dir} is {written - clock.now():+.0f} s from this machine's clock: "
            "set both by one time service"
        )
    return [(State.GOOD, f"{today:%Y-%m-%d %H:%M:%S} UTC, even, and the file system agrees")]


async def files(settings: Settings, _clock: Clock) -> list[tuple[State, str]]:
    """Every socket is an open file."""
    calls = loop_capacity() if settings.max_calls == "auto" else settings.max_calls
    needed = FILES_A_CALL * calls + FILES_BESIDE
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit != resource.RLIM_INFINITY and limit < needed:
        raise SetupError(
            f"{limit} open files are too few for {calls} calls: ulimit -n {needed}, or LimitNOFILE={needed}"
        )
    return [(State.GOOD, f"{limit} allowed, {needed} needed for {calls} calls")]


def writable(folder: Path) -> Path:
    """`folder`, or the nearest one above that is there. Raises SetupError where nothing can be written."""
    there = next(above for above in (folder.absolute(), *folder.absolute().parents) if above.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise SetupError(f"{there} cannot be written by this user: change its owner, or choose another place")
    return there


def _bind(host: str, number: int) -> None:
    [(family, kind, protocol, _, address), *_] = socket.getaddrinfo(host, number, type=socket.SOCK_STREAM)
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
        probe.bind(address)


def _why_not(error: OSError, where: str) -> str:
    why = "another program listens there" if error.errno == errno.EADDRINUSE else error.strerror
    return f"cannot listen on {where}: {why}"


async def _serves(settings: Settings) -> bool:
    """Whether a callbridge with these settings runs already."""
    url = f"http://{settings.host}:{settings.port}/healthz"
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session, session.get(url) as answer:
            return answer.ok and await answer.json() == {"status": "ok"}
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return False
