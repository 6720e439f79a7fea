"""CTranslate2's own decoder: for GPUs, for processors without VNNI, and for more than one hypothesis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import ctranslate2
import numpy as np

from bridge.recognise.decoders import More, Said, Text, Times, nobody

TEXT_CONTEXT: Final = 448
"""Tokens of prompt and text together (Radford et al. 2022)."""

STATES_TO_FRAMES: Final = 2
"""The encoder gives one state for two log-mel frames."""


class LibraryDecoder:
    """Fills `Decoder` over a loaded model. Texts decoded together must have their start token at one place."""

    joins = False

    def __init__(self, model: Any, *, end_of_text: int) -> None:
        self._model = model
        self._end_of_text = end_of_text

    def language(self, states: Any) -> tuple[str, float]:
        token, probability = self._model.detect_language(states)[0][0]
        return token[2:-2], probability

    def decode(self, texts: Sequence[Text], more: More = nobody) -> Iterator[tuple[int, Said]]:  # noqa: ARG002
        first = texts[0]
        longest = max(len(text.prompt) for text in texts)
        results = self._model.generate(
            first.states if len(texts) == 1 else _together([text.states for text in texts]),
            [list(text.prompt) for text in texts],
            beam_size=first.beam,
            max_length=_max_length(longest, max(text.forced for text in texts), max(text.cap for text in texts)),
            suppress_tokens=[-1, self._end_of_text] if first.endless else [-1],
            return_scores=True,
            return_no_speech_prob=True,
        )
        for index, (text, result) in enumerate(zip(texts, results, strict=True)):
            yield index, self._said(text, result)

    def _said(self, text: Text, result: Any) -> Said:
        tokens = list(result.sequences_ids[0])
        forced = text.prompt[len(text.prompt) - text.forced :]
        if tuple(tokens[: text.forced]) == forced:  # it gives back what it was given
            tokens = tokens[text.forced :]
        tokens = [token for token in tokens if token < self._end_of_text]

        def times(count: int, states: int) -> Times:
            [found] = self._model.align(
                text.states,
                list(text.prompt[text.start : len(text.prompt) - text.forced - 1]),  # it adds "no timestamps" itself
                [[*forced, *tokens[:count]]],
                STATES_TO_FRAMES * states,
            )
            path = np.array(found.alignments)
            return path[np.diff(path[:, 0], prepend=-1).astype(bool), 1], found.text_token_probs

        return Said(
            tokens=tokens,
            average_log_probability=result.scores[0],
            no_speech_probability=result.no_speech_prob,
            times=times,
        )


def _max_length(prompt: int, prefix: int, tokens: int) -> int:
    """What CTranslate2 must be told to give `tokens` behind a prompt that ends with a forced prefix: it counts the
    prefix and what follows against half of `max_length`, and the prompt against the whole of it.
    """
    return min(max(2 * (prefix + tokens), prompt + tokens), TEXT_CONTEXT)


def _together(states: Sequence[Any]) -> Any:
    """Encoder states of several windows as one batch. Shorter windows last on in their last state, which is quiet."""
    apart = [np.array(one) for one in states]
    longest = max(one.shape[1] for one in apart)
    return ctranslate2.StorageView.from_array(
        np.concatenate([np.pad(one, ((0, 0), (0, longest - one.shape[1]), (0, 0)), "edge") for one in apart])
    )
