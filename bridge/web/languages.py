"""Which languages this server writes."""

from __future__ import annotations

from typing import Final

from aiohttp import hdrs, web
from pydantic import Field

from bridge.model.languages import languages_of
from bridge.web.auth import Scope
from bridge.web.route import Answer, Ask, Nothing, Outgoing, Route, answer


class Language(Outgoing):
    code: str = Field(description="Whisper's code, as `language` takes it")
    name: str = Field(description="in English")


class LanguageList(Outgoing):
    model: str
    languages: tuple[Language, ...]


async def list_languages(ask: Ask[Nothing, Nothing]) -> web.StreamResponse:
    model = ask.context.settings.model
    found = (Language(code=code, name=name) for code, name in languages_of(model).items())
    return answer(LanguageList(model=model, languages=tuple(found)))


ROUTES: Final = (
    Route(
        method=hdrs.METH_GET,
        path="/v1/languages",
        handler=list_languages,
        scope=Scope.CALLS_READ,
        summary="Languages the running model writes",
        tag="languages",
        answers=(Answer(description="by code", model=LanguageList),),
    ),
)
