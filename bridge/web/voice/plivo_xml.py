"""Plivo's XML (docs.plivo.com, XML `<Stream>`)."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from bridge.web.voice.asked import LONGEST_CALL_S, Asked, plain


def plivo_xml(asked: Asked) -> bytes:
    """A `<Stream>` of both parties beside the call, or of the caller alone that holds it.

    Parameters stand in the stream's address: Plivo's own `extraHeaders` take letters and digits alone.
    """
    response = ET.Element("Response")
    if asked.mode == "connect":
        _speak(response, asked.say)
        _stream(response, asked, bidirectional="true", keepCallAlive="true", audioTrack="inbound")
    else:
        _stream(response, asked, bidirectional="false", audioTrack="both")
        _speak(response, asked.say)
        if asked.dial is None:  # the call ends with its last element
            ET.SubElement(response, "Wait", length=str(LONGEST_CALL_S))
        else:
            ET.SubElement(ET.SubElement(response, "Dial"), "Number").text = asked.dial
    document: bytes = ET.tostring(response, encoding="UTF-8", xml_declaration=True)
    return document


def _stream(response: ET.Element, asked: Asked, **how: str) -> None:
    attributes = {**how, "contentType": "audio/x-mulaw;rate=8000", "streamTimeout": str(LONGEST_CALL_S)}
    ET.SubElement(response, "Stream", attributes).text = asked.url_with(asked.all_parameters)


def _speak(response: ET.Element, words: str | None) -> None:
    if words is not None:
        ET.SubElement(response, "Speak").text = plain(words)
