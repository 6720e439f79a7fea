"""A voice that a tenant has enrolled, so that transcripts carry its owner's name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownVoice:
    """The direction is a biometric datum: it leaves neither the store nor the tenant."""

    id: str
    tenant: str
    name: str
    """Once a tenant."""
    model: str
    """What gave the direction; another model's says nothing."""
    direction: tuple[float, ...]
    """Of length 1."""
    speech_ms: int
    """How much speech it was made of."""
    created_at: float
    """Unix seconds, UTC."""
