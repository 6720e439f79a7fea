"""What SIPREC clients send beside audio: bodies, metadata and offers, in the spellings of several makers, and broken."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import CarrierProtocolError, UnsupportedMediaError
from bridge.ingest.rtp_formats import payload_of
from bridge.ingest.siprec_body import Body, read_body
from bridge.ingest.siprec_metadata import Party, read_metadata
from bridge.ingest.siprec_sdp import answer, read_offer
from tests.sip import METADATA, multipart, sdp

CALLER = Party(name="Dana Caller", aor="sip:+15550100@example.org")
DESK = Party(name="Desk 7", aor="sip:desk7@example.org")

OLDER = """<?xml version='1.0' encoding='UTF-8'?>
<recording xmlns='urn:ietf:params:xml:ns:recording' xmlns:x='http://vendor.example/siprec'>
  <dataMode>complete</dataMode>
  <session id="s-1"/>
  <participant id="p-1" session="s-1"><nameID aor="sip:desk7@example.org"><name>Desk 7</name></nameID><send>st-1</send>
    <extensiondata id="e-1" parent="p-1"><x:callingParty>false</x:callingParty></extensiondata></participant>
  <participant id="p-2" session="s-1"><nameID aor="sip:+15550100@example.org"><name>Dana Caller</name></nameID><send>st-2</send>
    <extensiondata id="e-2" parent="p-2"><x:callingParty>true</x:callingParty></extensiondata></participant>
  <stream id="st-1" session="s-1"><label>65804</label><mode>separate</mode></stream>
  <stream id="st-2" session="s-1"><label>65805</label><mode>separate</mode></stream>
</recording>"""

PREFIXED = METADATA.replace("<recording xmlns=", "<rec:recording xmlns:rec=").replace(
    "</recording>", "</rec:recording>"
)
for _name in ("participant", "stream", "nameID", "label", "name", "send", "participantstreamassoc", "session"):
    PREFIXED = PREFIXED.replace(f"<{_name} ", f"<rec:{_name} ").replace(f"<{_name}>", f"<rec:{_name}>")
    PREFIXED = PREFIXED.replace(f"</{_name}>", f"</rec:{_name}>")


@pytest.mark.parametrize(
    "document", [METADATA, "\ufeff" + METADATA, PREFIXED], ids=["RFC-7865", "byte-order-mark", "prefixes"]
)
def test_who_speaks_where(document: str) -> None:
    """A participant sends a stream, a stream has a label."""
    found = read_metadata(document.encode())
    assert found.parties == {"a_leg": CALLER, "b_leg": DESK}
    assert found.session_id == "c2Vzc2lvbg=="
    assert found.unplaced == ()


def test_who_placed_the_call() -> None:
    """Older clients say it, and put what a participant sends into the participant."""
    parties = read_metadata(OLDER.encode()).parties
    assert [(label, party.name, party.calling) for label, party in parties.items()] == [
        ("65804", "Desk 7", False),
        ("65805", "Dana Caller", True),
    ]


def test_without_associations() -> None:
    """Participants are known all the same, in their order."""
    document = METADATA.replace("participantstreamassoc", "somethingelse")
    assert read_metadata(document.encode()).unplaced == (CALLER, DESK)


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"<recording", id="cut-off"),
        pytest.param(b"<!DOCTYPE a [<!ENTITY b 'bbb'>]><a>&b;</a>", id="entities"),
        pytest.param("<!DOCTYPE a><a/>".encode("utf-16"), id="UTF-16"),
        pytest.param(b"<a>" + b" " * 300_000 + b"</a>", id="too-large"),
    ],
)
def test_metadata_that_is_none(document: bytes) -> None:
    """It is refused, and nothing of it is expanded or fetched."""
    with pytest.raises(CarrierProtocolError):
        read_metadata(document)


# -- bodies ---------------------------------------------------------------------------------------------------------

SDP_PART = ("application/sdp", "v=0")
NESTED = "".join(f"--{n}\r\nContent-Type: multipart/mixed;boundary={n + 1}\r\n\r\n" for n in range(2000))
METADATA_PART = ("application/rs-metadata+xml", "<recording/>")


@pytest.mark.parametrize(
    ("kind", "body", "found"),
    [
        pytest.param(*multipart(SDP_PART, METADATA_PART), Body("v=0", b"<recording/>"), id="both"),
        pytest.param(*multipart(METADATA_PART, SDP_PART), Body("v=0", b"<recording/>"), id="the-other-way"),
        pytest.param(
            *multipart(("application/gtd", "IAM,"), SDP_PART, ("application/rs-metadata", "<recording/>")),
            Body("v=0", b"<recording/>"),
            id="with-another-and-the-older-type",
        ),
        pytest.param(
            "multipart/mixed; boundary=plain",
            "a preamble\r\n--plain\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--plain--\r\nan epilogue",
            Body("v=0", None),
            id="boundary-without-quotes-and-words-around",
        ),
        pytest.param("application/sdp", "v=0", Body("v=0", None), id="SDP-alone"),
        pytest.param("application/sdp;charset=utf-8", "v=0", Body("v=0", None), id="SDP-with-a-parameter"),
        pytest.param("application/rs-metadata+xml", "<recording/>", Body(None, b"<recording/>"), id="metadata-alone"),
        pytest.param("text/plain", "hello", Body(), id="neither"),
        pytest.param(None, "hello", Body(), id="no-type"),
        pytest.param("application/sdp", "", Body(), id="nothing"),
    ],
)
def test_bodies(kind: str | None, body: str, found: Body) -> None:
    """Parts are told by their types, wherever they stand."""
    read = read_body(kind, body.encode())
    assert (read.sdp and read.sdp.strip(), read.metadata and read.metadata.strip()) == (found.sdp, found.metadata)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        pytest.param("multipart/mixed", "no boundary", id="no-boundary"),
        pytest.param("multipart/mixed;boundary=x", "no parts", id="no-parts"),
        pytest.param(*multipart(*[SDP_PART] * 17), id="too-many-parts"),
        pytest.param("multipart/mixed;boundary=0", NESTED, id="one-in-another-2000-times"),
    ],
)
def test_bodies_that_are_none(kind: str, body: str) -> None:
    """They are refused."""
    with pytest.raises(CarrierProtocolError):
        read_body(kind, body.encode())


# -- offers ---------------------------------------------------------------------------------------------------------


def lines(text: str, *kinds: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(kinds)]


def test_an_answer() -> None:
    """As many lines as were offered, in their order: ours receive on their ports, the rest is refused by port 0."""
    text = (
        sdp() + "m=video 30000 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n" + "m=audio 20004 RTP/AVP 0\r\na=label:c_leg\r\n"
    )
    said = answer(read_offer(text), "192.0.2.1", [40000, 40002], session_id=7, version=1)
    assert lines(said, "m=") == [
        "m=audio 40000 RTP/AVP 0 101",
        "m=audio 40002 RTP/AVP 0 101",
        "m=video 0 RTP/AVP 96",
        "m=audio 0 RTP/AVP 0",
    ]
    assert lines(said, "a=label", "a=recvonly") == ["a=label:a_leg", "a=recvonly", "a=label:b_leg", "a=recvonly"]
    assert lines(said, "c=", "o=") == ["o=callbridge 7 1 IN IP4 192.0.2.1", "c=IN IP4 192.0.2.1"]


@pytest.mark.parametrize(
    ("formats", "codec", "kept"),
    [
        pytest.param("8 0 101", "PCMA", "8 101", id="the-first-that-is-understood"),
        pytest.param("18 9 0", "G722", "9", id="behind-one-that-is-not"),
        pytest.param("18 13 0", "PCMU", "13 0", id="comfort-noise-is-kept"),
        pytest.param("9" * 5000 + " 0", "PCMU", "0", id="behind-a-number-of-5000-digits"),
    ],
)
def test_the_codec(formats: str, codec: str, kept: str) -> None:
    """One for all streams: the client's first that is understood."""
    offer = read_offer(sdp(formats=formats))
    assert offer.codec.media_format.encoding == codec
    assert lines(answer(offer, "::1", [4, 6], session_id=1, version=1), "m=")[0] == f"m=audio 4 RTP/AVP {kept}"


def test_the_codec_that_both_have() -> None:
    """A call has one; the first stream's favourite is of no use to the other."""
    first, second = sdp(formats="8 0", labels=("1",)), sdp(formats="0", labels=("2",)).partition("m=")[2]
    assert read_offer(f"{first}m={second}").codec == payload_of("PCMU")
    with pytest.raises(UnsupportedMediaError):
        read_offer(f"{first}m={second}", agreed=payload_of("PCMA"))


@pytest.mark.parametrize(
    ("text", "sends"),
    [
        pytest.param(sdp("sendonly"), True, id="sendonly"),
        pytest.param(sdp("sendrecv"), True, id="sendrecv"),
        pytest.param(sdp("inactive"), False, id="inactive"),
        pytest.param(sdp("recvonly"), False, id="recvonly"),
        pytest.param(sdp("x").replace("t=0 0", "t=0 0\r\na=inactive"), False, id="the-session-s"),
        pytest.param(sdp("x"), True, id="nobody-says"),
    ],
)
def test_hold(text: str, sends: bool) -> None:
    """A stream's own direction counts before the session's."""
    assert {stream.sends for stream in read_offer(text).streams} == {sends}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param("", UnsupportedMediaError, id="empty"),
        pytest.param(sdp().replace("audio", "video"), UnsupportedMediaError, id="no-audio"),
        pytest.param(sdp().replace("RTP/AVP", "RTP/SAVP"), UnsupportedMediaError, id="encrypted"),
        pytest.param(sdp().replace("20000", "0").replace("20002", "0"), UnsupportedMediaError, id="refused"),
        pytest.param(sdp(formats="18"), UnsupportedMediaError, id="G729"),
        pytest.param(sdp().replace("20000", "x"), CarrierProtocolError, id="port"),
        pytest.param(sdp().replace("t=0 0", "t=now then"), CarrierProtocolError, id="time"),
    ],
)
def test_offers_that_cannot_be_taken(text: str, fault: type[Exception]) -> None:
    """Each is refused for what it is."""
    with pytest.raises(fault):
        read_offer(text)


# -- whatever comes -------------------------------------------------------------------------------------------------

DOCUMENTED = (CarrierProtocolError, UnsupportedMediaError)


@st.composite
def bent(draw: st.DrawFn, text: str) -> str:
    """`text` with pieces taken out, doubled or replaced."""
    for _ in range(draw(st.integers(0, 4))):
        begin = draw(st.integers(0, len(text)))
        end = min(len(text), begin + draw(st.integers(0, 30)))
        text = text[:begin] + draw(st.sampled_from(["", text[begin:end] * 2]) | st.text(max_size=6)) + text[end:]
    return text


@given(bent(sdp()))
def test_whatever_is_offered(text: str) -> None:
    """An offer that is taken can be answered, and the answer has its lines; else the fault is a documented one."""
    with suppress(*DOCUMENTED):
        offer = read_offer(text)
        said = answer(offer, "192.0.2.1", [40000, 40002][: len(offer.streams)], session_id=1, version=1)
        assert len(lines(said, "m=")) == len(offer.sdp.media)


@given(bent(METADATA) | bent(OLDER) | st.text(max_size=60))
def test_whatever_is_told(document: str) -> None:
    """Parties, or the documented fault."""
    with suppress(*DOCUMENTED):
        assert all(
            len(party.name) <= 256 for party in read_metadata(document.encode("utf-8", "replace")).parties.values()
        )


@given(
    st.sampled_from([multipart(SDP_PART, METADATA_PART), multipart(SDP_PART)]).flatmap(
        lambda whole: st.tuples(bent(whole[0]), bent(whole[1]))
    )
)
def test_whatever_is_in_a_body(whole: tuple[str, str]) -> None:
    """Parts, or the documented fault."""
    with suppress(*DOCUMENTED):
        assert isinstance(read_body(whole[0], whole[1].encode("utf-8", "replace")), Body)
