"""A media format → what decodes it, chosen once, at stream start."""

from __future__ import annotations

import callcodecs
from bridge.errors import UnsupportedMediaError
from bridge.model.stream import MediaFormat
from callcodecs.decoder import Decoder
from callcodecs.errors import UnknownEncodingError


def decoder_for(media_format: MediaFormat) -> Decoder:
    """A fresh decoder for one leg. Raises UnsupportedMediaError."""
    try:
        return callcodecs.open_decoder(media_format.encoding, media_format.sample_rate)
    except UnknownEncodingError as error:
        raise UnsupportedMediaError(str(error)) from None
