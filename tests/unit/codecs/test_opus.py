"""Opus packets: what they hold, how faithfully, and what is no packet."""

from __future__ import annotations

import av
import numpy as np
import pytest

from callcodecs.errors import CorruptPayloadError
from callcodecs.opus import FRAME, LONGEST, OpusDecoder, OpusEncoder

LATE = 312
"""Samples that the encoder looks ahead."""


def tone(hertz: float = 440, seconds: float = 1.0) -> np.ndarray:
    at = np.arange(int(48_000 * seconds)) / 48_000
    return (8_000 * np.sin(2 * np.pi * hertz * at)).astype(np.int16)


def packets(samples: np.ndarray) -> list[bytes]:
    encoder = OpusEncoder()
    return [encoder.encode(frame) for frame in samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)]


def decode(wire: list[bytes]) -> np.ndarray:
    decoder = OpusDecoder()
    return np.concatenate([decoder.decode(packet) for packet in wire])


def test_sound_comes_back_in_place() -> None:
    """What was encoded is heard again, later by the encoder's look-ahead and no more."""
    sent = (tone() / 2 + np.random.default_rng(0).standard_normal(48_000) * 500).astype(np.int16)
    heard = decode(packets(sent)).astype(float)
    assert len(heard) == len(sent)
    alike = [np.dot(sent[4_800:40_000].astype(float), heard[4_800 + late : 40_000 + late]) for late in range(600)]
    assert abs(int(np.argmax(alike)) - LATE) <= 10


def test_agrees_with_ffmpegs_own_decoder() -> None:
    """FFmpeg's native Opus decoder, an implementation apart from libopus, hears the same."""
    wire = packets(tone(300))
    native = av.CodecContext.create("opus", "r")
    native.sample_rate, native.layout = 48_000, "mono"
    theirs = np.concatenate([frame.to_ndarray()[0] for packet in wire for frame in native.decode(av.Packet(packet))])
    ours = decode(wire) / 32_768
    spectrum = [np.abs(np.fft.rfft(run[9_600:38_400])) for run in (ours, theirs)]
    assert spectrum[0].argmax() == spectrum[1].argmax() == 180
    assert spectrum[0].max() == pytest.approx(spectrum[1].max(), rel=0.02)


def test_a_party_a_channel() -> None:
    """Both parties in one stream are heard apart: left alone, right alone, hardly a trace of the other."""
    encoder = OpusEncoder(64_000, channels=2)
    both = np.stack([tone(300), tone(2_000)], axis=1)
    wire = [encoder.encode(both[at : at + FRAME].reshape(-1)) for at in range(0, len(both), FRAME)]
    for channel, loud, faint in ((0, 300, 2_000), (1, 2_000, 300)):
        decoder = OpusDecoder(channel)
        heard = np.concatenate([decoder.decode(packet) for packet in wire])
        spectrum = np.abs(np.fft.rfft(heard))
        assert spectrum.argmax() == loud
        assert spectrum[faint] < spectrum[loud] / 100
        assert len(heard) == len(both)


def test_a_mono_packet_is_both_channels() -> None:
    """A sender that codes mono after all is heard on either side."""
    wire = packets(tone(300))
    for channel in (0, 1):
        decoder = OpusDecoder(channel)
        assert np.array_equal(np.concatenate([decoder.decode(packet) for packet in wire]), decode(wire))


def test_stereo_is_mixed() -> None:
    """A stereo packet gives both channels' sound in one."""
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format, encoder.bit_rate = 48_000, "stereo", "s16", 64_000
    both = np.stack([tone(300), tone(2_000)], axis=1)
    wire = []
    for at in range(0, len(both), FRAME):
        frame = av.AudioFrame.from_ndarray(both[at : at + FRAME].reshape(1, -1).copy(), format="s16", layout="stereo")
        frame.sample_rate = 48_000
        wire += [bytes(packet) for packet in encoder.encode(frame)]
    spectrum = np.abs(np.fft.rfft(decode(wire)[9_600:38_400]))
    assert spectrum[180] == pytest.approx(spectrum[1_200], rel=0.05)
    assert spectrum[180] > 0.4 * 8_000 * 14_400


@pytest.mark.parametrize(
    ("payload", "count"),
    [
        pytest.param(b"", 0, id="empty"),
        pytest.param(b"\x08", 960, id="silk-20ms"),
        pytest.param(b"\x18", 2_880, id="silk-60ms"),
        pytest.param(b"\x78", 960, id="hybrid-20ms"),
        pytest.param(b"\x80", 120, id="celt-2.5ms"),
        pytest.param(b"\xfc", 960, id="celt-20ms-stereo"),
        pytest.param(b"\xf9", 1_920, id="two-frames"),
        pytest.param(b"\xfb\x03", 2_880, id="three-frames"),
        pytest.param(b"\x1b\x03", 0, id="longer-than-120ms"),
        pytest.param(b"\xfb", 0, id="cut-off"),
    ],
)
def test_length_told_beforehand(payload: bytes, count: int) -> None:
    """The first bytes tell how much a packet holds (RFC 6716 §3.1)."""
    assert OpusDecoder().count(payload) == count


def test_length_told_is_length_heard() -> None:
    """For real packets, `count` and `decode` agree."""
    decoder = OpusDecoder()
    for packet in packets(tone()):
        assert decoder.count(packet) == len(decoder.decode(packet))


@pytest.mark.parametrize("payload", [b"\xff", b"\x03\xff" * 30, bytes(65_536)], ids=["cut-off", "too-long", "64-KiB"])
def test_no_packet(payload: bytes) -> None:
    """What breaks the packing rules is refused, and costs that payload only."""
    decoder = OpusDecoder()
    good = packets(tone())
    decoder.decode(good[0])
    with pytest.raises(CorruptPayloadError, match="libopus"):
        decoder.decode(payload)
    assert len(decoder.decode(good[1])) == FRAME


def test_any_bytes() -> None:
    """Random bytes either decode to at most 120 ms or are refused; nothing else happens."""
    line = np.random.default_rng(5)
    decoder = OpusDecoder()
    for _ in range(300):
        payload = line.bytes(int(line.integers(80)))
        try:
            assert len(decoder.decode(payload)) <= LONGEST
        except CorruptPayloadError:
            continue
