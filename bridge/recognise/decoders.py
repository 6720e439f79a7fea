"""What turns encoded windows into tokens: CTranslate2's decoder, or ours where it is quicker."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Times: TypeAlias = tuple[npt.NDArray[np.int64], Sequence[float]]
"""The state of the window in which each token begins, and last where the text ends; how probable each token is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """What is to be decoded: a window, what stands before the text, and how many tokens it may have."""

    states: Any
    """The encoder's, as CTranslate2 gives them: [1, states, width]."""
    prompt: tuple[int, ...]
    start: int
    """Where in `prompt` the start token is."""
    forced: int
    """Tokens at the end of `prompt` that belong to the text."""
    cap: int
    """New tokens at most."""
    beam: int = 1
    """Hypotheses followed at once."""
    endless: bool = False
    """Up to the cap, whatever is said: for a measure of speed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What was decoded behind the forced tokens."""

    tokens: list[int]
    """Of text alone, without its end."""
    average_log_probability: float
    no_speech_probability: float
    times: Callable[[int, int], Times]
    """Of the forced tokens and the first so many new ones, within so many states of the window."""


More: TypeAlias = Callable[[bool], Sequence[Text]]
"""Texts that join a decode that runs. Asked with True it is the last time, unless there are some."""


def nobody(_is_last: bool) -> Sequence[Any]:
    """Joins."""
    return ()


class Decoder(Protocol):
    """Blocks; may be used from several threads. Raises what its library raises."""

    joins: bool
    """Whether `more` is asked for, between any two tokens."""

    def language(self, states: Any) -> tuple[str, float]:
        """The code of the language that is spoken in a window, and how probable it is."""
        ...

    def decode(self, texts: Sequence[Text], more: More = nobody) -> Iterator[tuple[int, Said]]:
        """What each text says, as soon as it is known, with its place among `texts` and those that joined them. All
        have the same `beam`.
        """
        ...
