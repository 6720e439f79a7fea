"""TwiML, and its likenesses: SignalWire's cXML, Telnyx's TeXML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from xml.etree import ElementTree as ET

from bridge.web.voice.asked import LONGEST_CALL_S, Asked, invalid, plain

MAX_PARAMETER: Final = 500
"""Characters of a `<Parameter>`'s name and value together."""


def twiml(asked: Asked) -> bytes:
    """`<Start>` (both parties, the call goes on) or `<Connect>`, with `<Parameter>`s: a query string would be dropped.

    Raises InvalidRequestError for what Twilio would not take.
    """
    return _document(asked, asked.stream_url, asked.all_parameters)


def texml(asked: Asked) -> bytes:
    """The same for Telnyx, which has no `<Parameter>` and keeps the query of the stream's address."""
    alone = {"track": "inbound_track"} if asked.mode == "connect" else {}
    return _document(asked, asked.url_with({**asked.all_parameters, **alone}), {})


def _document(asked: Asked, url: str, parameters: Mapping[str, str]) -> bytes:
    response = ET.Element("Response")
    if asked.mode == "connect":  # holds the call until the stream ends, so what is to be said comes first
        _say(response, asked.say)
        _stream(ET.SubElement(response, "Connect"), {"url": url}, parameters)
    else:
        _stream(ET.SubElement(response, "Start"), {"url": url, "track": "both_tracks"}, parameters)
        _say(response, asked.say)
        if asked.dial is None:  # the call ends with its last verb
            ET.SubElement(response, "Pause", length=str(LONGEST_CALL_S))
        else:
            ET.SubElement(response, "Dial").text = asked.dial
    document: bytes = ET.tostring(response, encoding="UTF-8", xml_declaration=True)
    return document


def _stream(verb: ET.Element, attributes: dict[str, str], parameters: Mapping[str, str]) -> None:
    stream = ET.SubElement(verb, "Stream", attributes)
    for name, value in parameters.items():
        if len(name) + len(value) >= MAX_PARAMETER:
            raise invalid(name, f"name and value must stay under {MAX_PARAMETER} characters")
        ET.SubElement(stream, "Parameter", name=plain(name), value=plain(value))


def _say(response: ET.Element, words: str | None) -> None:
    if words is not None:
        ET.SubElement(response, "Say").text = plain(words)
