"""Bandwidth's XML (dev.bandwidth.com/docs/voice/bxml)."""

from __future__ import annotations

from typing import Final
from xml.etree import ElementTree as ET

from bridge.web.voice.asked import LONGEST_CALL_S, Asked, invalid, plain

MOST_PARAMETERS: Final = 12
"""`<StreamParam>`s of one stream."""


def bxml(asked: Asked) -> bytes:
    """`<StartStream>` of both parties, or (connect) of the caller, with talk-back possible. It never holds the call.

    Raises InvalidRequestError for what Bandwidth would not take.
    """
    if len(asked.all_parameters) > MOST_PARAMETERS:
        raise invalid("metadata", f"and all other parameters must not be more than {MOST_PARAMETERS}")
    response = ET.Element("Response")
    how = (
        {"mode": "bidirectional", "tracks": "inbound"}
        if asked.mode == "connect"
        else {"mode": "unidirectional", "tracks": "both"}
    )
    stream = ET.SubElement(response, "StartStream", {"destination": asked.stream_url, **how})
    for name, value in asked.all_parameters.items():
        ET.SubElement(stream, "StreamParam", name=plain(name), value=plain(value))
    if asked.say is not None:
        ET.SubElement(response, "SpeakSentence").text = plain(asked.say)
    if asked.dial is None:  # the call ends with its last verb
        ET.SubElement(response, "Pause", duration=str(LONGEST_CALL_S))
    else:
        ET.SubElement(ET.SubElement(response, "Transfer"), "PhoneNumber").text = asked.dial
    document: bytes = ET.tostring(response, encoding="UTF-8", xml_declaration=True)
    return document
