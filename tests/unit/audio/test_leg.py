"""One leg, as tables of what came and what is heard."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bridge.audio.clock import StreamClock
from bridge.audio.leg import Heard, LegAudio
from bridge.errors import UnsupportedMediaError
from bridge.model.frame import SAMPLE_RATE, AudioFrame, Gap
from bridge.model.stream import Discarded, Encoding, Leg, MediaChunk, MediaFormat
from callcodecs.g711 import encode_ulaw
from callcodecs.opus import OpusEncoder

WIDE = MediaFormat(encoding=Encoding.L16_LE, sample_rate=16_000)
PHONE = MediaFormat(encoding=Encoding.PCMU, sample_rate=8_000)


def chunk(number: int, *, timed: bool = True, counted: bool = True, ms: int = 20) -> MediaChunk:
    """The chunk of a call's `number`th 20 ms; each of its samples says so: they are `number + 1`."""
    return MediaChunk(
        leg=Leg.CALLER,
        payload=np.full(16 * ms, number + 1, dtype="<i2").tobytes(),
        sequence=number if counted else None,
        timestamp_ms=20.0 * number if timed else None,
    )


def chunks(*ranges: range, timed: bool = True, counted: bool = True) -> list[MediaChunk]:
    return [chunk(n, timed=timed, counted=counted) for numbers in ranges for n in numbers]


def hear(items: list[MediaChunk | Discarded], leg: LegAudio | None = None) -> list[Heard]:
    leg = leg or LegAudio(Leg.CALLER, WIDE)
    return [heard for item in items for heard in leg.push(item)] + leg.flush()


def joined(heard: list[Heard]) -> np.ndarray:
    """The leg's samples. Frames have to follow on each other, and a gap has to stand before its silence."""
    samples: list[np.ndarray] = []
    end = 0
    for value in heard:
        assert value.position == end
        if isinstance(value, AudioFrame):
            samples.append(value.samples)
            end = value.end
    run = np.concatenate(samples) if samples else np.zeros(0)
    for gap in gaps(heard):
        assert not run[gap.position : gap.position + gap.samples].any()
    return run


def gaps(heard: list[Heard]) -> list[Gap]:
    return [value for value in heard if isinstance(value, Gap)]


def told(heard: list[Heard]) -> list[tuple[float, float, str]]:
    """Gaps in units of 20 ms."""
    return [(gap.position / 320, gap.samples / 320, gap.reason) for gap in gaps(heard)]


def numbers(heard: list[Heard]) -> list[int | None]:
    """Which chunk is heard in each 20 ms; None is silence."""
    run = np.round(joined(heard) * 32_768).astype(int)
    return [int(part[160]) - 1 if part[160] else None for part in run[: len(run) // 320 * 320].reshape(-1, 320)]


SILENCE = None


@pytest.mark.parametrize(
    ("came", "heard", "gap"),
    [
        pytest.param(chunks(range(6)), [*range(6)], [], id="in-order"),
        pytest.param(chunks(range(6), timed=False), [*range(6)], [], id="counted-only"),
        pytest.param(chunks(range(6), counted=False), [*range(6)], [], id="timed-only"),
        pytest.param(chunks(range(6), timed=False, counted=False), [*range(6)], [], id="neither"),
        pytest.param(chunks([0, 2, 1, 3]), [0, 1, 2, 3], [], id="swapped"),
        pytest.param(chunks([0, 1, 1, 2]), [0, 1, 2], [], id="twice"),
        pytest.param(chunks([0, 1, 1, 2], counted=False), [0, 1, 2], [], id="twice-timed-only"),
        pytest.param(chunks([0, 1, 3]), [0, 1, SILENCE, 3], [(2, 1, "lost")], id="one-lost"),
        pytest.param(chunks([0, 1, 3], timed=False), [0, 1, SILENCE, 3], [(2, 1, "lost")], id="one-lost-counted-only"),
        pytest.param(chunks([0, 4]), [0, *[SILENCE] * 3, 4], [(1, 3, "lost")], id="adjacent-losses-merged"),
        pytest.param(chunks([0, 4], counted=False), [0, *[SILENCE] * 3, 4], [(1, 3, "lost")], id="lost-timed-only"),
        pytest.param(chunks(range(3, 6)), [*[SILENCE] * 3, 3, 4, 5], [], id="late-start-is-no-gap"),
        pytest.param(
            [chunk(0), replace(chunk(4), sequence=1)], [0, *[SILENCE] * 3, 4], [(1, 3, "not_sent")], id="not-sent"
        ),
        pytest.param(
            [chunk(n, counted=False) for n in [*range(10), 3, 10]], [*range(11)], [], id="behind-is-dropped-timed-only"
        ),
        pytest.param(
            [replace(chunk(n), timestamp_ms=20 * n + jitter) for n, jitter in enumerate([0, 15, 39, -39, 20, 0])],
            [*range(6)],
            [],
            id="inexact-timestamps-move-nothing",
        ),
        pytest.param(
            [replace(chunk(n), timestamp_ms=20 * n + (100_000 if n > 2 else 0)) for n in range(6)],
            [*range(6)],
            [],
            id="clock-jump",
        ),
        pytest.param(
            [replace(chunk(n), timestamp_ms=1.76e12 + 20 * n) for n in [0, 1, 3]],
            [0, 1, SILENCE, 3],
            [(2, 1, "lost")],
            id="unix-time",
        ),
        pytest.param([replace(chunk(n), timestamp_ms=0) for n in range(99)], [*range(99)], [], id="clock-stands"),
        pytest.param(
            [chunk(0), chunk(1), Discarded(leg=Leg.CALLER, missing_ms=40, reason="paused"), chunk(4)],
            [0, 1, SILENCE, SILENCE, 4],
            [(2, 2, "paused")],
            id="discarded",
        ),
        pytest.param(
            [*chunks([0, 2], timed=False), Discarded(leg=Leg.CALLER, missing_ms=20, reason="paused")],
            [0, SILENCE, 2, SILENCE],
            [(1, 1, "lost"), (3, 1, "paused")],
            id="discarded-behind-a-hole",
        ),
        pytest.param(
            [*chunks(range(9)), *[replace(chunk(n + 9), timestamp_ms=20 * n) for n in [0, 1, 3]]],
            [*range(11), SILENCE, 12],
            [(11, 1, "lost")],
            id="clock-starts-anew",
        ),
        pytest.param([], [], [], id="nothing"),
    ],
)
def test_what_is_heard(came: list[MediaChunk | Discarded], heard: list[int | None], gap: list[object]) -> None:
    """These chunks are heard in these places, with these gaps told."""
    result = hear(came)
    assert numbers(result) == heard
    assert told(result) == gap


@pytest.mark.parametrize(
    ("came", "heard", "gap"),
    [
        pytest.param(chunks([2, 1, 0, 3]), [SILENCE, SILENCE, 2, 3], [(1, 1, "lost"), (0, 1, "lost")], id="in-place"),
        pytest.param(chunks([2, 0, 1, 3]), [SILENCE, SILENCE, 2, 3], [(0, 2, "lost")], id="with-those-between"),
        pytest.param(chunks([1, 0, 2, 0]), [SILENCE, 1, 2], [(0, 1, "lost")], id="twice-named-once"),
        pytest.param(chunks([1, 0, 2], timed=False), [1, 2], [(0, 1, "lost")], id="counted-only"),
        pytest.param(chunks([5, 0, 6], counted=False), [*[SILENCE] * 5, 5, 6], [(0, 1, "lost")], id="timed-only"),
        pytest.param(
            [replace(chunk(n), timestamp_ms=1.76e12 + 20 * n) for n in [1, 0, 2]],
            [1, 2],
            [(0, 1, "lost")],
            id="unix-time",
        ),
        pytest.param(
            [*chunks(range(9)), *[replace(chunk(n), timestamp_ms=20.0 * (n - 4991)) for n in [5001, 5002, 5000]]],
            [*range(9), 5001, 5002],
            [(9, 1, "lost")],
            id="counts-anew",
        ),
    ],
)
def test_what_comes_before_the_first_is_named(
    came: list[MediaChunk | Discarded], heard: list[int | None], gap: list[object]
) -> None:
    """A chunk that the line let the first one overtake is told as missing, in its place or at the leg's beginning."""
    result = hear(came)
    assert numbers([value for value in result if isinstance(value, AudioFrame)]) == heard
    assert told(result) == gap


def test_counts() -> None:
    """What happened to chunks is counted."""
    leg = LegAudio(Leg.CALLER, WIDE)
    late = chunk(5)
    hear([*chunks([0, 1, 1], range(2, 5), range(6, 40)), late], leg)
    assert (leg.counts.received, leg.counts.duplicate, leg.counts.lost, leg.counts.late) == (41, 1, 1, 1)


def test_a_clock_that_stands_costs_no_more_than_a_second() -> None:
    """Without sequence numbers, a timestamp that never changes is found out, and the count of samples takes over."""
    leg = LegAudio(Leg.CALLER, WIDE)
    came = [replace(chunk(n, counted=False), timestamp_ms=0) for n in range(500)]
    assert len(joined(hear(came, leg))) >= (500 - 51) * 320
    assert leg.counts.late <= 51


def test_a_late_leg_shares_the_time_base() -> None:
    """The agent picks up after two minutes: the leg begins with that much silence, no gap, in the caller's time."""
    clock = StreamClock()
    caller = LegAudio(Leg.CALLER, WIDE, clock)
    agent = LegAudio(Leg.AGENT, WIDE, clock)
    hear(chunks(range(6_000)), caller)
    heard = hear([replace(chunk(6_000 + n), leg=Leg.AGENT) for n in range(5)], agent)
    assert gaps(heard) == []
    assert len(joined(heard)) == 6_005 * 320
    assert np.flatnonzero(joined(heard))[0] == 6_000 * 320


def test_a_leg_may_be_silent_for_minutes() -> None:
    """While the other leg's time goes on, a pause of more than a minute is a pause and no jump of the clock."""
    clock = StreamClock()
    caller, agent = LegAudio(Leg.CALLER, WIDE, clock), LegAudio(Leg.AGENT, WIDE, clock)
    agent.push(chunk(0))
    for number in range(5_000):
        caller.push(chunk(number))
    heard = agent.push(replace(chunk(5_000), sequence=1))
    assert told(heard) == [(1, 4_999, "not_sent")]


def test_speech_onset_is_not_held() -> None:
    """After long silence the first loud chunk goes on at once, on a telephone line save the filter's 30 ms."""
    leg = LegAudio(Leg.CALLER, PHONE)
    loud = encode_ulaw(np.tile(np.array([8_000, -8_000], np.int16), 80))
    for number in range(123):
        leg.push(MediaChunk(leg=Leg.CALLER, payload=b"\xff" * 160, sequence=number))
    frames = leg.push(MediaChunk(leg=Leg.CALLER, payload=loud, sequence=123))
    assert frames[-1].position + len(frames[-1].samples) == (124 * 20 - 30) * 16


@pytest.mark.parametrize("ms", [1, 10, 30, 100, 200])
def test_any_chunk_length(ms: int) -> None:
    """Carriers may send chunks of any length; a lost one is as long as its neighbours."""
    came = [
        MediaChunk(leg=Leg.CALLER, payload=b"\x01\x00" * 16 * ms, sequence=n, timestamp_ms=float(n * ms))
        for n in [0, 1, 2, 4, 5]
    ]
    heard = hear(came)
    assert [(gap.position, gap.samples) for gap in gaps(heard)] == [(3 * ms * 16, ms * 16)]
    assert len(joined(heard)) == 6 * ms * 16


@pytest.mark.parametrize("size", [0, 1, 65_536])
def test_extreme_payloads(size: int) -> None:
    """Empty, odd and 64 KiB payloads are audio like any other."""
    came = [MediaChunk(leg=Leg.CALLER, payload=b"\x01\x00\x01\x00"), MediaChunk(leg=Leg.CALLER, payload=bytes(size))]
    assert len(joined(hear(came))) == 2 + size // 2


def test_odd_bytes_are_carried_over() -> None:
    """A sample that two chunks share is heard, once."""
    wire = np.arange(1, 101, dtype="<i2").tobytes()
    came = [MediaChunk(leg=Leg.CALLER, payload=wire[at : at + 7]) for at in range(0, len(wire), 7)]
    assert (joined(hear(came)) * 32_768).tolist() == list(range(1, 101))


def opus_chunks(*, timed: bool) -> list[MediaChunk]:
    encoder = OpusEncoder()
    tone = (8_000 * np.sin(np.arange(960 * 30) / 20)).astype(np.int16).reshape(-1, 960)
    return [
        MediaChunk(
            leg=Leg.CALLER,
            payload=encoder.encode(frame),
            sequence=n if timed else None,
            timestamp_ms=20.0 * n if timed else None,
        )
        for n, frame in enumerate(tone)
    ]


@pytest.mark.parametrize("timed", [True, False], ids=["timed", "untimed"])
@pytest.mark.parametrize("broken", [[10], [10, 11], [29]], ids=["one", "two", "the-last"])
def test_a_corrupt_payload_costs_itself(timed: bool, broken: list[int]) -> None:
    """It is counted, becomes silence of its length and one gap, and the next payload is heard again."""
    leg = LegAudio(Leg.CALLER, MediaFormat(encoding=Encoding.OPUS, sample_rate=48_000))
    came = [replace(c, payload=b"\xff\xff") if n in broken else c for n, c in enumerate(opus_chunks(timed=timed))]
    heard = hear(came, leg)
    assert told(heard) == [(broken[0], len(broken), "corrupt")]
    assert len(joined(heard)) == 30 * 320
    assert leg.counts.corrupt == len(broken)


def test_lost_and_corrupt_are_one_gap() -> None:
    """Losses side by side are told once."""
    came = opus_chunks(timed=True)
    came[10] = replace(came[10], payload=b"\xff\xff")
    del came[11]
    leg = LegAudio(Leg.CALLER, MediaFormat(encoding=Encoding.OPUS, sample_rate=48_000))
    assert told(hear(came, leg)) == [(10, 2, "lost")]


@pytest.mark.parametrize(
    ("encoding", "rate", "payload_20ms"),
    [
        (Encoding.PCMU, 8_000, 160),
        (Encoding.PCMA, 8_000, 160),
        (Encoding.G722, 16_000, 160),
        (Encoding.G722, 8_000, 160),
        (Encoding.L16_LE, 8_000, 320),
        (Encoding.L16_BE, 24_000, 960),
    ],
)
def test_every_encoding_keeps_time(encoding: Encoding, rate: int, payload_20ms: int) -> None:
    """A second in is a second out, whatever the encoding and the rate it claims."""
    leg = LegAudio(Leg.CALLER, MediaFormat(encoding=encoding, sample_rate=rate))
    payload = np.random.default_rng(2).bytes(payload_20ms)
    came = [MediaChunk(leg=Leg.CALLER, payload=payload, sequence=n, timestamp_ms=20.0 * n) for n in range(50)]
    heard = hear(came, leg)
    assert len(joined(heard)) == SAMPLE_RATE
    assert gaps(heard) == []


@pytest.mark.parametrize("rate", [0, -8_000, 3_999, 1_000_000])
def test_impossible_rates(rate: int) -> None:
    """A rate that is no audio is refused at the start, by name."""
    with pytest.raises(UnsupportedMediaError, match=str(rate)):
        LegAudio(Leg.CALLER, MediaFormat(encoding=Encoding.PCMU, sample_rate=rate))


def test_a_pause_behind_a_corrupt_payload() -> None:
    """What was lost before a pause is told before the pause."""
    came = opus_chunks(timed=False)[:10]
    came[9] = replace(came[9], payload=b"\xff\xff")
    leg = LegAudio(Leg.CALLER, MediaFormat(encoding=Encoding.OPUS, sample_rate=48_000))
    heard = hear([*came, Discarded(leg=Leg.CALLER, missing_ms=100, reason="paused")], leg)
    assert told(heard) == [(9, 1, "corrupt"), (10, 5, "paused")]


def test_media_after_the_end_still_counts() -> None:
    """Chunks that follow a flush go on where it left off."""
    leg = LegAudio(Leg.CALLER, PHONE)
    first = hear([MediaChunk(leg=Leg.CALLER, payload=b"\x10" * 160, sequence=n) for n in range(10)], leg)
    late = hear([MediaChunk(leg=Leg.CALLER, payload=b"\x10" * 160, sequence=n) for n in range(10, 12)], leg)
    assert len(joined(first + late)) == 12 * 320


@pytest.mark.parametrize(("missing_ms", "samples"), [(0, 0), (-5, 0), (float("nan"), 0), (1e30, 3_600 * SAMPLE_RATE)])
def test_an_incredible_pause(missing_ms: float, samples: int) -> None:
    """Whatever a carrier says it left out, an hour is the most that is made silent."""
    heard = hear([Discarded(leg=Leg.CALLER, missing_ms=missing_ms, reason="paused")])
    assert sum(gap.samples for gap in gaps(heard)) == samples
