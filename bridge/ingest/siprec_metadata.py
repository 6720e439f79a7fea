"""What a SIPREC client tells about a recording beside its audio (RFC 7865): who speaks on which stream.

Read by local names alone: older clients have other namespaces, other names for ids, and put what a participant sends
into the participant itself (Acme, Oracle).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final
from xml.etree import ElementTree as ET

from bridge.errors import CarrierProtocolError
from bridge.ingest.fields import MAX_IDENTIFIER, storable

LARGEST: Final = 256 * 1024
"""Bytes of a metadata document."""
IDS: Final = ("participant_id", "stream_id", "session_id", "id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """Somebody whose voice is recorded."""

    name: str = ""
    aor: str = ""
    """`sip:…` or `tel:…`."""
    calling: bool | None = None
    """Whether they placed the call; None where nobody says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What is known of a recording session."""

    session_id: str = ""
    parties: dict[str, Party] = field(default_factory=dict)
    """By the label (`a=label`) of the stream that carries their voice."""
    unplaced: tuple[Party, ...] = ()
    """Those of whom it is not said which stream carries them, in order."""


def read_metadata(document: bytes) -> Metadata:
    """Raises CarrierProtocolError for what is no XML, and for XML that brings definitions of its own."""
    if len(document) > LARGEST:
        raise CarrierProtocolError(f"{len(document)} bytes of metadata; {LARGEST} are read")
    text = document.decode("utf-8", "replace").lstrip("\ufeff \r\n\t")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise CarrierProtocolError("metadata with a document type")
    try:
        root = ET.fromstring(text)  # noqa: S314 - without a document type there is nothing to expand or to fetch
    except (ET.ParseError, ValueError) as error:
        raise CarrierProtocolError(f"metadata that is no XML: {error}") from None
    labels = {_id(stream): label for stream in _all(root, "stream") if (label := _text(stream, "label"))}
    parties = {_id(found): _party(found) for found in _all(root, "participant")}
    placed: dict[str, Party] = {}
    without_place = dict(parties)
    for association in [*_all(root, "participantstreamassoc"), *_all(root, "participant")]:
        party = parties.get(_id(association))
        for sent in _all(association, "send"):
            carried = labels.get((sent.text or "").strip())
            if party is not None and carried is not None:
                placed.setdefault(carried, party)
                without_place.pop(_id(association), None)
    session = next((_id(found) for found in _all(root, "session")), "")
    return Metadata(session_id=_clean(session), parties=placed, unplaced=tuple(without_place.values()))


def _party(found: ET.Element) -> Party:
    name_id = next(_all(found, "nameID"), None)
    holder = found if name_id is None else name_id
    said = _text(found, "callingParty").lower()
    return Party(
        name=_text(holder, "name"),
        aor=_clean(holder.get("aor") or _text(holder, "aor")),
        calling={"true": True, "false": False}.get(said),
    )


def _all(parent: ET.Element, name: str) -> Iterator[ET.Element]:
    """Descendants of this local name, whatever their namespace."""
    return (found for found in parent.iter() if found is not parent and found.tag.rpartition("}")[2] == name)


def _id(element: ET.Element) -> str:
    """Its own id, by any name. An association has that of its participant."""
    order = IDS if element.tag.rpartition("}")[2] != "stream" else ("stream_id", "id")
    return next((element.attrib[name] for name in order if name in element.attrib), "")


def _text(parent: ET.Element, name: str) -> str:
    found = next(_all(parent, name), None)
    return "" if found is None else _clean(found.text or "")


def _clean(text: str) -> str:
    return storable(" ".join(text.split()))[:MAX_IDENTIFIER]
