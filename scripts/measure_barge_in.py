"""How soon a voice is `turn.started`, alone and over the echo of what a bot plays; and how often an echo alone is one.

    python scripts/measure_barge_in.py

The voices are the bundled recordings' utterances, 8 kHz μ-law; the bot is a recording of other sentences, which comes
back up to half a second later and softer by so many dB, behind μ-law again, with a line's noise. Delays are counted in
audio, from the first sample of the voice that is louder than a twentieth of its peak.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soxr

from bridge.carrier.audio import read_call
from bridge.model.frame import SAMPLE_RATE, AudioFrame, Samples
from bridge.model.speech import SpeechOver
from bridge.model.stream import Leg
from bridge.speech.segmenter import Segmenter, SegmenterOptions
from bridge.turns.echo import Echo
from bridge.turns.options import EARLY_PAUSE_MS, PRESETS
from bridge.turns.taking import TurnTaker
from callcodecs import g711

AUDIO = Path("fixtures/audio")
BOTS = ("monologue", "hesitations", "digit-groups")
LINE = 8000
FRAME = SAMPLE_RATE // 50
AHEAD = 4 * FRAME
"""A carrier with a queue is told of so much before it is played."""
NOISE = 8
"""Of 32767, RMS."""
LEVELS = (6, 12, 20, 30)
DELAYS_S = (0.0, 0.1, 0.25, 0.5)

Line = npt.NDArray[np.float64]
"""At 8 kHz, full scale 32767."""


def utterances() -> Iterator[Line]:
    """A second and a half of each at most, from its first sound on."""
    for path in sorted(AUDIO.glob("*.json")):
        about = json.loads(path.read_text("utf-8"))
        call = read_call(AUDIO / about["file"])
        for said in about["utterances"]:
            samples = call.legs[Leg(said["leg"])] if len(call.legs) > 1 else next(iter(call.legs.values()))
            begin, end = (ms * call.sample_rate // 1000 for ms in (said["start_ms"], said["end_ms"]))
            run = soxr.resample(samples[begin:end].astype(float), call.sample_rate, LINE)[: 3 * LINE // 2]
            yield run[int(np.argmax(np.abs(run) > np.abs(run).max() / 20)) :]


def bots() -> list[Line]:
    calls = [read_call(AUDIO / f"{name}.wav") for name in BOTS]
    return [soxr.resample(call.legs[Leg.CALLER].astype(float), call.sample_rate, LINE) for call in calls]


def ulaw(line: Line) -> Line:
    return g711.decode_ulaw(g711.encode_ulaw(np.clip(np.round(line), -32768, 32767).astype(np.int16))).astype(float)


def echo_of(bot: Line, delay_s: float, softer_db: float) -> Line:
    late = np.concatenate([np.zeros(round(delay_s * LINE)), ulaw(bot)])[: len(bot)]
    return late * 10 ** (-softer_db / 20)


def at_16_khz(line: Line) -> Samples:
    run: Samples = soxr.resample((line / 32768).astype(np.float32), LINE, SAMPLE_RATE)
    return run


def started(heard: Line, played: Line | None, *, knows_echo: bool = True) -> tuple[list[float], float]:
    """Where turns were told of, in seconds; and what a frame cost beside the rest, in ms of CPU time."""
    segmenter, taker, echo = (
        Segmenter(SegmenterOptions(pause_ms=EARLY_PAUSE_MS)),
        TurnTaker(Leg.CALLER, PRESETS["bot"]),
        Echo(0),
    )
    ear = at_16_khz(ulaw(heard))
    mouth = None if played is None else at_16_khz(played)
    told, spent = [], 0.0
    for at in range(0, len(ear) - FRAME, FRAME):
        begun = time.process_time()
        if mouth is not None:
            echo.play(mouth[at + AHEAD : at + AHEAD + FRAME] if at else mouth[: AHEAD + FRAME])
        frame = AudioFrame(leg=Leg.CALLER, position=at, samples=ear[at : at + FRAME])
        echo.hear(frame)
        segmenter.alert = echo.plays
        spent += time.process_time() - begun
        speech = segmenter.push(frame)
        begun = time.process_time()
        if knows_echo:
            speech = echo.sift(speech)
        spent += time.process_time() - begun
        events = taker.push(speech, frame.end, other=False)
        told += [frame.end / SAMPLE_RATE for event in events if event.type == "turn.started"]
        for item in speech:
            if isinstance(item, SpeechOver):
                taker.conclude(item.position)
    return told, 1000 * spent / (len(ear) / FRAME)


def measure_echo() -> None:
    minutes, false, without, costs = 0.0, 0, 0, []
    noise = np.random.default_rng(1)
    for bot in bots():
        for delay_s in DELAYS_S:
            for softer_db in LEVELS:
                heard = echo_of(bot, delay_s, softer_db) + noise.normal(0, NOISE, len(bot))
                told, cost = started(heard, bot)
                minutes += len(bot) / LINE / 60
                false += len(told)
                costs.append(cost)
                without += len(started(heard, bot, knows_echo=False)[0])
    print(f"echo alone, {minutes:.1f} minutes: {false} turns; {without} if it is not known")
    print(f"cost: {np.mean(costs):.2f} ms per 20 ms while an echo comes")


def measure_barge_in(softer_db: float | None, *, plays: bool = True) -> None:
    """`softer_db`: of the echo; None: none comes."""
    chance = np.random.default_rng(2)
    delays, missed, false, talks = [], 0, 0, bots()
    for number, voice in enumerate(utterances()):
        bot = talks[number % len(talks)][LINE : 7 * LINE]
        at = round(LINE * chance.uniform(3, 3.5))
        echo = np.zeros(len(bot)) if softer_db is None else echo_of(bot, chance.uniform(0, 0.5), softer_db)
        heard = echo + chance.normal(0, NOISE, len(bot))
        heard[at : at + len(voice)] += voice[: len(heard) - at]
        told, _ = started(heard, bot if plays else None)
        late = [1000 * (moment - at / LINE) for moment in told if moment >= at / LINE]
        false += len(told) - len(late)
        if late:
            delays.append(late[0])
        else:
            missed += 1
    echoes = "no echo" if softer_db is None else f"echo at −{softer_db} dB"
    where = echoes if plays else "nothing is played"
    spread = f"median {np.median(delays):.0f} ms, p95 {np.percentile(delays, 95):.0f} ms"
    print(f"{where}: {len(delays) + missed} voices, {spread}, {missed} missed, {false} turns before the voice")


if __name__ == "__main__":
    measure_echo()
    measure_barge_in(None, plays=False)
    for level in (None, *LEVELS):
        measure_barge_in(level)
