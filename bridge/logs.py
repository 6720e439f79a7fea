"""Logging: structlog, one line an event, on standard error; a call's lines carry its `call_id`.

Bind it where a call begins: `structlog.contextvars.bound_contextvars(call_id=…)`. What people said, audio and
secrets are never logged; `hide` is the net under that rule, not a licence to try.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, Final, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from bridge.settings import Settings

HIDDEN_KEYS: Final = frozenset(
    {
        "audio",
        "authorization",
        "body",
        "key",
        "keywords",
        "password",
        "payload",
        "samples",
        "secret",
        "secrets",
        "stable_text",
        "text",
        "token",
        "transcript",
        "words",
    }
)
HIDDEN: Final = "[hidden]"


def setup(settings: Settings, *, stream: TextIO | None = None) -> None:
    """Send structlog's and the standard library's lines to `stream` (standard error) in one form."""
    stream = stream or sys.stderr
    form = _form(settings.log_format, stream)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            hide,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,  # a test, or a second command in one process, may set up again
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder(), hide],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(form, stream)],
        )
    )
    handler.addFilter(_is_ours_to_know)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    # These say at `info` what ours say already, or say it for every packet.
    for name in ("aiohttp.access", "alembic", "sqlalchemy", "aiosqlite", "aiortc", "aioice", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)


def hide(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Blank what must not be written down, whoever put it there."""
    for name in event.keys() & HIDDEN_KEYS:
        event[name] = HIDDEN
    return event


def _is_ours_to_know(record: logging.LogRecord) -> bool:
    """False for what strangers send that is no HTTP: aiohttp answers 400, and would log a traceback for each."""
    error = record.exc_info[1] if record.exc_info else None
    return type(error).__module__ != "aiohttp.http_exceptions"


def _form(wanted: Literal["auto", "console", "json"], stream: TextIO) -> Literal["console", "json"]:
    if wanted != "auto":
        return wanted
    return "console" if stream.isatty() else "json"


def _rendering(form: Literal["console", "json"], stream: TextIO) -> list[Any]:
    if form == "console":
        plain = structlog.dev.plain_traceback
        return [structlog.dev.ConsoleRenderer(colors=stream.isatty(), pad_event_to=0, exception_formatter=plain)]
    # Without the frames' variables: they would hold what people said.
    traceback = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    return [
        structlog.processors.ExceptionRenderer(traceback),
        structlog.processors.EventRenamer("message"),
        structlog.processors.JSONRenderer(ensure_ascii=False),
    ]
