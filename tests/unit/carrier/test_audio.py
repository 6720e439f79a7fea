from __future__ import annotations

import wave
from pathlib import Path

import av
import numpy as np
import pytest

from bridge.carrier.audio import CallAudio, encode, read_call
from bridge.errors import InvalidRequestError
from bridge.model.stream import Encoding, Leg, MediaFormat
from callcodecs.g711 import decode_ulaw

PHONE = MediaFormat(encoding=Encoding.PCMU, sample_rate=8000)
WIDE = MediaFormat(encoding=Encoding.L16_LE, sample_rate=16000)


def tone(hertz: float, rate: int, seconds: float) -> np.ndarray:
    return (10000 * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)).astype(np.int16)


def write_wav(path: Path, *channels: np.ndarray, rate: int) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(len(channels))
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.stack(channels, axis=1).astype("<i2").tobytes())
    return path


def test_mono_is_the_caller(tmp_path: Path) -> None:
    """One channel, as it is."""
    samples = tone(440, 8000, 0.5)
    audio = read_call(write_wav(tmp_path / "mono.wav", samples, rate=8000))
    assert list(audio.legs) == [Leg.CALLER]
    assert audio.sample_rate == 8000
    np.testing.assert_array_equal(audio.legs[Leg.CALLER], samples)


def test_stereo_is_caller_and_agent(tmp_path: Path) -> None:
    """Left is the caller, right the agent."""
    left, right = tone(440, 16000, 0.3), tone(880, 16000, 0.3)
    audio = read_call(write_wav(tmp_path / "stereo.wav", left, right, rate=16000))
    np.testing.assert_array_equal(audio.legs[Leg.CALLER], left)
    np.testing.assert_array_equal(audio.legs[Leg.AGENT], right)


@pytest.mark.parametrize(
    ("codec", "sample_format", "tolerance"),
    [
        pytest.param("pcm_mulaw", "s16", 400, id="mu-law"),
        pytest.param("pcm_s24le", "s32", 1, id="24-bit"),
        pytest.param("pcm_f32le", "flt", 1, id="float"),
        pytest.param("pcm_u8", "u8", 300, id="8-bit"),
    ],
)
def test_wav_of_any_width(tmp_path: Path, codec: str, sample_format: str, tolerance: int) -> None:
    """What a WAV file may hold is read alike."""
    samples = tone(440, 8000, 0.2)
    path = tmp_path / "call.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = 8000
        for converted in av.AudioResampler(format=sample_format, layout="mono", rate=8000).resample(frame):
            container.mux(stream.encode(converted))
        container.mux(stream.encode(None))
    heard = read_call(path).legs[Leg.CALLER]
    assert len(heard) == len(samples)
    assert np.abs(heard.astype(int) - samples).max() <= tolerance


def test_what_is_no_call(tmp_path: Path) -> None:
    """A file without audio, one that is none, and one with three parties are refused by name."""
    (tmp_path / "text.wav").write_text("not audio")
    write_wav(tmp_path / "three.wav", *[tone(440, 8000, 0.1)] * 3, rate=8000)
    for name, words in (("text.wav", "no audio"), ("missing.wav", "no audio"), ("three.wav", "3 channels")):
        with pytest.raises(InvalidRequestError, match=words):
            read_call(tmp_path / name)


def test_frames_of_a_call() -> None:
    """20 ms of every leg at a time; the last one is filled up with silence; nothing is lost on the way."""
    caller, agent = tone(300, 8000, 0.25), tone(600, 8000, 0.25)
    encoded = encode(CallAudio({Leg.CALLER: caller, Leg.AGENT: agent}, 8000), PHONE)
    assert encoded.legs == (Leg.CALLER, Leg.AGENT)
    assert encoded.duration_ms == 260
    assert {len(payload) for frame in encoded.frames for payload in frame.values()} == {160}
    line = decode_ulaw(b"".join(frame[Leg.AGENT] for frame in encoded.frames)).astype(int)
    assert np.abs(line[:2000] - agent).max() < 400
    assert not line[2000:].any()


def test_another_rate() -> None:
    """A recording at 48 kHz goes on a 16 kHz line in the same time, with the same tone."""
    encoded = encode(CallAudio({Leg.CALLER: tone(1000, 48000, 1.0)}, 48000), WIDE)
    line = np.frombuffer(b"".join(frame[Leg.CALLER] for frame in encoded.frames), "<i2")
    assert len(line) == 16000
    assert np.argmax(np.abs(np.fft.rfft(line))) == 1000


def test_an_empty_recording() -> None:
    """No audio is no frames."""
    assert encode(CallAudio({Leg.CALLER: np.zeros(0, np.int16)}, 8000), PHONE).frames == []
