"""One call placed, watched and judged: what was to happen, and whether it did."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
from rich.console import Console

from bridge.bench.calls import BenchCall
from bridge.bench.load import Server
from bridge.bench.measure import Seen, measure, quantile
from bridge.bench.score import WordErrors, word_errors
from bridge.carrier.place import CallReport, place_call
from bridge.carrier.side import Dialled, encode_for
from bridge.cli.captions import Captions, line
from bridge.cli.progress import minutes
from bridge.cli.webhook_receiver import Received, Receiver
from bridge.dialects import DIALECTS
from bridge.errors import BridgeError, StoreError
from bridge.model.stream import Leg
from bridge.ports import Clock

CALL_ID: Final = "demo"
DIALECT: Final = "twilio"

WRONG_AT_MOST: Final = 0.1
"""Share of words. Above this the installation is at fault: the call is recognised far better."""

MEANT_S: Final = 1.5
"""From the end of speech to its final, for 95 of 100."""

ENDED_WITHIN_S: Final = 60.0
WEBHOOK_WITHIN_S: Final = 60.0


@dataclass(slots=True)
class Verdict:
    """A row for everything that was to happen: whether it did, its name, and more about it."""

    rows: list[tuple[bool, str, str]] = field(default_factory=list)

    def add(self, name: str, words: str, *, happened: bool) -> None:
        self.rows.append((happened, name, words))

    @property
    def good(self) -> bool:
        return all(happened for happened, _, _ in self.rows)


async def show_call(server: Server, call: BenchCall, receiver: Receiver, console: Console, clock: Clock) -> Verdict:
    """Place `call`, show all that comes of it, and judge. Raises BridgeError when it cannot go on."""
    verdict = Verdict()
    async with aiohttp.ClientSession(server.url, headers=server.headers) as session:
        with Captions(console, call.duration_ms) as captions:
            stage = _Stage(session, captions, clock)
            report = await stage.play(server, call)
        ended = stage.seen[-1].event
        console.print(f"\nThe call has ended ({ended['reason']}) after {minutes(ended['duration_ms'])}.")
        with console.status("Waiting for the settled text and its webhook …"):
            received = await _next(receiver)
        stored = await _stored(session)
    _show_stored(console, stored)
    if received is not None:
        _show_webhook(console, received)
    _judge_captions(verdict, call, stage.seen, report)
    _judge_transcript(verdict, call, stored)
    _judge_webhook(verdict, received, receiver, stored)
    verdict.add("live page", "answered during the call", happened=stage.page_was_there)
    return verdict


class _Stage:
    """The carrier on one side, the audience on the other."""

    def __init__(self, session: aiohttp.ClientSession, captions: Captions, clock: Clock) -> None:
        self._session = session
        self._captions = captions
        self._clock = clock
        self.seen: list[Seen] = []
        self.page_was_there = False

    async def play(self, server: Server, call: BenchCall) -> CallReport:
        """The call from its first message to its last event."""
        side = DIALECTS[DIALECT].speak(
            Dialled(legs=tuple(call.audio.legs), parameters={"call_id": CALL_ID}, token=server.key)
        )
        audio = await asyncio.to_thread(encode_for, side, call.audio)
        try:
            async with self._session.ws_connect("/v1/events") as feed, asyncio.TaskGroup() as tasks:
                placing = tasks.create_task(
                    place_call(
                        server.media(DIALECT),
                        audio,
                        side,
                        clock=self._clock,
                        progress=self._captions.sent,
                    )
                )
                tasks.create_task(self._watch(feed, placing))
        except* BridgeError as failed:
            raise failed.exceptions[0] from None
        return placing.result()

    async def _watch(self, feed: aiohttp.ClientWebSocketResponse, placing: asyncio.Task[CallReport]) -> None:
        """Until the call's last event; after the carrier has hung up that takes no longer than `ENDED_WITHIN_S`."""
        hearing = asyncio.create_task(self._hear(feed))
        try:
            await asyncio.wait({hearing, placing}, return_when=asyncio.FIRST_COMPLETED)
            async with asyncio.timeout(ENDED_WITHIN_S):
                await hearing
        except TimeoutError:
            raise StoreError(f"the call did not end within {ENDED_WITHIN_S:.0f} s of its hang-up") from None
        finally:
            hearing.cancel()

    async def _hear(self, feed: aiohttp.ClientWebSocketResponse) -> None:
        async for message in feed:
            event = json.loads(message.data)
            if event["call_id"] != CALL_ID:
                continue
            self.seen.append(Seen(self._clock.now(), event))
            self._captions.show(event)
            if event["type"] == "call.started":
                async with self._session.get("/") as page:
                    self.page_was_there = page.ok and page.content_type == "text/html"
            if event["type"] == "call.ended":
                return
        raise StoreError("the server went away in the middle of the call")


async def _next(receiver: Receiver) -> Received | None:
    try:
        async with asyncio.timeout(WEBHOOK_WITHIN_S):
            return await receiver.verified.get()
    except TimeoutError:
        return None


async def _stored(session: aiohttp.ClientSession) -> dict[str, Any]:
    async with session.get(f"/v1/calls/{CALL_ID}/transcript") as answer:
        if not answer.ok:
            raise StoreError(f"the transcript cannot be read: HTTP {answer.status}")
        transcript: dict[str, Any] = await answer.json()
    return transcript


# -- showing -------------------------------------------------------------------------------------------------------


def _show_stored(console: Console, stored: dict[str, Any]) -> None:
    console.print(f"\nThe transcript as it is kept (GET /v1/calls/{CALL_ID}/transcript):\n")
    for segment in stored["segments"]:
        line(console, Leg(segment["leg"]), segment["start_ms"], segment["text"])


def _show_webhook(console: Console, received: Received) -> None:
    console.print("\nThe webhook as its receiver got it:\n")
    for name, value in received.headers.items():
        console.print(f"  [dim]{name.lower()}:[/] {value}", soft_wrap=True)
    data = received.body["data"]
    transcript = data["transcript"]
    facts = {
        "type": received.body["type"],
        "timestamp": received.body["timestamp"],
        **{f"data.{name}": data[name] for name in ("call_id", "carrier", "carrier_call_id", "duration_ms")},
        "data.transcript": f"{len(transcript['segments'])} segments, {len(transcript['text'])} characters",
    }
    for name, value in facts.items():
        console.print(f"  [dim]{name}:[/] {value}", soft_wrap=True)


# -- judging -------------------------------------------------------------------------------------------------------


def _judge_captions(verdict: Verdict, call: BenchCall, seen: Sequence[Seen], report: CallReport) -> None:
    figures = measure(call, seen, (), report.sent_at)
    partials = [one for one in seen if one.type == "transcript.partial"]
    early = [one for one in partials if one.at < report.ended_at]
    delays = figures.finals_s
    words = f"{len(early)} partial texts while people spoke, {len(delays)} of {len(call.utterances)} finals"
    if delays:
        slowest = quantile(delays, 0.95)
        words += f", {quantile(delays, 0.5):.2f} s (p50) and {slowest:.2f} s (p95) after the last word"
        if slowest > MEANT_S:
            words += f"; {MEANT_S} s is what is meant, so this machine is too small or too busy"
    verdict.add("captions", words, happened=bool(early) and not figures.missing)


def _judge_transcript(verdict: Verdict, call: BenchCall, stored: dict[str, Any]) -> None:
    errors = WordErrors()
    for leg, reference in call.texts.items():
        heard = " ".join(segment["text"] for segment in stored["segments"] if segment["leg"] == leg)
        errors += word_errors(reference or "", heard, call.language)
    words = f"{errors.words} words, of which {errors.errors} wrong: word error rate {errors.rate:.1%}"
    verdict.add("transcript", words, happened=errors.rate <= WRONG_AT_MOST)


def _judge_webhook(verdict: Verdict, received: Received | None, receiver: Receiver, stored: dict[str, Any]) -> None:
    if received is None:
        why = f": {receiver.refused[-1]}" if receiver.refused else ""
        verdict.add("webhook", f"none that could be verified within {WEBHOOK_WITHIN_S:.0f} s{why}", happened=False)
        return
    kind = received.body["type"]
    same = received.body["data"]["transcript"]["text"] == stored["text"]
    verdict.add(
        "webhook",
        f"{kind} with {'the same' if same else 'another'} text, its signature checked by the receiver",
        happened=kind == "call.completed" and same,
    )
