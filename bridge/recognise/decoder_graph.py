"""Whisper's text decoder (Radford et al. 2022) as graphs for ONNX Runtime, made from CTranslate2's weights.

Products are in 8 bits as CTranslate2 does them, with a scale for each row of weights and of activations; the rest is in
float32. ONNX Runtime packs the weights once, where CTranslate2 without MKL packs them anew for each token.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from bridge.onnx_graph import INT64, UINT8, Graph
from bridge.recognise.model_file import ModelFile, Weights

LARGEST: Final = 127
"""Of 8 bits with a sign."""

LEAST: Final = 1e-6
"""A row of activations that is nowhere larger counts as silent."""

EPSILON: Final = 1e-5
"""Of layer normalisation."""

FOUND: Final = ("next", "probability", "no_speech", "attention")
"""Outputs of `step_graph`, beside those that the next step is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What the graphs are built for."""

    layers: int
    heads: int
    width: int
    """Of a state; each head has its part of it."""
    end_of_text: int
    no_speech: int
    alignment: tuple[tuple[int, int], ...]
    """Heads that follow the speech: layer, head."""

    @property
    def size(self) -> int:
        """Of a head's part of a state."""
        return self.width // self.heads


def memory_graph(weights: ModelFile, shape: Shape) -> bytes:
    """What a decode looks up in a window, once for all its tokens.

    `states` [batch, states, width] become, of each layer N, `keys.N` [batch, heads, size of a head, states] and
    `values.N` [batch, heads, states, size of a head].
    """
    graph = _Graph(weights, shape)
    states = graph.input("states", ("batch", "states", shape.width))
    for layer in range(shape.layers):
        keys, values = graph.split(graph.linear(states, f"decoder/layer_{layer}/attention/linear_1"), 2, axis=-1)
        graph.output(graph.heads(keys, last=True), f"keys.{layer}", ("batch", shape.heads, shape.size, "states"))
        graph.output(graph.heads(values), f"values.{layer}", ("batch", shape.heads, "states", shape.size))
    return graph.to_bytes()


def step_graph(weights: ModelFile, shape: Shape) -> bytes:
    """One or more tokens of each text, behind those that it has.

    In: `tokens` [batch, steps, width], embedded; `hidden` [batch, 1, steps, known + steps], added to how a token looks
    at those before it; `beyond` [batch, 1, 1, states], added to how it looks at the window; `rows` [chosen], the steps
    whose next token is asked for, counted through the batch; `allowed` [1 or chosen, vocabulary], 1 for the tokens that
    it may be; `keys.N` and `values.N` of the window; `past_keys.N` [batch, heads, size of a head, known] and
    `past_values.N` [batch, heads, known, size of a head].

    Out: of each chosen step the likeliest token that is allowed, `next`, with its `probability` among those, and that
    of silence, `no_speech`; `attention` [batch, heads that follow the speech, steps, states]; and `present_keys.N` and
    `present_values.N`, which are the past of the next step.
    """
    graph = _Graph(weights, shape)
    state = graph.input("tokens", ("batch", "steps", shape.width))
    graph.input("hidden", ("batch", 1, "steps", "all"))
    graph.input("beyond", ("batch", 1, 1, "states"))
    graph.input("rows", ("chosen",), INT64)
    graph.input("allowed", ("each", "vocabulary"))
    following: list[str] = []
    for layer in range(shape.layers):
        state = graph.add("Add", state, _said_before(graph, state, layer))
        found, looked = _heard(graph, state, layer)
        if heads := [head for at, head in shape.alignment if at == layer]:
            following.append(graph.add("Gather", looked, graph.axis(*heads), axis=1))
        state = graph.add("Add", state, found)
        state = graph.add("Add", state, _thought(graph, state, layer))
    _choose(graph, graph.add("Reshape", state, graph.axis(-1, shape.width)))
    attention = graph.add("Concat", *following, axis=1)
    graph.output(attention, "attention", ("batch", len(shape.alignment), "steps", "states"))
    return graph.to_bytes()


def _said_before(graph: _Graph, state: str, layer: int) -> str:
    name = f"decoder/layer_{layer}/self_attention"
    scales = np.repeat(np.array([graph.shape.size**-0.5, 1, 1], np.float32), graph.shape.width)
    all_three = graph.linear(graph.normalised(state, name), f"{name}/linear_0", scales)
    query, key, value = graph.split(all_three, 3, axis=-1)
    keys = graph.grown("keys", layer, graph.heads(key, last=True))
    values = graph.grown("values", layer, graph.heads(value))
    scores = graph.add("Add", graph.add("MatMul", graph.heads(query), keys), "hidden")
    found = graph.add("MatMul", graph.add("Softmax", scores, axis=-1), values)
    return graph.linear(graph.joined(found), f"{name}/linear_1")


def _heard(graph: _Graph, state: str, layer: int) -> tuple[str, str]:
    """What is found in the window, and where."""
    name = f"decoder/layer_{layer}/attention"
    heads, size = graph.shape.heads, graph.shape.size
    keys = graph.input(f"keys.{layer}", ("batch", heads, size, "states"))
    values = graph.input(f"values.{layer}", ("batch", heads, "states", size))
    query = graph.linear(graph.normalised(state, name), f"{name}/linear_0", size**-0.5)
    scores = graph.add("Add", graph.add("MatMul", graph.heads(query), keys), "beyond")
    looked = graph.add("Softmax", scores, axis=-1)
    return graph.linear(graph.joined(graph.add("MatMul", looked, values)), f"{name}/linear_2"), looked


def _thought(graph: _Graph, state: str, layer: int) -> str:
    name = f"decoder/layer_{layer}/ffn"
    wide = graph.linear(graph.normalised(state, name), f"{name}/linear_0")
    return graph.linear(graph.add_runtimes("Gelu", wide), f"{name}/linear_1")


def _choose(graph: _Graph, states: str) -> None:
    chosen = graph.normalised(graph.add("Gather", states, "rows", axis=0), "decoder")
    probabilities = graph.add("Softmax", graph.product(chosen, "decoder/projection"), axis=-1)
    allowed = graph.add("Mul", probabilities, "allowed")
    token = graph.add("ArgMax", allowed, axis=-1, keepdims=1)
    every = graph.add("ReduceSum", allowed, graph.axis(-1), keepdims=1)
    share = graph.add("Div", graph.add("GatherElements", allowed, token, axis=-1), every)
    silence = graph.add("Gather", probabilities, graph.axis(graph.shape.no_speech), axis=1)
    graph.output(graph.add("Squeeze", token, graph.axis(-1)), "next", ("chosen",), INT64)
    graph.output(graph.add("Squeeze", share, graph.axis(-1)), "probability", ("chosen",))
    graph.output(graph.add("Squeeze", silence, graph.axis(-1)), "no_speech", ("chosen",))


class _Graph(Graph):
    """What Whisper's layers are made of."""

    def __init__(self, weights: ModelFile, shape: Shape) -> None:
        super().__init__("decoder")
        self.shape = shape
        self._weights = weights
        self._named: dict[object, str] = {}
        self._quantised: dict[str, tuple[str, str]] = {}

    def axis(self, *value: int) -> str:
        """Axes, indices, or a shape."""
        if value not in self._named:
            self._named[value] = self.constant(np.array(value, np.int64))
        return self._named[value]

    def normalised(self, value: str, name: str) -> str:
        gamma, beta = (self.constant(self._weights.weights(f"{name}/layer_norm/{part}")) for part in ("gamma", "beta"))
        return self.add("LayerNormalization", value, gamma, beta, epsilon=EPSILON)

    def linear(self, value: str, name: str, scales: Weights | float = 1.0) -> str:
        """`value` times a matrix, plus its bias: each output times its scale."""
        bias = self.constant(self._weights.weights(f"{name}/bias") * scales)
        return self.add("Add", self.product(value, name, scales), bias)

    def product(self, value: str, name: str, scales: Weights | float = 1.0) -> str:
        """`value` times a matrix (outputs × inputs), both in 8 bits: each output times its scale."""
        matrix = self._weights.weights(f"{name}/weight")
        steps = np.maximum(np.maximum(matrix.max(axis=1), -matrix.min(axis=1)), LEAST) / LARGEST
        matrix /= steps[:, np.newaxis]  # in their place: the largest take a hundred megabytes
        np.rint(matrix, out=matrix)
        quantised, step = self._in_8_bits(value)
        product = self.add_runtimes(
            "MatMulIntegerToFloat",
            quantised,
            self.constant(np.ascontiguousarray(matrix.astype(np.int8).T)),
            self._number(1),
            self.constant(steps * scales),
            self._number(LARGEST + 1, np.uint8),
        )
        return self.add("Mul", product, step)

    def heads(self, value: str, *, last: bool = False) -> str:
        """[batch, steps, width] as [batch, heads, steps, size of a head]; or with the steps last."""
        apart = self.add("Reshape", value, self.axis(0, 0, self.shape.heads, self.shape.size))
        return self.add("Transpose", apart, perm=[0, 2, 3, 1] if last else [0, 2, 1, 3])

    def joined(self, apart: str) -> str:
        """The other way round."""
        return self.add("Reshape", self.add("Transpose", apart, perm=[0, 2, 1, 3]), self.axis(0, 0, self.shape.width))

    def grown(self, name: str, layer: int, new: str) -> str:
        """`keys` or `values` of all tokens until now, which are given with the next ones."""
        size = self.shape.size
        sizes = (lambda steps: (size, steps)) if name == "keys" else (lambda steps: (steps, size))
        past = self.input(f"past_{name}.{layer}", ("batch", self.shape.heads, *sizes("known")))
        whole = self.add("Concat", past, new, axis=3 if name == "keys" else 2)
        self.output(whole, f"present_{name}.{layer}", ("batch", self.shape.heads, *sizes("all")))
        return whole

    def _in_8_bits(self, value: str) -> tuple[str, str]:
        """Each row between 1 and 255, where 128 is zero; and what one step of a row is worth."""
        if value not in self._quantised:
            most = self.add("ReduceMax", self.add("Abs", value), axes=[-1], keepdims=1)
            step = self.add("Mul", self.add("Max", most, self._number(LEAST)), self._number(1 / LARGEST))
            above_zero = self.add("Add", self.add("Div", value, step), self._number(LARGEST + 1.5))
            self._quantised[value] = self.add("Cast", above_zero, to=UINT8), step  # which rounds down
        return self._quantised[value]

    def _number(self, value: float, kind: type[np.generic] = np.float32) -> str:
        if (value, kind) not in self._named:
            self._named[value, kind] = self.constant(np.array(value, kind))
        return self._named[value, kind]
