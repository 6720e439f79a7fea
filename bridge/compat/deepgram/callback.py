"""A recording's words sent to the `callback` that its request names: Deepgram's documentation, "Callback"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from multidict import MultiDict, MultiMapping

from bridge.compat.deepgram.results import FLAGS, results_of
from bridge.compat.recorded import Transcribed
from bridge.deliver.callback import Callback
from bridge.deliver.style import METHOD, to_json
from bridge.errors import InvalidRequestError
from bridge.model.records import Delivery, Endpoint

STYLE: Final = "deepgram"

ASKED, MODEL, TOKEN = "asked", "model", "token"
"""Options of an endpoint: the query as far as it counts, whose words they are, who asked."""
METHODS: Final = ("POST", "PUT")


def callback(query: MultiMapping[str], *, identity: str, model: str) -> Callback | None:
    """None where no callback is wanted. Raises InvalidRequestError."""
    url = query.get("callback")
    if url is None:
        return None
    method = query.get("callback_method", "POST").upper()
    if method not in METHODS:
        raise InvalidRequestError("callback_method must be post or put")
    asked = urlencode([(name, value) for name in FLAGS for value in query.getall(name, [])])
    options = {METHOD: method, ASKED: asked, MODEL: model, TOKEN: identity}
    return Callback(url=url, style=STYLE, options=options)


class Messages:
    """The `Style` port."""

    schedule_s: Sequence[float] = (0.0, *(30.0,) * 10)
    limit_s = 15.0

    def body(self, delivery: Delivery, endpoint: Endpoint) -> bytes:
        data: Mapping[str, Any] = delivery.payload["data"]
        request_id = data.get("call_id", "")
        if delivery.type == "call.failed":
            return to_json({"err_code": "Bad Request", "err_msg": data["error"]["message"], "request_id": request_id})
        if delivery.type != "call.completed":  # a test by hand
            return to_json({"request_id": request_id})
        query = MultiDict(parse_qsl(endpoint.options[ASKED]))
        return to_json(results_of(Transcribed.told(data), query, endpoint.options[MODEL], request_id=request_id))

    def headers(self, delivery: Delivery, endpoint: Endpoint, now: float, body: bytes) -> Mapping[str, str]:
        del delivery, now, body
        return {"dg-token": endpoint.options[TOKEN]}
