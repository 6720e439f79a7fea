"""What may be asked of plain RTP."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from bridge.settings import Settings
from bridge.web.rtp import RtpIn
from bridge.web.rtp_calls import Senders, media_address

EVERYWHERE = "0.0.0.0"  # noqa: S104  # asked about, not bound


@pytest.mark.parametrize(
    ("body", "field"),
    [
        pytest.param({"legs": []}, "legs", id="no-legs"),
        pytest.param({"legs": ["caller", "caller"]}, "legs", id="twice"),
        pytest.param({"legs": ["mixed", "agent"]}, "legs", id="mixed-and-another"),
        pytest.param({"legs": ["nobody"]}, "legs.0", id="nobody"),
        pytest.param({"codec": "G729"}, "body", id="codec"),
        pytest.param({"codec": "telephone-event"}, "body", id="no-speech"),
        pytest.param({"payload_types": {"96": "AMR/8000"}}, "body", id="rtpmap"),
        pytest.param({"payload_types": {"128": "PCMU"}}, "payload_types", id="type"),
        pytest.param({"source": "everywhere"}, "source", id="source"),
        pytest.param({"call_id": "a b"}, "call_id", id="call-id"),
        pytest.param({"start_timeout_s": 0}, "start_timeout_s", id="timeout"),
        pytest.param({"port": 4000}, "port", id="unknown"),
    ],
)
def test_what_cannot_be_asked(body: dict[str, Any], field: str) -> None:
    """It is refused by the field's name."""
    with pytest.raises(ValidationError) as refused:
        RtpIn.model_validate(body)
    assert field in {".".join(str(part) for part in error["loc"]) or "body" for error in refused.value.errors()}


@pytest.mark.parametrize(
    ("host", "may"),
    [("192.0.2.7", True), ("192.0.3.7", False), ("::ffff:192.0.2.7", True), ("2001:db8::1", True), ("nobody", False)],
)
def test_who_may_send(host: str, may: bool) -> None:
    """Addresses and networks, IPv4 in IPv6's clothes too."""
    assert Senders(["192.0.2.0/24", "2001:db8::1"])(host) is may


@pytest.mark.parametrize(
    ("given", "told"),
    [
        pytest.param({}, "127.0.0.1", id="where-it-listens"),
        pytest.param({"rtp_host": "192.0.2.1"}, "192.0.2.1", id="where-rtp-listens"),
        pytest.param({"rtp_host": EVERYWHERE}, "198.51.100.1", id="everywhere"),
        pytest.param({"rtp_host": "::"}, "198.51.100.1", id="everywhere-in-IPv6"),
        pytest.param(
            {"rtp_host": EVERYWHERE, "rtp_public_host": "media.example.org"}, "media.example.org", id="as-set"
        ),
    ],
)
def test_where_media_goes(given: dict[str, Any], told: str) -> None:
    """What is set; else where the ports are, if that is an address that can be sent to."""
    assert media_address(Settings(**given), "198.51.100.1") == told


@pytest.mark.parametrize("ports", ["", "40000", "40000-", "40010-40000", "80-90", "40000-70000", "a-b"])
def test_ports_that_are_none(ports: str) -> None:
    """A range of ports is checked when the server starts."""
    with pytest.raises(ValidationError, match="must be like"):
        Settings(rtp_ports=ports)


def test_the_even_ports() -> None:
    """Only whole pairs are in the range."""
    assert list(Settings(rtp_ports="40001-40006").rtp_port_range) == [40002, 40004]
    assert list(Settings(rtp_ports="40000-40001").rtp_port_range) == [40000]
