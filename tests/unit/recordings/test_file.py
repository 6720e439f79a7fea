from __future__ import annotations

import wave
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from bridge.errors import InvalidRequestError
from bridge.model.stream import Leg
from bridge.recordings.file import Recording, look

Channels = npt.NDArray[np.float32]


def tone(hertz: float, rate: int, seconds: float) -> Channels:
    return (0.4 * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)).astype(np.float32)


def write(path: Path, channels: Channels, *, codec: str, rate: int, layout: str, form: str = "fltp") -> Path:
    """A file as FFmpeg writes it; the container is what the name says."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        frame = av.AudioFrame.from_ndarray(channels, format="fltp", layout=layout)
        frame.sample_rate = rate
        frame.pts = 0
        to_codec = av.AudioResampler(format=form, layout=layout, rate=rate, frame_size=stream.frame_size or 1024)
        for converted in [*to_codec.resample(frame), *to_codec.resample(None)]:
            container.mux(stream.encode(converted))
        container.mux(stream.encode(None))
    return path


def heard(recording: Recording) -> dict[Leg, Channels]:
    blocks = list(recording.blocks())
    return {leg: np.concatenate([block[leg] for block in blocks]) for leg in recording.legs}


def pitch(samples: Channels) -> float:
    """The loudest frequency, at 16 kHz."""
    return float(np.argmax(np.abs(np.fft.rfft(samples))) * 16000 / len(samples))


@pytest.mark.parametrize(
    ("name", "codec", "rate", "form"),
    [
        pytest.param("call.wav", "pcm_mulaw", 8000, "s16", id="wav, μ-law"),
        pytest.param("call.wav", "pcm_f32le", 44100, "flt", id="wav, float"),
        pytest.param("call.mp3", "libmp3lame", 44100, "fltp", id="mp3"),
        pytest.param("call.flac", "flac", 16000, "s16", id="flac"),
        pytest.param("call.ogg", "libopus", 48000, "flt", id="ogg, Opus"),
        pytest.param("call.m4a", "aac", 22050, "fltp", id="m4a, AAC"),
        pytest.param("call.webm", "libopus", 48000, "flt", id="webm, as browsers record"),
    ],
)
def test_any_format(tmp_path: Path, name: str, codec: str, rate: int, form: str) -> None:
    """What FFmpeg reads is heard at 16 kHz, in its time and at its pitch."""
    path = write(tmp_path / name, tone(1000, rate, 3.0)[None], codec=codec, rate=rate, layout="mono", form=form)
    recording = look(path)
    assert recording.legs == (Leg.MIXED,)
    assert recording.duration_ms == pytest.approx(3000, abs=120)  # codecs fill up their first and last frames
    samples = heard(recording)[Leg.MIXED]
    assert len(samples) == pytest.approx(recording.duration_ms * 16, abs=16)
    assert samples.dtype == np.float32
    assert pitch(samples[8000:40000]) == pytest.approx(1000, abs=2)


def test_stereo_is_two_legs(tmp_path: Path) -> None:
    """Left is the caller, right the agent; blocks of ten seconds lose nothing where they meet."""
    both = np.stack([tone(500, 8000, 21.0), tone(700, 8000, 21.0)])
    recording = look(write(tmp_path / "call.wav", both, codec="pcm_s16le", rate=8000, layout="stereo", form="s16"))
    assert recording.legs == (Leg.CALLER, Leg.AGENT)
    assert recording.duration_ms == 21000
    legs = heard(recording)
    for leg, hertz in ((Leg.CALLER, 500), (Leg.AGENT, 700)):
        assert len(legs[leg]) == 21 * 16000
        steps = np.abs(np.diff(legs[leg][1600:-1600]))
        assert steps.max() < 1.05 * 0.4 * 2 * np.pi * hertz / 16000, "a click"


@pytest.mark.parametrize(
    ("left", "right", "legs"),
    [
        pytest.param(1.0, 1.0, (Leg.MIXED,), id="the same twice is one track"),
        pytest.param(1.0, 0.999, (Leg.MIXED,), id="nearly the same too"),
        pytest.param(0.0, 0.0, (Leg.MIXED,), id="so is silence"),
        pytest.param(1.0, 0.0, (Leg.CALLER, Leg.AGENT), id="an empty leg is a leg"),
        pytest.param(1.0, 0.5, (Leg.CALLER, Leg.AGENT), id="a quieter copy is crosstalk between legs"),
    ],
)
def test_mono_written_twice(tmp_path: Path, left: float, right: float, legs: tuple[Leg, ...]) -> None:
    """Two channels count as two people only when they differ."""
    voice = tone(440, 16000, 1.0)
    both = np.stack([left * voice, right * voice]).astype(np.float32)
    path = write(tmp_path / "call.wav", both, codec="pcm_s16le", rate=16000, layout="stereo", form="s16")
    assert look(path).legs == legs


def test_more_than_two_channels_are_mixed(tmp_path: Path) -> None:
    """Of six channels nobody knows whose they are: together they are one track."""
    six = np.tile(tone(440, 48000, 1.0), (6, 1))
    recording = look(write(tmp_path / "film.flac", six, codec="flac", rate=48000, layout="5.1", form="s16"))
    assert recording.legs == (Leg.MIXED,)
    assert pitch(heard(recording)[Leg.MIXED]) == pytest.approx(440, abs=2)


@pytest.mark.parametrize(
    ("name", "codec", "form"),
    [pytest.param("call.mp3", "libmp3lame", "fltp", id="mp3"), pytest.param("call.m4a", "aac", "fltp", id="aac")],
)
def test_a_damaged_place_costs_only_itself(tmp_path: Path, name: str, codec: str, form: str) -> None:
    """Rubbish in the middle of a file is left out and counted; what follows is heard."""
    hiss = np.random.default_rng(0).normal(0, 0.05, 4 * 22050)
    sound = (tone(800, 22050, 4.0) + hiss).astype(np.float32)
    path = write(tmp_path / name, sound[None], codec=codec, rate=22050, layout="mono", form=form)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 400] = b"\xff" * 400
    path.write_bytes(content)
    recording = look(path)
    assert recording.damaged >= 1
    assert 3500 < recording.duration_ms < 4100
    assert pitch(heard(recording)[Leg.MIXED][-16000:]) == pytest.approx(800, abs=2)


def test_a_file_cut_short(tmp_path: Path) -> None:
    """What an interrupted recording holds is heard, and how much its header promises more is known."""
    sound = (0.1 * np.random.default_rng(0).normal(size=(1, 4 * 16000))).astype(np.float32)
    path = write(tmp_path / "call.flac", sound, codec="flac", rate=16000, layout="mono", form="s16")
    assert look(path).missing_ms == 0
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    recording = look(path)
    assert recording.duration_ms == pytest.approx(2000, abs=300)
    assert recording.missing_ms == 4000 - recording.duration_ms


def test_no_samples_at_all(tmp_path: Path) -> None:
    """A header without sound is a recording of nothing."""
    path = tmp_path / "call.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
    recording = look(path)
    assert recording.duration_ms == 0
    assert len(heard(recording)[Leg.MIXED]) == 0


def test_what_is_no_recording(tmp_path: Path) -> None:
    """A text, a film without sound and a missing file are refused by name."""
    (tmp_path / "text.wav").write_text("not audio")
    with av.open(str(tmp_path / "silent.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 16
        stream.pix_fmt = "yuv420p"
        container.mux(stream.encode(av.VideoFrame(16, 16, "yuv420p")))
        container.mux(stream.encode(None))
    for name in ("text.wav", "silent.mp4", "missing.wav"):
        with pytest.raises(InvalidRequestError, match=rf"{name}: no audio"):
            look(tmp_path / name)
