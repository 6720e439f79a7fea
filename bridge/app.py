"""The composition root: the one place that picks a store, an event board and an engine, and wires them together."""

from __future__ import annotations

import asyncio
import errno
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

import structlog
from aiohttp import web

from bridge.calls import Calls
from bridge.capacity import capacity_of
from bridge.compat.table import CHOICES, STYLES, add_surfaces
from bridge.deliver.bootstrap import endpoint_from_settings
from bridge.deliver.guard import Guard, GuardedSession
from bridge.deliver.journal import Journal
from bridge.deliver.webhooks import Webhooks
from bridge.engine_metrics import engine_metrics
from bridge.errors import EngineError, SetupError, StoreError
from bridge.known_voices import KnownVoices
from bridge.live_events import live_events
from bridge.metrics import LOOP_LAG
from bridge.model.call_key import CallKey
from bridge.model.languages import languages_of
from bridge.node import Lease, new_node
from bridge.ports import Clock, Engine, Store
from bridge.recognise.local import LocalEngine, open_engine
from bridge.recognise.remote import RemoteEngine
from bridge.recognise.scheduler import Scheduler
from bridge.recovery import Recovery
from bridge.retention import Retention
from bridge.settings import Settings
from bridge.speakers.encoder import CampPlusEncoder
from bridge.speakers.weights import SEGMENTATION, find_model
from bridge.speech.segmenter import Segmenter, SegmenterOptions
from bridge.spool.kept import forget
from bridge.spool.shelf import Shelf
from bridge.spool.spool import Spool
from bridge.store.cipher import Cipher, secret_keys
from bridge.store.sql import open_store
from bridge.transcription import TranscriptionOptions
from bridge.transcriptions import Transcriptions
from bridge.web import audiosocket
from bridge.web.auth import Auth, TokenSigner
from bridge.web.context import CONTEXT, Context
from bridge.web.drain import first_of, until_idle
from bridge.web.server import application

log = structlog.get_logger(__name__)

SETTLING_GRACE_S: Final = 10
"""For the settled texts of calls that are over. What is not told by then is left to the next process."""

STUCK_S: Final = 30
"""A recogniser that is so far behind its deadlines does not keep up, or does not answer at all."""

LOOP_WATCH_S: Final = 0.5

STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


def build(settings: Settings, clock: Clock, engine: Engine | None = None) -> web.Application:
    """The whole server, not yet started. `engine` stands in for the one that the settings name."""
    app = application(partial(_open, settings, clock, engine))
    add_surfaces(app)
    return app


@asynccontextmanager
async def _open(settings: Settings, clock: Clock, engine: Engine | None) -> AsyncIterator[Context]:
    """Open everything in order, close it in the opposite one. Raises SetupError, StoreError."""
    languages = languages_of(settings.model)
    _check(settings, languages.keys())
    _make_spool(settings.spool_dir)
    async with AsyncExitStack() as stack:
        signing = secret_keys(settings)
        several, node = not settings.database_url.startswith("sqlite"), new_node()
        store = await open_store(settings.database_url, Cipher(signing), clock, node=node if several else None)
        stack.push_async_callback(store.close)
        lease = await stack.enter_async_context(Lease(store, clock, shared=several))
        await endpoint_from_settings(settings, store, clock)

        session = GuardedSession(Guard(settings.allow_private_urls))
        stack.push_async_callback(session.close)
        webhooks = Webhooks(store, session, clock, STYLES)
        stack.push_async_callback(webhooks.close)

        hub, advice = await stack.enter_async_context(live_events(settings.events_url, store, node, clock))
        journal = Journal(store, hub, clock)
        journal.start()
        stack.push_async_callback(journal.close)

        if engine is None:
            engine = opened = await _engine_of(settings, clock)
            stack.push_async_callback(opened.close)
        stack.enter_context(engine_metrics(engine))

        spool = Spool(settings.spool_dir, keep=settings.record)
        spool.start()
        stack.push_async_callback(spool.close)

        speaker_model = partial(find_model, settings.speaker_model, model_dir=settings.model_dir)
        if settings.diarize:
            await asyncio.to_thread(speaker_model)
        voices = CampPlusEncoder(speaker_model, partial(find_model, SEGMENTATION, model_dir=settings.model_dir))
        stack.callback(voices.close)
        known = KnownVoices(store, voices, clock, model=settings.speaker_model) if settings.known_voices else None

        calls = Calls(
            engine=engine,
            sink=journal,
            clock=clock,
            max_calls=capacity_of(engine) if settings.max_calls == "auto" else settings.max_calls,
            tenant_max_calls=settings.tenant_max_calls,
            language=None if settings.language == "auto" else settings.language,
            languages=frozenset(languages),
            hangover_ms=settings.speech_hangover_ms,
            resume_grace_s=settings.resume_grace_s,
            spool=spool,
            voices=voices,
            diarize=settings.diarize,
            known=known.of if known is not None else None,
        )
        stack.push_async_callback(_settle, calls)
        transcriptions = Transcriptions(
            engine=engine,
            sink=journal,
            store=store,
            calls=calls,
            shelf=Shelf(settings.spool_dir / "recordings", clock, max_bytes=settings.recording_max_mb * 1_000_000),
            session=session,
            clock=clock,
            options=TranscriptionOptions(
                language=None if settings.language == "auto" else settings.language,
                segmenter=partial(Segmenter, SegmenterOptions(hangover_ms=settings.speech_hangover_ms)),
                voices=voices,
                known=known.of if known is not None else None,
                most_waiting=settings.recordings_waiting,
            ),
        )
        await transcriptions.look()
        stack.push_async_callback(transcriptions.close)
        recovery = Recovery(
            store=store,
            sink=journal,
            spool=spool,
            calls=calls,
            clock=clock,
            shared=several,
            elsewhere=transcriptions.has,
            may_judge=lease.may_judge,
        )
        await recovery.look()
        if recovery.alone:
            await store.inherit(clock.now())
        webhooks.start()
        stack.push_async_callback(_stopped, asyncio.create_task(recovery.run(), name="recovery"))
        taking_up = asyncio.create_task(transcriptions.run(spool.alone), name="recordings")
        stack.push_async_callback(_stopped, taking_up)
        stack.callback(asyncio.create_task(_watch_loop(clock), name="event loop lag").cancel)
        retention = Retention(
            store=store,
            folder=settings.spool_dir,
            clock=clock,
            keep_calls_days=settings.keep_calls_days,
            keep_recordings_days=settings.keep_recordings_days,
        )
        stack.push_async_callback(_stopped, asyncio.create_task(retention.run(), name="retention"))
        yield Context(
            settings=settings,
            clock=clock,
            store=store,
            feed=hub,
            calls=calls,
            transcriber=transcriptions,
            auth=Auth(settings=settings, keys=store, signer=TokenSigner(signing, clock)),
            forget=_forgetting(settings.spool_dir),
            known_voices=known,
            checks={
                "database": partial(_check_store, store, journal),
                "engine": partial(_check_engine, engine),
                "spool": partial(asyncio.to_thread, spool.check),
            },
            advice=advice,
            styles=CHOICES,
        )


async def serve(
    settings: Settings, clock: Clock, *, ready: Callable[[str, Context], Awaitable[None]], engine: Engine | None = None
) -> None:
    """Run until a signal asks for the end. `ready` is told the address once calls can come. `engine`: see `build`.

    The first SIGTERM or SIGINT drains: not ready, no new calls, those in progress run on for `drain_grace_s`. A second
    one ends them at once, as `drained`; nothing that was heard is lost. Raises SetupError, StoreError.
    """
    app = build(settings, clock, engine)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SETTLING_GRACE_S)
    signals = _Signals()
    asterisk: asyncio.Server | None = None
    try:
        await runner.setup()
        context = app[CONTEXT]
        url = await _listen(runner, settings)
        asterisk = await _listen_for_asterisk(app, settings)
        await ready(url, context)
        await signals.first.wait()
        log.info("draining", calls=context.calls.active(), grace_s=settings.drain_grace_s)
        context.leaving.set()
        await first_of(until_idle(context, settings.drain_grace_s), signals.second.wait())
    finally:
        signals.forget()
        if asterisk is not None:
            asterisk.close()
        await runner.cleanup()
    log.info("stopped")


class _Signals:
    """SIGTERM and SIGINT, counted. A third kills."""

    def __init__(self) -> None:
        self.first, self.second = asyncio.Event(), asyncio.Event()
        self._loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            self._loop.add_signal_handler(number, self._heard)

    def _heard(self) -> None:
        if self.first.is_set():
            self.second.set()
            self.forget()
        self.first.set()

    def forget(self) -> None:
        for number in STOP_SIGNALS:
            self._loop.remove_signal_handler(number)


async def _listen(runner: web.AppRunner, settings: Settings) -> str:
    """The address for people. Raises SetupError when it cannot be had."""
    try:
        await web.TCPSite(runner, settings.host, settings.port).start()
    except OSError as error:
        why = _why_not(error, settings.host, settings.port)
        raise SetupError(f"{why}; --port or CALLBRIDGE_PORT chooses another") from error
    port = runner.addresses[0][1]
    host = "127.0.0.1" if settings.host in {"0.0.0.0", "::", ""} else settings.host  # noqa: S104  # asked, not bound
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def _listen_for_asterisk(app: web.Application, settings: Settings) -> asyncio.Server | None:
    """The AudioSocket door. A second server on a machine starts without one, unless its port was asked for.

    Raises SetupError when a port that was asked for cannot be had.
    """
    if settings.audiosocket_port == "off":
        return None
    try:
        door = await audiosocket.listen(app, settings.host, settings.audiosocket_port)
    except OSError as error:
        why = _why_not(error, settings.host, settings.audiosocket_port)
        if "audiosocket_port" in settings.model_fields_set:
            raise SetupError(f"{why}; CALLBRIDGE_AUDIOSOCKET_PORT chooses another, or off") from error
        log.warning("no AudioSocket calls", reason=f"{why}; CALLBRIDGE_AUDIOSOCKET_PORT chooses another")
        return None
    log.info("AudioSocket calls", port=door.sockets[0].getsockname()[1])
    return door


def _why_not(error: OSError, host: str, port: int) -> str:
    why = "another program listens there" if error.errno == errno.EADDRINUSE else error.strerror
    return f"cannot listen on {host}:{port}: {why}"


def _check(settings: Settings, languages: Collection[str]) -> None:
    """What only the parts together can say of the settings. Raises SetupError."""
    if settings.language != "auto" and settings.language not in languages:
        raise SetupError(f"CALLBRIDGE_LANGUAGE: {settings.model!r} does not write {settings.language!r}")


async def _engine_of(settings: Settings, clock: Clock) -> LocalEngine | RemoteEngine:
    if settings.engine == "local":
        return await asyncio.to_thread(open_engine, settings, clock)
    return RemoteEngine(settings.engine, clock)


def _make_spool(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(f"CALLBRIDGE_SPOOL_DIR: cannot make {folder}: {error.strerror}") from error


def _forgetting(folder: Path) -> Callable[[CallKey], Awaitable[None]]:
    async def forget_call(key: CallKey) -> None:
        await asyncio.to_thread(forget, folder, key)

    return forget_call


async def _stopped(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _settle(calls: Calls) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(SETTLING_GRACE_S):
            await calls.close()


async def _watch_loop(clock: Clock) -> None:
    while True:
        before = clock.monotonic()
        await clock.sleep(LOOP_WATCH_S)
        LOOP_LAG.observe(max(0.0, clock.monotonic() - before - LOOP_WATCH_S))


# -- what /readyz asks ---------------------------------------------------------------------------------------------


async def _check_store(store: Store, journal: Journal) -> None:
    if journal.stalled:
        raise StoreError(f"{journal.waiting} events wait for the database to take them")
    await store.ping()


async def _check_engine(engine: Engine) -> None:
    if isinstance(engine, RemoteEngine):
        await engine.check()
    if isinstance(engine, Scheduler) and (late := engine.oldest_wait()) > STUCK_S:
        raise EngineError(f"the recogniser is {late:.0f} s behind")
    if isinstance(engine, LocalEngine) and engine.fault is not None:
        raise EngineError(engine.fault)
