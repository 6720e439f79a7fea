"""Recordings to be put into words: what a customer orders, and how far it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from bridge.model.call_key import CallKey

CARRIER: Final = "recording"
"""What a call that was sent in as a recording has for its carrier."""


class RawEncoding(StrEnum):
    """Samples without a header: a file of them does not say what it is."""

    MULAW = "mulaw"
    ALAW = "alaw"
    LINEAR16 = "linear16"
    """Little-endian."""
    LINEAR32 = "linear32"
    """Little-endian whole numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawAudio:
    """How a file without a header is to be read."""

    encoding: RawEncoding
    sample_rate: int
    channels: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One recording, and what its owner wants of it. Either it has been uploaded, or `url` says where it is."""

    call_id: str
    tenant: str
    created_at: float
    """Unix seconds, UTC."""
    name: str = ""
    """What its owner calls it: a file's name. It becomes the `carrier_call_id`."""
    url: str | None = None
    language: str | None = None
    """None: found once a leg, then held."""
    keywords: tuple[str, ...] = ()
    diarize: bool = False
    """Whether the speakers of a leg are to be told apart."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    raw: RawAudio | None = None
    """None: its header says what it is."""

    @property
    def key(self) -> CallKey:
        return CallKey(self.tenant, self.call_id)


class JobStatus(StrEnum):
    """Where an order is. `completed` and `failed` are its call's own."""

    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """How far an order is. Its words are those of the call that has its id."""

    call_id: str
    status: JobStatus
    created_at: float
    """Unix seconds, UTC."""
    progress: float
    """0–1, of the recording's length."""
    duration_ms: int | None = None
    """None until the recording has been looked at."""
    error: str | None = None
    """A stable code, once it has failed."""
