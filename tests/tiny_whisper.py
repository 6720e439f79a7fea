"""Whisper's decoder with random weights and twenty words: as CTranslate2 writes it, and what it must say, in NumPy."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import tokenizers
from ctranslate2.specs import common_spec, model_spec, transformer_spec

from bridge.recognise.model_file import ModelFile

WIDTH: Final = 32
HEADS: Final = 4
LAYERS: Final = 2
LONGEST: Final = 60

WORDS: Final = [f"w{number}" for number in range(20)]
SPECIAL: Final = [
    "<|endoftext|>",
    "<|startoftranscript|>",
    "<|en|>",
    "<|de|>",
    "<|transcribe|>",
    "<|startofprev|>",
    "<|nospeech|>",
    "<|notimestamps|>",
]
VOCABULARY: Final = [*WORDS, *SPECIAL]
END, START, ENGLISH, GERMAN, TRANSCRIBE, PREVIOUS, NO_SPEECH, NO_TIMESTAMPS = range(len(WORDS), len(VOCABULARY))

NEVER: Final = 3
"""A word that must not be said; and one that must not be said first."""
NOT_FIRST: Final = 5

ALIGNMENT: Final = ((0, 1), (1, 0), (1, 3))


class _Spec(model_spec.LanguageModelSpec):  # type: ignore[misc]
    """A decoder without an encoder."""

    def __init__(self) -> None:
        super().__init__()
        self.decoder = transformer_spec.TransformerDecoderSpec(LAYERS, HEADS, activation=common_spec.Activation.GELU)

    @property
    def name(self) -> str:
        return "WhisperSpec"

    def get_default_config(self) -> model_spec.ModelConfig:
        return model_spec.ModelConfig()

    def get_vocabulary_size(self) -> int:
        return len(VOCABULARY)


def write(folder: Path, *, quantization: str | None = None, activation: int = common_spec.Activation.GELU) -> None:
    """`model.bin` and `config.json`; `quantization` as CTranslate2's converters have it."""
    chance = np.random.default_rng(0)

    def some(*shape: int, around: float = 0.0, scale: float = 0.5) -> np.ndarray:
        return chance.normal(around, scale, shape).astype(np.float32)

    def linear(layer: Any, outputs: int, inputs: int) -> None:
        layer.weight, layer.bias = some(outputs, inputs), some(outputs, scale=0.1)

    def norm(layer: Any) -> None:
        layer.gamma, layer.beta = some(WIDTH, around=1.0, scale=0.1), some(WIDTH, scale=0.1)

    spec = _Spec()
    decoder = spec.decoder
    decoder.activation = np.int8(activation)
    decoder.scale_embeddings = False
    decoder.embeddings.weight, decoder.projection.weight = some(len(VOCABULARY), WIDTH), some(len(VOCABULARY), WIDTH)
    decoder.position_encodings.encodings = some(LONGEST, WIDTH)
    norm(decoder.layer_norm)
    for layer in decoder.layer:
        for part, sizes in ((layer.self_attention, (3, 1)), (layer.attention, (1, 2, 1))):
            norm(part.layer_norm)
            for matrix, size in zip(part.linear, sizes, strict=True):
                linear(matrix, size * WIDTH, WIDTH)
        norm(layer.ffn.layer_norm)
        linear(layer.ffn.linear_0, 4 * WIDTH, WIDTH)
        linear(layer.ffn.linear_1, WIDTH, 4 * WIDTH)
    spec.register_vocabulary(VOCABULARY)
    spec.validate()
    spec.optimize(quantization=quantization)
    spec.save(str(folder))
    config = {"suppress_ids": [NEVER], "suppress_ids_begin": [NOT_FIRST, END], "lang_ids": [ENGLISH, GERMAN]}
    (folder / "config.json").write_text(json.dumps({**config, "alignment_heads": ALIGNMENT}), "utf-8")


def tokenizer() -> tokenizers.Tokenizer:
    """One token a word."""
    return tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: place for place, word in enumerate(VOCABULARY)}, unk_token=WORDS[0])
    )


class Reference:
    """The decoder in NumPy, all of a text at each step, with products in 8 bits."""

    def __init__(self, folder: Path) -> None:
        self._weights = ModelFile(folder / "model.bin")

    def run(self, tokens: Sequence[int], states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Logits [tokens, vocabulary] and attention [heads that follow the speech, tokens, states]."""
        named = self._weights.weights
        state = named("decoder/embeddings/weight")[list(tokens)]
        state = state + named("decoder/position_encodings/encodings")[: len(tokens)]
        later = np.triu(np.full((len(tokens), len(tokens)), -np.inf), 1)
        following = {}
        for layer in range(LAYERS):
            name = f"decoder/layer_{layer}"
            query, key, value = np.split(
                self._linear(self._norm(state, f"{name}/self_attention"), f"{name}/self_attention/linear_0"), 3, axis=1
            )
            found, _ = _attend(query, key, value, later)
            state = state + self._linear(found, f"{name}/self_attention/linear_1")
            query = self._linear(self._norm(state, f"{name}/attention"), f"{name}/attention/linear_0")
            key, value = np.split(self._linear(states, f"{name}/attention/linear_1"), 2, axis=1)
            found, looked = _attend(query, key, value, np.zeros(()))
            following |= {(layer, head): looked[head] for head in range(HEADS)}
            state = state + self._linear(found, f"{name}/attention/linear_2")
            wide = self._linear(self._norm(state, f"{name}/ffn"), f"{name}/ffn/linear_0")
            wide = wide * 0.5 * (1 + np.vectorize(math.erf)(wide / math.sqrt(2)))
            state = state + self._linear(wide, f"{name}/ffn/linear_1")
        logits = _product(self._norm(state, "decoder"), named("decoder/projection/weight"))
        return logits, np.stack([following[head] for head in ALIGNMENT])

    def _norm(self, state: np.ndarray, name: str) -> np.ndarray:
        gamma, beta = (self._weights.weights(f"{name}/layer_norm/{part}") for part in ("gamma", "beta"))
        middle, spread = state.mean(axis=1, keepdims=True), state.var(axis=1, keepdims=True)
        return (state - middle) / np.sqrt(spread + 1e-5) * gamma + beta

    def _linear(self, state: np.ndarray, name: str) -> np.ndarray:
        return _product(state, self._weights.weights(f"{name}/weight")) + self._weights.weights(f"{name}/bias")


def _product(state: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    def in_8_bits(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        step = np.abs(rows).max(axis=1, keepdims=True) / 127
        return np.rint(rows / step), step

    (left, left_step), (right, right_step) = in_8_bits(state), in_8_bits(matrix)
    return left @ right.T * left_step * right_step.T


def _attend(query: np.ndarray, key: np.ndarray, value: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    query, key, value = (np.stack(np.split(part, HEADS, axis=1)) for part in (query, key, value))
    scores = query @ key.transpose(0, 2, 1) / math.sqrt(WIDTH / HEADS) + bias
    looked = np.exp(scores - scores.max(axis=2, keepdims=True))
    looked /= looked.sum(axis=2, keepdims=True)
    return np.concatenate(list(looked @ value), axis=1), looked
