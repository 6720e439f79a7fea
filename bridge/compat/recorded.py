"""A recording that a service's client sends and waits for: taken in, put into words, told or refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from aiohttp import web

from bridge.deliver.callback import Callback
from bridge.errors import CapacityError, InvalidRequestError
from bridge.model.events import rfc3339
from bridge.model.foreign import from_json
from bridge.model.recordings import Order, RawAudio, RawEncoding
from bridge.model.records import CallRecord
from bridge.model.stream import Leg
from bridge.model.words import Segment, Word
from bridge.ports import Upload
from bridge.web.context import Context
from bridge.web.uploads import called_back, transcribed

LONGEST_WAIT_S: Final = 3600.0
MOST_JSON: Final = 64 * 1024

RAW: Final = {encoding.value: encoding for encoding in RawEncoding}


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcribed:
    """What a recording says."""

    segments: Sequence[Segment]
    legs: Sequence[Leg]
    created: str
    """RFC 3339."""
    seconds: float

    @classmethod
    def of(cls, found: tuple[CallRecord, Sequence[Segment]]) -> Self:
        call, segments = found
        created = rfc3339(call.started_at)
        return cls(segments=segments, legs=call.legs, created=created, seconds=(call.duration_ms or 0) / 1000)

    @classmethod
    def told(cls, data: Mapping[str, Any]) -> Self:
        """Of the `data` of a `call.completed`."""
        return cls(
            segments=[_segment(fields) for fields in data["transcript"]["segments"]],
            legs=[Leg(leg) for leg in data["legs"]],
            created=data["started_at"],
            seconds=(data["duration_ms"] or 0) / 1000,
        )

    @property
    def text(self) -> str:
        return " ".join(segment.text for segment in self.segments)

    @property
    def language(self) -> str:
        """Of most segments; `en` where nobody speaks."""
        spoken = [segment.language for segment in self.segments]
        return max(spoken, key=spoken.count) if spoken else "en"


def _segment(fields: Mapping[str, Any]) -> Segment:
    words = tuple(Word(**word) for word in fields["words"])
    return Segment(**{**fields, "leg": Leg(fields["leg"]), "words": words})


async def put_into_words(context: Context, order: Order, upload: Upload | None) -> Transcribed:
    """Wait for a recording's words. Raises the fault it came to; CapacityError when the server stops before that."""
    await context.transcriber.submit(order, upload)
    done = await transcribed(context, order.tenant, order.call_id, limit_s=LONGEST_WAIT_S)
    if done is None:
        raise CapacityError("the server is stopping; the recording is transcribed all the same", retry_after=10)
    return Transcribed.of(done)


async def call_back(context: Context, order: Order, upload: Upload | None, wanted: Callback) -> None:
    """Let its words go to an address of the client's. Returns once the order outlives this process.

    Raises as `called_back` does.
    """
    async with called_back(context, order.key, wanted):
        await context.transcriber.submit(order, upload)


async def read_url(request: web.Request) -> str:
    """The `url` of a JSON body. Raises InvalidRequestError."""
    try:
        body = from_json(await request.read())
    except ValueError:
        raise InvalidRequestError("the body is not JSON") from None
    url = body.get("url") if isinstance(body, Mapping) else None
    if not isinstance(url, str) or not url:
        raise InvalidRequestError("the body has no url", fields={"url": "missing"})
    return url


def raw_audio(encoding: str | None, sample_rate: int, channels: int = 1) -> RawAudio | None:
    """How a body without a header is to be read; None for an encoding that brings one of its own.

    Raises InvalidRequestError for a number of channels that is not understood.
    """
    if encoding is None or encoding not in RAW:
        return None
    if channels not in {1, 2}:
        raise InvalidRequestError("one or two channels are understood", fields={"channels": "must be 1 or 2"})
    return RawAudio(encoding=RAW[encoding], sample_rate=sample_rate, channels=channels)
