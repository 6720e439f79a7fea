"""WebRTC in: a WHIP endpoint (RFC 9725). A POST with an offer is a call, its answer says where to go on.

Trickle ICE is taken, a restart of ICE is not: a publisher whose network changes calls again. The answer has all our
candidates, so that those who never trickle (OBS, GStreamer) get through as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import structlog
from aiohttp import hdrs, web
from pydantic import ConfigDict, Field

from bridge.call import METADATA
from bridge.errors import (
    BridgeError,
    CapacityError,
    CarrierProtocolError,
    InvalidRequestError,
    NotFoundError,
    UnsupportedMediaError,
)
from bridge.ingest.fields import parameters
from bridge.ingest.webrtc import read_description
from bridge.ingest.whip import CARRIER, Channels, agree
from bridge.metrics import CALLS_REFUSED, MEDIA_ERRORS
from bridge.model.ice import IceServer, ice_servers
from bridge.settings import Settings
from bridge.web.auth import Scope
from bridge.web.context import CONTEXT, Context
from bridge.web.route import Answer, Ask, Incoming, Nothing, Route
from bridge.web.way_back import PacketsBack
from bridge.web.whip_session import WhipSession

log = structlog.get_logger(__name__)

ENDPOINT: Final = "/v1/whip"
SDP: Final = "application/sdp"
FRAGMENT: Final = "application/trickle-ice-sdpfrag"
"""RFC 8840 §9."""

KEPT_S: Final = 60
"""How long a session that is over can still be deleted: OBS closes its connection first and asks for its end then."""
MOST_KEPT: Final = 1000
MOST_OPENING: Final = 64
"""Sessions that open their ports at once."""
LEAVING_S: Final = 10.0
"""What calls cut off by a shutdown have for their last words."""

ALLOWED: Final = {
    "Access-Control-Allow-Methods": "OPTIONS, POST, PATCH, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match",
    "Access-Control-Max-Age": "86400",
    "Accept-Post": SDP,
    "Accept-Patch": FRAGMENT,
}
"""What any page of any site may send: a credential goes with a request only where the page itself has one."""
EXPOSED: Final = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "ETag, Link, Location, Retry-After, X-Request-Id",
}


class WhipQuery(Incoming):
    """What goes with the call; `metadata.NAME` as well, and no other name."""

    model_config = ConfigDict(extra="allow", frozen=True)

    channels: str = Field(default=Channels.MONO.value, description="mono, mixed or stereo: whose voices the track has")
    call_id: str | None = Field(default=None, description="the call's id, where it is to be chosen")
    language: str | None = Field(default=None, description="a language code; found by listening where it is left out")
    diarize: str | None = Field(default=None, description="whether speakers of one track are to be told apart")
    keywords: str | None = Field(default=None, description="words to be expected, comma-separated")
    turns: Literal["captions", "bot", "off"] | None = Field(default=None, description="how turns are told")
    eot_threshold: float | None = Field(default=None, description="how sure `turn.ended` must be")
    eager_eot_threshold: float | None = Field(default=None, description="how sure `turn.eager_ended` must be")
    eot_timeout_ms: int | None = Field(default=None, description="silence that ends any turn")
    talk: Literal["on", "off"] = Field(
        default="off", description="`on`: an offer of `sendrecv` is answered so, and a bot can talk back"
    )


class Sessions:
    """The publishers of this process, by session id."""

    def __init__(self) -> None:
        self._live: dict[str, tuple[WhipSession, asyncio.Task[None]]] = {}
        self._opening = 0
        self._over: dict[str, tuple[str, float]] = {}
        """Those that are over: whose, and until when they are remembered. The oldest go first."""

    def add(self, session: WhipSession, running: asyncio.Task[None], context: Context) -> None:
        self._live[session.id] = session, running
        running.add_done_callback(lambda _: self._remember(session, context.clock.monotonic() + KEPT_S))

    @contextmanager
    def opening(self) -> Iterator[None]:
        """While one opens its ports and asks the ICE servers, which may take seconds. Raises CapacityError."""
        if self._opening >= MOST_OPENING:
            raise CapacityError("too many sessions are about to begin", retry_after=5)
        self._opening += 1
        try:
            yield
        finally:
            self._opening -= 1

    def find(self, session_id: str, tenant: str) -> WhipSession:
        """Raises NotFoundError, also for another tenant's."""
        session, _ = self._live.get(session_id, (None, None))
        if session is None or session.tenant != tenant:
            raise NotFoundError("no such session; it may be over")
        return session

    def ways_back(self) -> list[PacketsBack]:
        """To those publishers that hear."""
        return [session.way_back for session, _ in self._live.values() if session.way_back is not None]

    def is_over(self, session_id: str, tenant: str, now: float) -> bool:
        """Whether there was such a session a little while ago."""
        whose, until = self._over.get(session_id, ("", 0.0))
        return whose == tenant and now < until

    async def leave(self) -> None:
        """End all as drained. Returns when they have ended, or are out of time."""
        running = [task for _, task in self._live.values()]
        for session, _ in self._live.values():
            session.end("drained")
        if running:
            _, late = await asyncio.wait(running, timeout=LEAVING_S)
            for task in late:
                task.cancel()

    def _remember(self, session: WhipSession, until: float) -> None:
        del self._live[session.id]
        self._over[session.id] = session.tenant, until
        while len(self._over) > MOST_KEPT:
            del self._over[next(iter(self._over))]


SESSIONS: web.AppKey[Sessions] = web.AppKey("whip sessions", Sessions)


def add_routes(app: web.Application) -> None:
    """What the table of routes has no row for: preflights, and that pages of other sites may read every answer."""
    app[SESSIONS] = Sessions()
    app.router.add_route(hdrs.METH_OPTIONS, ENDPOINT, options)
    app.router.add_route(hdrs.METH_OPTIONS, f"{ENDPOINT}/{{session}}", options)
    app.on_response_prepare.append(expose)


async def leave(app: web.Application) -> None:
    """The server shuts down: calls in progress end as `drained`."""
    await app[SESSIONS].leave()


async def expose(request: web.Request, response: web.StreamResponse) -> None:
    """On every answer of these paths, refusals too."""
    if request.path == ENDPOINT or request.path.startswith(f"{ENDPOINT}/"):
        response.headers.update(EXPOSED)


async def options(request: web.Request) -> web.Response:
    """What may be asked. Who shows a credential is told the ICE servers, too; a preflight never does (§4.6)."""
    context = request.app[CONTEXT]
    response = web.Response(headers=ALLOWED)
    if hdrs.AUTHORIZATION in request.headers:
        try:
            (await context.auth.principal(request)).need(Scope.MEDIA)
        except BridgeError:
            return response
        _link(response, _ice_servers(context.settings))
    return response


async def publish(ask: Ask[WhipQuery, Nothing]) -> web.StreamResponse:
    unknown = [name for name in ask.query.model_extra or {} if not name.startswith(METADATA)]
    if unknown:
        fields = dict.fromkeys(unknown, f"not known here; what is your own begins with {METADATA}")
        raise InvalidRequestError("the query is not as it should be", fields=fields)
    try:
        return await _publish(ask)
    except BridgeError as error:
        CALLS_REFUSED.labels(CARRIER, error.code).inc()
        raise


async def _publish(ask: Ask[WhipQuery, Nothing]) -> web.StreamResponse:
    context = ask.context
    offer = await _body(ask.request, SDP)
    if context.leaving.is_set():
        raise CapacityError("this server is shutting down", retry_after=5)
    context.calls.check_room(ask.tenant)
    agreed = agree(read_description(offer), ask.query.channels, both_ways=ask.query.talk == "on")
    servers = _ice_servers(context.settings)
    session = WhipSession(
        agreed, tenant=ask.tenant, ice_servers=servers, clock=context.clock, settings=context.settings
    )
    try:
        with ask.request.app[SESSIONS].opening():
            answer = await session.answer()
    except BaseException:
        await session.close()
        raise
    running = asyncio.create_task(_run(session, context, _parameters(ask.request)), name=f"whip {session.id}")
    ask.request.app[SESSIONS].add(session, running, context)
    await _accepted(session, running)
    location = f"{urlsplit(context.settings.public_url or '').path}{ENDPOINT}/{session.id}"
    headers = {hdrs.LOCATION: location, hdrs.ETAG: session.etag, "Accept-Patch": FRAGMENT}
    response = web.Response(body=answer.encode(), status=201, content_type=SDP, headers=headers)
    response.headers[hdrs.CACHE_CONTROL] = "no-store"
    _link(response, servers)
    return response


async def trickle(ask: Ask[Nothing, Nothing]) -> web.StreamResponse:
    text = await _body(ask.request, FRAGMENT)
    session = ask.request.app[SESSIONS].find(ask.path("session"), ask.tenant)
    _match(ask.request, session.etag)
    sections = read_description(text)
    if not sections:
        raise CarrierProtocolError("a fragment without an 'm=' line (RFC 8840 §9)")
    for section in sections:
        if section.peer.ufrag and section.peer.ufrag != session.agreed.peer.ufrag:
            raise InvalidRequestError("ICE is not restarted here: end this session and offer anew")
        await session.add_candidates(section.peer.candidates)
    return web.Response(status=204)


async def hang_up(ask: Ask[Nothing, Nothing]) -> web.StreamResponse:
    sessions, wanted = ask.request.app[SESSIONS], ask.path("session")
    if not sessions.is_over(wanted, ask.tenant, ask.context.clock.monotonic()):
        sessions.find(wanted, ask.tenant).hang_up()
    return web.Response(status=200)


async def _run(session: WhipSession, context: Context, given: Mapping[str, str]) -> None:
    """Whatever goes wrong ends this call alone. Before it is accepted, faults are the answer to its POST."""
    try:
        await session.run(context.calls, given)
    except BridgeError:
        if not session.accepted.is_set():
            raise
        log.warning("a publisher's call could not be taken to its end", session=session.id)
    except Exception:
        log.exception("a publisher's call failed", session=session.id)
        if not session.accepted.is_set():
            raise
    if (fault := session.fault) is not None:
        MEDIA_ERRORS.labels(CARRIER, fault.code).inc()
        log.warning("media stream ended by a fault", dialect=CARRIER, code=fault.code, reason=fault.message)


async def _accepted(session: WhipSession, running: asyncio.Task[None]) -> None:
    """Until the call is taken. Raises what it was refused with."""
    accepted = asyncio.create_task(session.accepted.wait())
    await asyncio.wait({accepted, running}, return_when=asyncio.FIRST_COMPLETED)
    accepted.cancel()
    if running.done() and not session.accepted.is_set():
        running.result()


async def _body(request: web.Request, media_type: str) -> str:
    if request.content_type != media_type:
        raise web.HTTPUnsupportedMediaType
    try:
        return (await request.read()).decode()
    except UnicodeDecodeError:
        raise CarrierProtocolError("a session description that is not UTF-8") from None


def _parameters(request: web.Request) -> dict[str, str]:
    """What goes on into events and the store holds no credential."""
    return {name: value for name, value in parameters(dict(request.query)).items() if name != "token"}


def _match(request: web.Request, etag: str) -> None:
    """RFC 9725 §4.3.1: 428 without an If-Match, 412 for another ICE session's."""
    given = request.headers.get(hdrs.IF_MATCH)
    if given is None:
        raise web.HTTPPreconditionRequired
    if given.strip() != "*" and etag not in {tag.strip() for tag in given.split(",")}:
        raise web.HTTPPreconditionFailed


def _ice_servers(settings: Settings) -> tuple[IceServer, ...]:
    return () if settings.ice_servers is None else ice_servers(settings.ice_servers.get_secret_value())


def _link(response: web.Response, servers: tuple[IceServer, ...]) -> None:
    for server in servers:
        response.headers.add(hdrs.LINK, server.link)


ROUTES: Final[tuple[Route[Any, Any], ...]] = (
    Route(
        method=hdrs.METH_POST,
        path=ENDPOINT,
        handler=publish,
        scope=Scope.MEDIA,
        summary="Begin a call over WebRTC: WHIP (RFC 9725)",
        tag="media",
        query=WhipQuery,
        takes=SDP,
        answers=(
            Answer(description="the answer; `Location` is the session, `ETag` its ICE", status=201, media_types=(SDP,)),
        ),
        faults=(CarrierProtocolError, UnsupportedMediaError, CapacityError),
    ),
    Route(
        method=hdrs.METH_PATCH,
        path=f"{ENDPOINT}/{{session}}",
        handler=trickle,
        scope=Scope.MEDIA,
        summary="More ICE candidates, with the session's `ETag` as `If-Match`",
        tag="media",
        takes=FRAGMENT,
        answers=(Answer(description="taken", status=204, media_types=()),),
        faults=(CarrierProtocolError,),
    ),
    Route(
        method=hdrs.METH_DELETE,
        path=f"{ENDPOINT}/{{session}}",
        handler=hang_up,
        scope=Scope.MEDIA,
        summary="Hang up",
        tag="media",
        answers=(Answer(description="the call is over", media_types=()),),
    ),
)
