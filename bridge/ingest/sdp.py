"""What a session description says (RFC 8866, RFC 8829), as far as one audio track needs it; and how we write one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

Role: TypeAlias = Literal["client", "server"]
"""In the DTLS handshake: who begins it, and who is called."""

SETUP: Final[dict[Role, str]] = {"client": "active", "server": "passive"}
"""RFC 4145 §4."""

NOWHERE: Final = "m={kind} 0 {profile} {formats}\r\nc=IN IP4 0.0.0.0\r\na=mid:{mid}\r\na=inactive\r\n"
"""A section that is refused (RFC 3264 §6): port 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """One payload type of a section."""

    payload_type: int
    name: str
    """In the peer's spelling: upper and lower case are alike."""
    clock_rate: int
    channels: int = 1
    parameters: str = ""
    """`a=fmtp`, as it is written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Where and who one side is: ICE credentials and candidates, fingerprints of its certificate."""

    ufrag: str
    password: str
    fingerprints: tuple[tuple[str, str], ...] = ()
    """Algorithm and value."""
    candidates: tuple[str, ...] = ()
    """`candidate-attribute` (RFC 8839 §5.1) without its name."""
    lite: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One `m=` line and what belongs to it."""

    kind: str
    mid: str
    direction: str
    profile: str
    formats: tuple[str, ...]
    codecs: tuple[Codec, ...]
    peer: Peer
    setup: str | None
    """`actpass`, `active` or `passive`."""
    muxed: bool
    """Whether RTCP comes on the same port."""

    @property
    def refused(self) -> str:
        """The section as an answer that does without it writes it."""
        return NOWHERE.format(kind=self.kind, profile=self.profile, formats=" ".join(self.formats), mid=self.mid)


def written(sections: Iterable[str], *, session: int, bundled: str | None) -> str:
    """A whole description. `bundled` is the mid of the one section that is there."""
    group = "" if bundled is None else f"a=group:BUNDLE {bundled}\r\n"
    head = f"v=0\r\no=- {session} 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n{group}a=msid-semantic: WMS *\r\n"
    return head + "".join(sections)


def audio_section(
    us: Peer, codecs: Iterable[Codec], *, mid: str, direction: str, setup: str, extra: Iterable[str] = ()
) -> str:
    """The one section that carries anything; all its candidates are in it."""
    codecs = tuple(codecs)
    lines = [
        f"m=audio 9 UDP/TLS/RTP/SAVPF {' '.join(str(each.payload_type) for each in codecs)}",
        "c=IN IP4 0.0.0.0",
        f"a=mid:{mid}",
        f"a={direction}",
        "a=rtcp:9 IN IP4 0.0.0.0",
        "a=rtcp-mux",
        *extra,
    ]
    for each in codecs:
        channels = f"/{each.channels}" if each.channels > 1 else ""
        lines.append(f"a=rtpmap:{each.payload_type} {each.name}/{each.clock_rate}{channels}")
        if each.parameters:
            lines.append(f"a=fmtp:{each.payload_type} {each.parameters}")
    lines += [
        f"a=ice-ufrag:{us.ufrag}",
        f"a=ice-pwd:{us.password}",
        "a=ice-options:trickle",
        *(f"a=fingerprint:{algorithm} {value}" for algorithm, value in us.fingerprints),
        f"a=setup:{setup}",
        *(f"a=candidate:{candidate}" for candidate in us.candidates),
        "a=end-of-candidates",
    ]
    return "".join(f"{line}\r\n" for line in lines)


def with_candidates(peer: Peer, others: Iterable[Peer]) -> Peer:
    """All candidates of one ICE session: in a bundle they may stand in a section that is not the audio's."""
    found = [candidate for each in others if each.ufrag == peer.ufrag for candidate in each.candidates]
    return replace(peer, candidates=tuple(dict.fromkeys(found)))
