"""What a call may choose about its turns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from bridge.model.limits import within

LEAST_THRESHOLD: Final = 0.3
MOST_THRESHOLD: Final = 0.99
LEAST_TIMEOUT_MS: Final = 300
MOST_TIMEOUT_MS: Final = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnOptions:
    """When a turn counts as over."""

    threshold: float = 0.9
    """`eot_threshold`: how sure it must be."""
    eager_threshold: float | None = None
    """`eager_eot_threshold`: how sure for a first, revocable word; None for none."""
    timeout_ms: int = 5000
    """`eot_timeout_ms`: silence that ends a turn whatever was said."""
    early: bool = False
    """Whether a turn may end before the speech's own hang-over, which is then cut short."""


PRESETS: Final[Mapping[str, TurnOptions]] = {
    "captions": TurnOptions(),
    "bot": TurnOptions(threshold=0.8, eager_threshold=0.5, timeout_ms=3000, early=True),
}
"""`captions` only tells turns apart. `bot` is for those who answer: sooner, with a first word that may be withdrawn."""

EARLY_PAUSE_MS: Final = 128
"""Silence behind which a voice is put into words as if it were done, where a turn may end early."""


def turn_options(parameters: Mapping[str, str]) -> TurnOptions | None:
    """As a call's parameters say: `turns` names a preset (`off`: None), the others change it within their limits."""
    preset = parameters.get("turns", "").strip().lower()
    if preset == "off":
        return None
    return changed(PRESETS.get(preset, PRESETS["captions"]), parameters)


def changed(usual: TurnOptions, parameters: Mapping[str, str]) -> TurnOptions:
    """With what `parameters` say, within its limits."""
    threshold = within(parameters.get("eot_threshold"), LEAST_THRESHOLD, MOST_THRESHOLD) or usual.threshold
    asked = within(parameters.get("eager_eot_threshold"), LEAST_THRESHOLD, MOST_THRESHOLD) or usual.eager_threshold
    timeout_ms = within(parameters.get("eot_timeout_ms"), LEAST_TIMEOUT_MS, MOST_TIMEOUT_MS) or usual.timeout_ms
    return replace(
        usual,
        threshold=threshold,
        eager_threshold=None if asked is None else min(asked, threshold),
        timeout_ms=round(timeout_ms),
    )
