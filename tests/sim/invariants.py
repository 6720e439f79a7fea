"""What must hold once a world has come to rest. Each check says in words what is broken."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from bridge.audio.leg import JITTER
from bridge.call import RECONNECTED
from bridge.model.events import (
    CallEnded,
    CallStarted,
    MediaGap,
    TranscriptFinal,
    TranscriptPartial,
    TranscriptRevised,
)
from bridge.model.frame import SAMPLE_RATE, from_ms, to_ms
from bridge.model.stream import Leg
from tests.tones import WINDOW_MS

if TYPE_CHECKING:
    from tests.sim.carrier import Carrier, Sent
    from tests.sim.world import World

Span = tuple[int, int]

MS = SAMPLE_RATE // 1000
"""Events tell milliseconds, rounded down: places agree to one."""


def broken(world: World) -> list[str]:
    """Nothing, or what does not hold."""
    found = [*world.faults, *world.receivers.faults]
    found += [f"left behind: {name}" for name in [*world.disk.files(), *world.disk.handles()]]
    for carrier in world.carriers:
        call_id = carrier.plan.call_id
        found += [f"{call_id}: {fault}" for fault in _call(world, carrier)]
    return found


def _call(world: World, carrier: Carrier) -> Iterator[str]:
    call_id = carrier.plan.call_id
    events = world.events(call_id)
    if not events:
        if any(sent.kept for sent in carrier.sent):
            yield "audio was kept, and there is no such call"
        return
    yield from _record(world, call_id, events)
    yield from _told_once(world, call_id)
    yield from _read(world, call_id, events)
    yield from _heard(world, carrier, [body for _, body in events])


def _record(world: World, call_id: str, events: list[tuple[int, Any]]) -> Iterator[str]:
    """One start, one end, nothing but settling behind it, no hole in `seq`."""
    seqs = [seq for seq, _ in events]
    if seqs != list(range(1, len(seqs) + 1)):
        yield f"seq has holes: {seqs}"
    kinds = Counter(type(body) for _, body in events)
    if (kinds[CallStarted], kinds[CallEnded]) != (1, 1):
        yield f"{kinds[CallStarted]} starts and {kinds[CallEnded]} ends"
        return
    at = next(index for index, (_, body) in enumerate(events) if isinstance(body, CallEnded))
    if late := [body.type for _, body in events[at + 1 :] if not isinstance(body, TranscriptRevised)]:
        yield f"after the end: {late}"
    [(status, settled)] = world.rows("SELECT status, settled FROM calls WHERE call_id = ?", call_id)
    if status == "in_progress" or not settled:
        yield f"the record is {status}, settled: {bool(settled)}"


def _told_once(world: World, call_id: str) -> Iterator[str]:
    """Each endpoint that asked was told of the end at least once, under one id."""
    [(error,)] = world.rows("SELECT error FROM calls WHERE call_id = ?", call_id)
    kind = "call.completed" if error is None else "call.failed"
    for number, _ in enumerate(world.plan.receivers):
        if (call_id, kind) not in world.receivers.taken[number]:
            yield f"receiver {number} never took {kind}"
        if "*" in world.plan.events[number] and (call_id, "call.started") not in world.receivers.taken[number]:
            yield f"receiver {number} never took call.started"
    for (number, about, told, _), ids in world.receivers.ids.items():
        if about == call_id and len(ids) > 1:
            yield f"receiver {number} saw {told} under {len(ids)} ids"


def _read(world: World, call_id: str, events: list[tuple[int, Any]]) -> Iterator[str]:
    """Whoever watched, with whatever interruptions, saw every event once and in order."""
    [reader] = [reader for reader in world.readers if reader.call_id == call_id]
    if reader.seqs != [seq for seq, _ in events][: len(reader.seqs)]:
        yield f"a reader saw {reader.seqs}"
    if reader.done and len(reader.seqs) != len(events):
        yield f"a reader was told that all was said after {len(reader.seqs)} of {len(events)}"


# -- audio -----------------------------------------------------------------------------------------------------------


def _heard(world: World, carrier: Carrier, bodies: list[Any]) -> Iterator[str]:
    gaps = [body for body in bodies if isinstance(body, MediaGap)]
    bases = _bases(carrier, gaps)
    arrived: defaultdict[Leg, list[tuple[Span, Sent]]] = defaultdict(list)
    for sent in carrier.sent:
        if sent.stream < len(bases) and (base := bases[sent.stream]) is not None:
            first = carrier.streams[sent.stream]
            arrived[sent.leg].append(((base + sent.start - first, base + sent.end - first), sent))
    yield from _duration(carrier, bodies, arrived, max((gap.at_ms + gap.missing_ms for gap in gaps), default=0))
    for leg in carrier.plan.legs:
        named = [(from_ms(gap.at_ms), from_ms(gap.at_ms + gap.missing_ms)) for gap in gaps if gap.leg is leg]
        yield from _holes(carrier, leg, arrived[leg], named)
        yield from _words(carrier, leg, arrived=arrived[leg], named=named, bodies=bodies, bases=bases)


def _bases(carrier: Carrier, gaps: list[MediaGap]) -> list[int | None]:
    """Where each stream begins on the call's clock: the first at 0, later ones behind their `reconnected` gaps."""
    back = sorted({from_ms(gap.at_ms + gap.missing_ms) for gap in gaps if gap.reason == RECONNECTED})
    by_leg = [
        {from_ms(gap.at_ms + gap.missing_ms) for gap in gaps if gap.reason == RECONNECTED and gap.leg is leg}
        for leg in carrier.plan.legs
    ]
    shared = [at for at in back if all(any(abs(at - own) <= 2 * MS for own in one) for one in by_leg)]
    bases: list[int | None] = [0]
    for number, _ in enumerate(carrier.streams[1:]):
        bases.append(shared[number] if number < len(shared) else None)
    return bases


def _duration(
    carrier: Carrier, bodies: list[Any], arrived: dict[Leg, list[tuple[Span, Sent]]], named_ms: int
) -> Iterator[str]:
    """As long as what came, to the sample; never shorter than what was kept. Chunks that carry no number may lie off by
    the timestamps' own jitter; a final that was told before a crash may end with its last window.
    """
    [end] = [body for body in bodies if isinstance(body, CallEnded)]
    if end.error is not None:
        return
    most = max((to_ms(span[1]) for spans in arrived.values() for span, _ in spans), default=0)
    least = max((to_ms(span[1]) for spans in arrived.values() for span, sent in spans if sent.kept), default=0)
    loose = 1 if carrier.plan.numbered else to_ms(JITTER)
    longest = max(most, named_ms) + loose + (WINDOW_MS if end.reason in {"recovered", "drained"} else 0)
    if not least - loose <= end.duration_ms <= longest:
        yield f"lasted {end.duration_ms} ms, and {least} to {most} ms of it came"


def _holes(carrier: Carrier, leg: Leg, arrived: list[tuple[Span, Sent]], named: list[Span]) -> Iterator[str]:
    """What is missing between what came is named. A leg that begins late begins with silence, which is no gap; where
    chunks carry no number, the timestamps tell no hole below their own jitter.
    """
    kept = [(span, sent) for span, sent in arrived if sent.kept]
    allowed = 2 * MS if carrier.plan.numbered else JITTER
    for stream in {sent.stream for _, sent in kept}:
        spans = [span for span, sent in kept if sent.stream == stream]
        begun, until = min(span[0] for span in spans), max(span[1] for span in spans)
        for start, end in _minus([(begun, until)], [span for span, _ in arrived] + named):
            if end - start > allowed:
                yield f"{leg}: {start} to {end} neither came nor is named as a gap"


def _words(
    carrier: Carrier,
    leg: Leg,
    *,
    arrived: list[tuple[Span, Sent]],
    named: list[Span],
    bodies: list[Any],
    bases: list[int | None],
) -> Iterator[str]:
    """A word whose every sample was kept is in the transcript once and in its place, or under a gap."""
    said = _transcript(bodies, leg)
    for number, base in enumerate(bases):
        if base is None:
            continue
        kept = _joined([span for span, sent in arrived if sent.kept and sent.stream == number])
        came = _joined([span for span, sent in arrived if sent.stream == number])
        for word in carrier.plan.words[leg]:
            span = (base + word.start - carrier.streams[number], base + word.end - carrier.streams[number])
            places = [at for text, at in said if text == f"w{word.number}" and _touch(at, span)]
            whole = any(start <= span[0] and span[1] <= end for start, end in kept)
            if whole and not places and not any(_touch(gap, span) for gap in named):
                yield f"{leg}: w{word.number} at {to_ms(span[0])} ms is lost"
            untouched = any(start <= span[0] and span[1] <= end for start, end in came)
            if len(places) > 1 and carrier.plan.numbered and untouched and not any(_touch(gap, span) for gap in named):
                yield f"{leg}: w{word.number} at {to_ms(span[0])} ms is told {len(places)} times"
    partials = [body for body in bodies if isinstance(body, TranscriptPartial) and body.leg is leg]
    for partial in partials:
        if not partial.text.startswith(partial.stable_text):
            yield f"{leg}: {partial.stable_text!r} does not begin {partial.text!r}"


def _transcript(bodies: list[Any], leg: Leg) -> list[tuple[str, Span]]:
    """Each word of the settled text, with its place."""
    segments: dict[int, Any] = {}
    for body in bodies:
        if isinstance(body, TranscriptFinal) and body.leg is leg:
            segments[body.segment] = body
        elif isinstance(body, TranscriptRevised) and body.leg is leg:
            for number in body.replaces:
                segments.pop(number, None)
            segments |= {segment.segment: segment for segment in body.segments}
    return [
        (word.word, (from_ms(word.start_ms), from_ms(word.end_ms) + MS))
        for segment in segments.values()
        for word in segment.words
    ]


def _touch(one: Span, other: Span) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def _joined(spans: list[Span]) -> list[Span]:
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def _minus(spans: list[Span], taken: list[Span]) -> list[Span]:
    left: list[Span] = []
    for start, end in spans:
        at = start
        for begin, stop in _joined(taken):
            if begin > at:
                left.append((at, min(begin, end)))
            at = max(at, stop)
            if at >= end:
                break
        if at < end:
            left.append((at, end))
    return [(start, end) for start, end in left if end > start]
