"""STUN and TURN servers, from the setting to what a publisher is told."""

from __future__ import annotations

import pytest

from bridge.model.ice import ice_servers


@pytest.mark.parametrize(
    ("written", "links"),
    [
        pytest.param("", [], id="none"),
        pytest.param("stun:stun.example.org", ['<stun:stun.example.org>; rel="ice-server"'], id="stun"),
        pytest.param(
            "stun:192.0.2.1:3478, turns:me:pa%2Css%3A@[fd00::2]?transport=tcp",
            [
                '<stun:192.0.2.1:3478>; rel="ice-server"',
                '<turns:[fd00::2]?transport=tcp>; rel="ice-server"; username="me"; credential="pa,ss:"; credential-type="password"',
            ],
            id="both",
        ),
    ],
)
def test_what_is_told(written: str, links: list[str]) -> None:
    """Each server is one Link (RFC 9725 §4.6); a password may have any sign, escaped."""
    assert [server.link for server in ice_servers(written)] == links


@pytest.mark.parametrize(
    "written",
    [
        pytest.param("stun.example.org", id="no-scheme"),
        pytest.param("turn:turn.example.org", id="turn-without-a-password"),
        pytest.param("stun:me:secret@stun.example.org", id="stun-with-one"),
        pytest.param("turn:me:secret@turn.example.org?transport=sctp", id="transport"),
        pytest.param("turn:me:sec%22ret@turn.example.org", id="quotation-mark"),
        pytest.param("turn:me:sec%0Aret@turn.example.org", id="control-character"),
    ],
)
def test_what_is_none(written: str) -> None:
    """It is refused without being repeated: it may hold a password."""
    with pytest.raises(ValueError, match="must") as refused:
        ice_servers(written)
    assert "secret" not in str(refused.value)
