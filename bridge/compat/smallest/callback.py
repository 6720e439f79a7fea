"""A recording's words sent to the `webhook_url` that its request names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from multidict import MultiDict, MultiMapping

from bridge.compat.asking import flag
from bridge.compat.recorded import Transcribed
from bridge.compat.smallest.wording import Wording, told_of
from bridge.deliver.callback import Callback
from bridge.deliver.style import METHOD, to_json
from bridge.errors import InvalidRequestError
from bridge.model.records import Delivery, Endpoint

STYLE: Final = "smallest"

ASKED: Final = "asked"
"""The option of an endpoint that has the query, as far as it counts."""
EXTRA: Final = "webhook_extra"
"""`k:v,k:v`: comes back with the words, and is kept with the call."""
FLAGS: Final = ("format", "punctuate", "capitalize", "diarize", "word_timestamps")
METHODS: Final = ("POST", "GET")


def callback(query: MultiMapping[str]) -> Callback | None:
    """None where no callback is wanted. Raises InvalidRequestError."""
    url = query.get("webhook_url")
    if url is None:
        return None
    method = query.get("webhook_method", "POST").upper()
    if method not in METHODS:
        why = "must be POST or GET"
        raise InvalidRequestError(f"webhook_method {why}", fields={"webhook_method": why})
    asked = urlencode([(name, query[name]) for name in FLAGS if name in query])
    return Callback(url=url, style=STYLE, options={METHOD: method, ASKED: asked})


class Messages:
    """The `Style` port."""

    schedule_s: Sequence[float] = (0.0, *(30.0,) * 10)
    limit_s = 15.0

    def body(self, delivery: Delivery, endpoint: Endpoint) -> bytes:
        data: Mapping[str, Any] = delivery.payload["data"]
        told: dict[str, Any] = {"request_id": data.get("call_id", ""), **_extra(data.get("metadata", {}).get(EXTRA))}
        if delivery.type == "call.failed":
            return to_json({"status": "failed", **told, "error": data["error"]["message"]})
        if delivery.type != "call.completed":  # a test by hand
            return to_json(told)
        query = MultiDict(parse_qsl(endpoint.options[ASKED]))
        done = Transcribed.told(data)
        words = told_of(done, Wording.of(query), with_words=flag(query, "word_timestamps", default=True))
        return to_json({"status": "success", **told, **words, "metadata": {"duration": done.seconds}})

    def headers(self, delivery: Delivery, endpoint: Endpoint, now: float, body: bytes) -> Mapping[str, str]:
        del delivery, endpoint, now, body
        return {}


def _extra(given: str | None) -> Mapping[str, Any]:
    """As it was sent, and by name."""
    if given is None:
        return {}
    pairs = (pair.partition(":") for pair in given.split(",") if pair.strip())
    return {EXTRA: given, "extra": {name.strip(): value.strip() for name, _, value in pairs}}
