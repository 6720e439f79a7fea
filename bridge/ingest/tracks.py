"""Tracks and keys as carriers name them: `inbound` is what a carrier hears from the leg, `outbound` what it plays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from bridge.errors import CarrierProtocolError
from bridge.model.stream import DtmfDigit, Leg

LEGS: Final = {
    "inbound": Leg.CALLER,
    "outbound": Leg.AGENT,
    "inbound_track": Leg.CALLER,  # the spelling of some carriers' `dtmf` messages
    "outbound_track": Leg.AGENT,
}
BOTH_TRACKS: Final = ("inbound", "outbound")

DIGITS: Final = frozenset("0123456789*#ABCD")


def announced_legs(tracks: object, *, otherwise: Sequence[str] = BOTH_TRACKS) -> tuple[Leg, ...]:
    """The legs of a list of track names, in their order; of `otherwise` where it is left out.

    Raises CarrierProtocolError.
    """
    if tracks is None:
        tracks = otherwise
    if not isinstance(tracks, list | tuple):
        raise CarrierProtocolError("'start' whose tracks are no list")
    found = [LEGS.get(track) if isinstance(track, str) else None for track in tracks]
    legs = tuple(dict.fromkeys(leg for leg in found if leg is not None))
    if not legs or None in found:
        raise CarrierProtocolError("'start' with tracks that are neither inbound nor outbound")
    return legs


def leg_of(message: Mapping[str, Any], legs: tuple[Leg, ...]) -> Leg:
    """Whose track a message is of; where it does not say, the stream's only one, or its first.

    Raises CarrierProtocolError for a track that was not announced.
    """
    track = message.get("track")
    if track is None:
        return legs[0]
    leg = LEGS.get(track) if isinstance(track, str) else None
    if leg not in legs:
        raise CarrierProtocolError("a track that 'start' did not announce")
    return leg


def key_pressed(leg: Leg, digit: object) -> DtmfDigit:
    """Raises CarrierProtocolError for what is no key of a phone."""
    if isinstance(digit, int) and not isinstance(digit, bool):
        digit = str(digit)
    if not isinstance(digit, str) or digit.upper() not in DIGITS:
        raise CarrierProtocolError("'dtmf' without a digit")
    return DtmfDigit(leg=leg, digit=digit.upper())
