"""Keys from tones: what ITU-T Q.24 says has to be heard, must not be heard, and how speech is not mistaken."""

from __future__ import annotations

import json
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callcodecs.dtmf import HIGH, LOW, PAD, DtmfDetector, Key, dtmf_tone
from callcodecs.g711 import decode_ulaw, encode_ulaw

RATE = 8_000
KEYS = "".join(PAD)
RECORDINGS = Path(__file__).parents[4] / "shared" / "audio" / "dev"


def line(
    key: str, *, ms: int = 50, off: float = 0.0, twist_db: float = 0.0, level_db: float = -10.0, noise_db: float = -60.0
) -> np.ndarray:
    """A key through a telephone line: beside its frequency, out of balance, noisy, and μ-law."""
    rng = np.random.default_rng(ord(key) + ms)
    row = next(n for n, keys in enumerate(PAD) if key in keys)
    at = np.arange(RATE * ms // 1000) / RATE
    low = 10 ** (twist_db / 20) * np.sin(2 * np.pi * LOW[row] * (1 + off) * at + rng.uniform(0, 6))
    high = np.sin(2 * np.pi * HIGH[PAD[row].index(key)] * (1 + off) * at + rng.uniform(0, 6))
    tone = (low + high) * 10 ** (level_db / 20) / np.sqrt(2 * np.mean((low + high) ** 2))
    begin = int(rng.integers(400, 600))
    heard = np.zeros(len(tone) + 1_200)
    heard[begin : begin + len(tone)] = tone
    heard += rng.standard_normal(len(heard)) * np.sqrt(np.mean(tone**2)) * 10 ** (noise_db / 20)
    return to_float(decode_ulaw(encode_ulaw((heard * 32_767).clip(-32_768, 32_767).astype(np.int16))))


def to_float(samples: np.ndarray) -> np.ndarray:
    return (samples / 32_768).astype(np.float32)


def keys(samples: np.ndarray, rate: int = RATE) -> str:
    return "".join(key.key for key in DtmfDetector(rate).push(samples))


@pytest.mark.parametrize("key", list(KEYS))
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"ms": 40}, id="short"),
        pytest.param({"ms": 40, "off": 0.015}, id="sharp"),
        pytest.param({"ms": 40, "off": -0.015}, id="flat"),
        pytest.param({"twist_db": 4}, id="low-tone-stronger"),
        pytest.param({"twist_db": -8}, id="high-tone-stronger"),
        pytest.param({"level_db": -30}, id="faint"),
        pytest.param({"noise_db": -15}, id="noisy"),
        pytest.param({"ms": 200}, id="held"),
    ],
)
def test_has_to_be_heard(key: str, fault: dict[str, float]) -> None:
    """Every key within the tolerances is heard, once."""
    assert keys(line(key, **fault)) == key


@pytest.mark.parametrize("key", list(KEYS))
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"ms": 23}, id="too-short"),
        pytest.param({"off": 0.035}, id="too-sharp"),
        pytest.param({"off": -0.035}, id="too-flat"),
        pytest.param({"twist_db": 13}, id="unbalanced"),
        pytest.param({"level_db": -50}, id="too-faint"),
        pytest.param({"noise_db": 0}, id="drowned"),
    ],
)
def test_must_not_be_heard(key: str, fault: dict[str, float]) -> None:
    """What is beyond the tolerances is no key."""
    assert keys(line(key, **fault)) == ""


@pytest.mark.parametrize("rate", [8_000, 16_000, 48_000])
def test_the_generators_keys(rate: int) -> None:
    """Dialling with our own tones, 80 ms on and 60 ms off, is understood at every rate, each key in its place."""
    dialled = "0123456789*#ABCD11"
    pause = np.zeros(60 * rate // 1000, np.int16)
    step = 140 * rate // 1000
    wave_form = np.concatenate([part for key in dialled for part in (dtmf_tone(key, 80, rate), pause)])
    found = DtmfDetector(rate).push(to_float(wave_form))
    assert "".join(key.key for key in found) == dialled
    assert all(abs(key.position - n * step) <= 0.013 * rate for n, key in enumerate(found))


def test_a_break_of_the_line_is_not_a_second_key() -> None:
    """A dropout of 10 ms within a key does not make two of it; a pause of 40 ms does."""
    tone = dtmf_tone("7", 100, RATE)

    def broken(ms: int) -> np.ndarray:
        return to_float(np.concatenate([tone, np.zeros(ms * RATE // 1000, np.int16), tone]))

    assert keys(broken(10)) == "7"
    assert keys(broken(40)) == "77"


@settings(max_examples=30)
@given(st.lists(st.integers(0, 700), min_size=1, max_size=10).filter(any))
def test_any_cutting_hears_the_same(sizes: list[int]) -> None:
    """Keys and their positions do not depend on how the stream is cut."""
    samples = np.concatenate([line("5"), line("#"), line("A")])
    detector, found, at, turn = DtmfDetector(RATE), [], 0, 0
    while at < len(samples):
        size = sizes[turn % len(sizes)]
        found += detector.push(samples[at : at + size])
        at, turn = at + size, turn + 1
    assert found == DtmfDetector(RATE).push(samples)
    assert [key.key for key in found] == ["5", "#", "A"]


@pytest.mark.parametrize("key", ["", "E", "12", "five"])
def test_no_such_key(key: str) -> None:
    """Only the sixteen keys have tones."""
    with pytest.raises(ValueError, match="no telephone key"):
        dtmf_tone(key, 50, RATE)


def test_sounds_of_the_line_are_no_keys() -> None:
    """Ringback, busy and dial tones, single tones and noise have no key in them."""
    at = np.arange(2 * RATE) / RATE
    tones = [(440, 480), (480, 620), (350, 440), (697,), (1336,), (1000,), (425,), (1209, 1336), (697, 770)]
    for hertz in tones:
        assert keys((0.1 * sum(np.sin(2 * np.pi * f * at) for f in hertz)).astype(np.float32)) == "", hertz
    assert keys(np.random.default_rng(1).standard_normal(20 * RATE).astype(np.float32) * 0.1) == ""


def test_a_recorded_dialler() -> None:
    """A real recording of keys 1 2 3 4 5 # is understood."""
    path = RECORDINGS / "background" / "bg-dtmf-12345p.wav"
    if not path.exists():
        pytest.skip("the recordings for evaluation are not here")
    samples, rate = read(path)
    assert keys(samples, rate) == "12345#"


def test_talk_off() -> None:
    """In the recorded speech and music at most one syllable in half an hour is taken for a key."""
    if not RECORDINGS.exists():
        pytest.skip("the recordings for evaluation are not here")
    heard: list[tuple[str, Key]] = []
    seconds = 0.0
    for entry in map(json.loads, (RECORDINGS / "manifest.jsonl").read_text().splitlines()):
        if entry["kind"] in {"prompt", "music"} or "dtmf" in entry["id"] or len(entry["channels"]) > 1:
            continue
        samples, rate = read(RECORDINGS / entry["file"])
        heard += [(entry["id"], key) for key in DtmfDetector(rate).push(samples)]
        seconds += len(samples) / rate
    assert len(heard) <= max(1, seconds / 1_800), heard


def read(path: Path) -> tuple[np.ndarray, int]:
    with wave.open(str(path)) as recording:
        samples = np.frombuffer(recording.readframes(recording.getnframes()), dtype="<i2")
        return to_float(samples), recording.getframerate()
