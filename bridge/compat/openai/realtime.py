"""WS `/v1/realtime`: a transcription session. Audio in as events, items and their words out."""

from __future__ import annotations

import base64
import binascii
import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from aiohttp import hdrs, web

from bridge.compat.asking import admit, credential_of, is_upgrade
from bridge.compat.dialogue import Begin, Finalise, Finish, Hear, Say, Wish
from bridge.compat.live import serve
from bridge.compat.openai.faults import error_object
from bridge.compat.openai.items import Items, Message
from bridge.compat.openai.secrets import bare_key, session_in
from bridge.compat.openai.session import Session
from bridge.errors import BridgeError, InvalidRequestError
from bridge.model.events import Event
from bridge.model.foreign import from_json
from bridge.web.context import Context
from bridge.web.observe import REQUEST_ID

NAME: Final = "openai-realtime"
SUBPROTOCOL: Final = "realtime"
OLDER: Final = ("realtime=v1", "openai-beta.realtime-v1")
"""How a client of the older protocol shows, in a header or as a subprotocol."""


async def realtime(request: web.Request, context: Context) -> web.StreamResponse:
    if not is_upgrade(request):
        raise InvalidRequestError("this is a WebSocket")
    principal = await admit(request, subprotocols=(SUBPROTOCOL,), bare=bare_key)
    wanted = session_in(credential_of(request, (SUBPROTOCOL,)))
    if request.query.get("intent") != "transcription" and wanted is None:
        raise InvalidRequestError("only intent=transcription is offered here", fields={"intent": "transcription"})
    told = (request.headers.get("OpenAI-Beta", ""), request.headers.get(hdrs.SEC_WEBSOCKET_PROTOCOL, ""))
    dialect = Realtime(
        wanted or Session(),
        session_id=f"sess_{request.get(REQUEST_ID, '')}",
        model=context.settings.model,
        older=any(mark in value for mark in OLDER for value in told),
    )
    return await serve(request, context, dialect, name=NAME, tenant=principal.tenant, protocols=(SUBPROTOCOL,))


class Realtime:
    """One session. A message that is wrong is answered by an `error`, and the session goes on."""

    def __init__(self, session: Session, *, session_id: str, model: str, older: bool) -> None:
        """Raises InvalidRequestError."""
        session.parameters(model)
        self._session = session
        self._session_id = session_id
        self._model = model
        self._older = older
        self._events = itertools.count()
        self._ids = itertools.count()
        self._items = self._new_items()
        self._begun = False
        self._appended = False
        """Audio has come since the last commit."""

    def _new_items(self) -> Items:
        by_speech = self._session.turn_detection is not None
        return Items(self._new_id, by_speech=by_speech, older=self._older)

    def _new_id(self) -> str:
        return f"item_{self._session_id.removeprefix('sess_')}{next(self._ids):04d}"

    def opened(self) -> Sequence[Wish]:
        return [self._say(self._about("created"))]

    def receive(self, message: str | bytes) -> Sequence[Wish]:
        event: Any = None
        try:
            event = from_json(message)
            if not isinstance(event, Mapping):
                raise InvalidRequestError("an event must be a JSON object")
            return self._take(event)
        except ValueError:
            return [self._error(InvalidRequestError("an event must be JSON"), None)]
        except BridgeError as error:
            return [self._error(error, event.get("event_id") if isinstance(event, Mapping) else None)]

    def heard(self, until_ms: int) -> Sequence[Wish]:
        del until_ms
        return []

    def quiet(self, seconds: float) -> Sequence[Wish]:
        del seconds
        return []

    def tell(self, event: Event) -> Sequence[Wish]:
        return self._all(self._items.tell(event))

    def fault(self, error: BridgeError) -> Sequence[Wish]:
        return [self._error(error, None), Finish(code=1008 if error.status < 500 else 1011, reason=error.message)]

    # -- a client's events -----------------------------------------------------------------------------------------

    def _take(self, event: Mapping[str, Any]) -> Sequence[Wish]:
        """Raises BridgeError."""
        match event.get("type"):
            case "input_audio_buffer.append":
                return self._append(event.get("audio"))
            case "input_audio_buffer.commit":
                return self._commit()
            case "input_audio_buffer.clear":
                self._appended = False
                return [*self._all(self._items.clear()), *([Finalise()] if self._begun else [])]
            case "session.update" | "transcription_session.update" as kind:
                given = event.get("session")
                if not isinstance(given, Mapping):
                    raise InvalidRequestError("session is missing", fields={"session": "missing"})
                return self._update(given, flat=kind != "session.update")
        raise InvalidRequestError(f"{str(event.get('type'))[:64]!r} is no event of a transcription session")

    def _append(self, audio: Any) -> Sequence[Wish]:
        try:
            data = base64.b64decode(audio, validate=True)
        except (binascii.Error, TypeError, ValueError):
            raise InvalidRequestError("audio is not Base64", fields={"audio": "not Base64"}) from None
        self._appended = self._appended or bool(data)
        return [*self._begin(), Hear(data=data)]

    def _begin(self) -> Sequence[Wish]:
        """The call begins with its first audio: until then everything may be chosen."""
        if self._begun:
            return []
        self._begun = True
        return [self._begins()]

    def _begins(self) -> Begin:
        return Begin(
            sound=self._session.sound(),
            carrier=NAME,
            carrier_call_id=self._session_id,
            parameters=self._session.parameters(self._model),
        )

    def _commit(self) -> Sequence[Wish]:
        if not self._appended:
            raise _EmptyBufferError("there is no audio to commit")
        self._appended = False
        return [*self._all(self._items.commit()), Finalise()]

    def _update(self, given: Mapping[str, Any], *, flat: bool) -> Sequence[Wish]:
        wanted = self._session.updated_flat(given) if flat else self._session.updated(given)
        changed = wanted.parameters(self._model) != self._session.parameters(self._model)
        if self._begun and changed:
            raise InvalidRequestError("language, prompt and turn_detection are chosen before the first audio")
        again = self._begun and wanted.format != self._session.format
        self._older = self._older or flat
        self._session = wanted
        if not self._begun:
            self._items = self._new_items()
        return [*([self._begins()] if again else []), self._say(self._about("updated"))]

    # -- messages --------------------------------------------------------------------------------------------------

    def _about(self, what: str) -> Message:
        kind = "transcription_session" if self._older else "session"
        shown = self._session.shown_flat() if self._older else self._session.shown()
        session = {"id": self._session_id, "object": "realtime.transcription_session", **shown}
        return {"type": f"{kind}.{what}", "session": session}

    def _error(self, error: BridgeError, event_id: Any) -> Say:
        return self._say({"type": "error", "error": {**error_object(error), "event_id": event_id}})

    def _all(self, messages: Sequence[Message]) -> list[Wish]:
        return [self._say(message) for message in messages]

    def _say(self, message: Message) -> Say:
        kind = message["type"]
        rest = {name: value for name, value in message.items() if name != "type"}
        told = {"type": kind, "event_id": f"event_{next(self._events)}", **rest}
        return Say(text=json.dumps(told, ensure_ascii=False))


class _EmptyBufferError(InvalidRequestError):
    """A commit of nothing."""

    code = "input_audio_buffer_commit_empty"
