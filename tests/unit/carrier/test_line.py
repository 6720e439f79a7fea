from __future__ import annotations

import json

import numpy as np
import pytest

from bridge.carrier.audio import CallAudio, EncodedAudio, encode
from bridge.carrier.faults import NO_FAULTS, Faults, disturb
from bridge.carrier.side import Dialled, Key, Timed, conversation
from bridge.carrier.twilio import TwilioSide
from bridge.ingest.conversation import Handshake
from bridge.ingest.twilio import TwilioStream
from bridge.ingest.twilio_signature import upgrade_is_signed
from bridge.model.stream import DtmfDigit, Leg, MediaChunk, StreamStarted, StreamStopped

BOTH = (Leg.CALLER, Leg.AGENT)


def recording(seconds: float) -> EncodedAudio:
    ramp = np.arange(int(seconds * 8000), dtype=np.int16)
    return encode(CallAudio({Leg.CALLER: ramp, Leg.AGENT: -ramp}, 8000), TwilioSide.media_format)


def line(seconds: float = 2.0, faults: Faults = NO_FAULTS) -> list[Timed]:
    return list(disturb(conversation(TwilioSide(Dialled(legs=BOTH)), recording(seconds)), faults))


def media(timed: list[Timed]) -> list[Timed]:
    return [one for one in timed if one.frame is not None]


def test_what_twilio_says_is_understood() -> None:
    """The carrier's half and ours agree on a whole call: ids, parameters, token, every frame, a key, the end."""
    audio = recording(0.2)
    call = Dialled(
        legs=BOTH, parameters={"language": "en"}, token="cbk_x", carrier_call_id="a" * 32, stream_id="b" * 32
    )
    hearing = TwilioStream()
    spoken = conversation(TwilioSide(call), audio, [Key(50, Leg.CALLER, "#")])
    items = [item for timed in spoken for item in hearing.receive(timed.message)]
    started = items[0]
    assert isinstance(started, StreamStarted)
    assert (started.carrier_call_id, started.stream_id) == ("CA" + "a" * 32, "MZ" + "b" * 32)
    assert (started.legs, started.media_format) == (BOTH, TwilioSide.media_format)
    assert started.parameters == {"language": "en", "token": "cbk_x"}
    for leg in BOTH:
        assert [i.payload for i in items if isinstance(i, MediaChunk) and i.leg == leg] == [
            f[leg] for f in audio.frames
        ]
    assert [i for i in items if isinstance(i, DtmfDigit)] == [DtmfDigit(leg=Leg.CALLER, digit="#")]
    assert items[-1] == StreamStopped()


def test_twilio_numbers_its_messages() -> None:
    """`sequenceNumber` counts every message but `connected`; `chunk` counts each track alone."""
    said = [json.loads(timed.message) for timed in line(0.1)]
    assert [message.get("sequenceNumber") for message in said] == [None, *map(str, range(1, len(said)))]
    outbound = [m["media"] for m in said if m["event"] == "media" and m["media"]["track"] == "outbound"]
    assert [(m["chunk"], m["timestamp"]) for m in outbound] == [(str(n + 1), str(20 * n)) for n in range(5)]


def test_twilio_signs_its_upgrade() -> None:
    """With a secret, the header is the one that our check asks for; without, there is none."""
    url = "wss://calls.example.org/v1/media/twilio"
    handshake = Handshake(url=url, headers=TwilioSide(Dialled(legs=BOTH, secret="s3cret")).headers(url), query={})
    assert upgrade_is_signed("s3cret", url, handshake.headers)
    assert TwilioSide(Dialled(legs=BOTH)).headers(url) == {}


def test_a_frame_is_due_when_it_has_been_spoken() -> None:
    """The opening at once, frame n at the end of its 20 ms, a key with the frame it was pushed in, the end last."""
    spoken = list(conversation(TwilioSide(Dialled(legs=BOTH)), recording(0.06), [Key(25, Leg.CALLER, "1")]))
    told = [(json.loads(timed.message)["event"], timed.due_ms) for timed in spoken]
    assert told == [
        ("connected", 0),
        ("start", 0),
        ("media", 20),
        ("media", 20),
        ("dtmf", 40),
        ("media", 40),
        ("media", 40),
        ("media", 60),
        ("media", 60),
        ("stop", 60),
    ]


def test_a_good_line_changes_nothing() -> None:
    """Without faults every message comes once, in order, when it is due."""
    side = TwilioSide(Dialled(legs=BOTH, carrier_call_id="1", stream_id="2"))
    again = TwilioSide(Dialled(legs=BOTH, carrier_call_id="1", stream_id="2"))
    assert list(disturb(conversation(side, recording(1)), Faults())) == list(conversation(again, recording(1)))


@pytest.mark.parametrize("share", [0.01, 0.05, 0.2], ids="{:.0%}".format)
def test_loss(share: float) -> None:
    """About that share of frames never comes; the opening and the end always do."""
    disturbed = line(60, Faults(loss=share, seed=1))
    assert 1 - len(media(disturbed)) / 6000 == pytest.approx(share, rel=0.25)
    assert len(disturbed) - len(media(disturbed)) == 3


def test_duplication() -> None:
    """Some frames come twice, at once; none is lost."""
    disturbed = media(line(60, Faults(duplication=0.1, seed=1)))
    assert len(disturbed) / 6000 == pytest.approx(1.1, rel=0.02)
    assert len({timed.message for timed in disturbed}) == 6000


def test_disorder() -> None:
    """Frames overtake each other by up to so long; all of them come, in order of their new times, before the end."""
    disturbed = line(20, Faults(reorder_ms=400, seed=1))
    frames = [timed.frame for timed in media(disturbed)]
    assert frames != sorted(frames)
    assert sorted(frames) == sorted([*range(1000), *range(1000)])
    assert max(timed.due_ms - (timed.frame + 1) * 20 for timed in media(disturbed)) <= 400
    assert [timed.due_ms for timed in disturbed] == sorted(timed.due_ms for timed in disturbed)
    assert [json.loads(timed.message)["event"] for timed in disturbed[:2]] == ["connected", "start"]
    assert json.loads(disturbed[-1].message)["event"] == "stop"


def test_a_stall_and_its_burst() -> None:
    """Nothing for five seconds, then all of it at once, in order."""
    disturbed = line(10, Faults(stall_at_ms=2000, stall_ms=5000))
    times = [timed.due_ms for timed in disturbed]
    assert not [due for due in times if 2000 <= due < 7000]
    assert times.count(7000) == 2 * 251
    assert times == sorted(times)


def test_a_hang_up_without_a_word() -> None:
    """Nothing comes after the cut, and no `stop`."""
    disturbed = line(2, Faults(hang_up_at_ms=1010))
    assert disturbed[-1].due_ms == 1000
    assert "stop" not in {json.loads(timed.message)["event"] for timed in disturbed}


def test_the_same_seed_goes_wrong_the_same_way() -> None:
    """A failing run can be repeated; another seed is another line."""
    faults = {"loss": 0.1, "duplication": 0.1, "reorder_ms": 200}
    told = [[(timed.frame, timed.due_ms) for timed in line(5, Faults(**faults, seed=seed))] for seed in (1, 1, 2)]
    assert told[0] == told[1] != told[2]
