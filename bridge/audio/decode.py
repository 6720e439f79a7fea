"""A media format → what decodes it, chosen once, at stream start."""

from __future__ import annotations

from typing import Final

import callcodecs
from bridge.errors import UnsupportedMediaError
from bridge.model.stream import Leg, MediaFormat
from callcodecs.decoder import Decoder
from callcodecs.errors import UnknownEncodingError

SIDES: Final = {Leg.CALLER: 0, Leg.AGENT: 1}
"""The channel of each party where both are in one payload: left and right."""


def decoder_for(media_format: MediaFormat, leg: Leg) -> Decoder:
    """A fresh decoder for one leg. Raises UnsupportedMediaError."""
    channel = SIDES.get(leg) if media_format.channels > 1 else None
    try:
        return callcodecs.open_decoder(media_format.encoding, media_format.sample_rate, channel)
    except UnknownEncodingError as error:
        raise UnsupportedMediaError(str(error)) from None
