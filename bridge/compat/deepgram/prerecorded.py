"""`POST /v1/listen`: a recording as the body, or its address, and all of its words in the answer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

from aiohttp import web
from multidict import MultiMapping

from bridge.compat.asking import admit, flag, listed, whole
from bridge.compat.deepgram.wording import ENDS, Wording, keyterms, language, model_info, model_uuid
from bridge.compat.recorded import Transcribed, put_into_words, raw_audio, read_url
from bridge.errors import InvalidRequestError
from bridge.model.events import rfc3339
from bridge.model.stream import Leg
from bridge.model.words import Segment
from bridge.web.auth import Scope
from bridge.web.context import Context
from bridge.web.observe import REQUEST_ID
from bridge.web.uploads import new_order, read_raw

UTTERANCE_GAP_S: Final = 0.8
DEFAULT_TTL_S: Final = 30


async def listen(request: web.Request, context: Context) -> web.StreamResponse:
    principal = await admit(request)
    query = request.query
    if "callback" in query:
        raise InvalidRequestError("callback is not offered here: wait for the answer, or register a webhook")
    wording = Wording.of(query)
    context.transcriber.check_room(principal.tenant)
    digest = hashlib.sha256()
    url = upload = None
    if request.content_type == "application/json":
        url = await read_url(request)
    else:
        upload = await read_raw(request, context.transcriber, principal.tenant, also=digest.update)
    try:
        order = new_order(
            context,
            tenant=principal.tenant,
            url=url,
            language=language(query),
            keywords=keyterms(query),
            diarize=wording.diarized or None,
            metadata={"tag": ",".join(listed(query, "tag"))} if "tag" in query else {},
            raw=raw_audio(
                query.get("encoding"),
                whole(query, "sample_rate", 16_000, least=4000, most=192_000),
                whole(query, "channels", 1, least=1, most=64),
            ),
        )
        done = await put_into_words(context, order, upload)
    finally:
        if upload is not None:
            upload.discard()
    body = _body(done, query, wording, context.settings.model)
    request_id = request.get(REQUEST_ID, "")
    body["metadata"] |= {"request_id": request_id, "sha256": digest.hexdigest() if url is None else ""}
    return web.json_response(body, headers={"dg-request-id": request_id, "Cache-Control": "no-store"})


async def grant(request: web.Request, context: Context) -> web.StreamResponse:
    """A token that lasts for one connection."""
    principal = await admit(request, scopes=(Scope.TOKENS,))
    raw = await request.read()
    try:
        asked = json.loads(raw or b"{}").get("ttl_seconds", DEFAULT_TTL_S)
        ttl_s = int(asked)
    except (ValueError, TypeError, AttributeError):
        ttl_s = 0
    if not 1 <= ttl_s <= 3600:
        raise InvalidRequestError("ttl_seconds must be a whole number from 1 to 3600")
    token = context.auth.signer.issue(
        tenant=principal.tenant,
        identity=principal.identity,
        scopes=(Scope.MEDIA, Scope.CALLS_READ),
        lifetime_s=ttl_s,
    )
    return web.json_response({"access_token": token.token, "expires_in": ttl_s}, headers={"Cache-Control": "no-store"})


def _body(done: Transcribed, query: MultiMapping[str], wording: Wording, model: str) -> dict[str, Any]:
    apart = flag(query, "multichannel")
    legs = done.call.legs if apart else (None,)
    spoken = [_of(done.segments, leg) for leg in legs]
    results: dict[str, Any] = {"channels": [_channel(said, query, wording) for said in spoken]}
    if flag(query, "utterances"):
        results["utterances"] = _utterances(spoken, query, wording)
    uuid = model_uuid(model)
    return {
        "metadata": {
            "transaction_key": "deprecated",
            "created": rfc3339(done.call.started_at),
            "duration": done.seconds,
            "channels": len(done.call.legs),
            "models": [uuid],
            "model_info": {uuid: model_info(model)},
            **({"tags": listed(query, "tag")} if "tag" in query else {}),
        },
        "results": results,
    }


def _of(segments: Sequence[Segment], leg: Leg | None) -> list[Segment]:
    return [segment for segment in segments if leg in {None, segment.leg}]


def _channel(said: Sequence[Segment], query: MultiMapping[str], wording: Wording) -> dict[str, Any]:
    alternative = wording.alternative(said)
    if flag(query, "paragraphs") or flag(query, "smart_format"):
        alternative["paragraphs"] = _paragraphs(said)
    channel: dict[str, Any] = {"alternatives": [alternative]}
    if language(query) is None and said:
        spoken = [segment.language for segment in said]
        channel["detected_language"] = max(spoken, key=spoken.count)
    return channel


def _utterances(
    spoken: Sequence[Sequence[Segment]], query: MultiMapping[str], wording: Wording
) -> list[dict[str, Any]]:
    gap_s = _gap_s(query)
    told = [
        {
            "start": run[0].start_ms / 1000,
            "end": run[-1].end_ms / 1000,
            "channel": channel,
            **wording.alternative(run),
            "id": f"{channel}-{run[0].leg.value}-{run[0].segment}",
        }
        for channel, said in enumerate(spoken)
        for run in _runs(said, gap_s)
    ]
    return sorted(told, key=lambda utterance: (utterance["start"], utterance["channel"]))


def _gap_s(query: MultiMapping[str]) -> float:
    try:
        gap_s = float(query.get("utt_split", UTTERANCE_GAP_S))
    except ValueError:
        gap_s = -1
    if not 0 <= gap_s <= 60:
        raise InvalidRequestError("utt_split must be a number of seconds")
    return gap_s


def _runs(said: Sequence[Segment], gap_s: float) -> list[list[Segment]]:
    """What one party says without a silence of `gap_s`."""
    runs: list[list[Segment]] = []
    for segment in said:
        last = runs[-1][-1] if runs else None
        if last is not None and last.leg is segment.leg and segment.start_ms - last.end_ms < 1000 * gap_s:
            runs[-1].append(segment)
        else:
            runs.append([segment])
    return runs


def _paragraphs(said: Sequence[Segment]) -> dict[str, Any]:
    runs = _runs(said, UTTERANCE_GAP_S)
    sentences = [_sentences(run) for run in runs]
    transcript = "\n\n".join(" ".join(sentence["text"] for sentence in one) for one in sentences)
    return {
        "transcript": f"\n{transcript}" if transcript else "",
        "paragraphs": [
            {
                "sentences": one,
                "num_words": sum(len(segment.words) for segment in run),
                "start": run[0].start_ms / 1000,
                "end": run[-1].end_ms / 1000,
            }
            for run, one in zip(runs, sentences, strict=True)
        ],
    }


def _sentences(run: Sequence[Segment]) -> list[dict[str, Any]]:
    words = [word for segment in run for word in segment.words]
    ends = [n for n, word in enumerate(words, 1) if word.word.endswith(ENDS) or n == len(words)]
    return [
        {
            "text": " ".join(word.word for word in words[begin:end]),
            "start": words[begin].start_ms / 1000,
            "end": words[end - 1].end_ms / 1000,
        }
        for begin, end in pairwise([0, *ends])
    ]
