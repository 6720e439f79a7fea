"""pyannote's segmentation 3.0, which hears how many of up to three speak, as an ONNX graph made of its checkpoint.

Plaquet and Bredin, "Powerset multi-class cross entropy loss for neural speaker diarization" (2023, arXiv:2310.13025);
the filters at its front are those of Ravanelli and Bengio, "Speaker Recognition from Raw Waveform with SincNet" (2018,
arXiv:1808.00158). The names of the tensors are those of pyannote.audio, whose checkpoint it is (MIT).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bridge.model.frame import SAMPLE_RATE
from bridge.onnx_graph import Graph
from bridge.speakers.checkpoint import Tensors

CLASSES: Final = 7
"""Nobody; one of three; two of three."""

FIRST_OF_TWO: Final = 4
"""The classes from here on are two speakers at once."""

FRAME: Final = 270
"""Samples from one answer to the next."""

FIRST_MIDDLE: Final = 495
"""Samples before the middle of the first answer."""

_LOWEST_HZ: Final = 50
_LSTM_LAYERS: Final = 4
_UNITS: Final = 128

_SLOPE: Final = 0.01
"""Of a leaky ReLU, and below that PyTorch's own guard against division by nothing."""
_EPSILON: Final = 1e-5

_Array = npt.NDArray[np.float32]


def segmentation(tensors: Tensors) -> bytes:
    """The ONNX file: input `samples` (1, 1, n) at 16 kHz, output `likely` (frames, 7)."""
    return _Writer(tensors).write()


class _Writer:
    def __init__(self, tensors: Tensors) -> None:
        self._tensors = tensors
        self._graph = Graph("segmentation")

    def write(self) -> bytes:
        graph = self._graph
        value = self._normed(graph.input("samples", (1, 1, "n")), "sincnet.wav_norm1d")
        filters = graph.constant(_sinc_filters(self._tensors))
        value = self._pooled(graph.add("Abs", graph.add("Conv", value, filters, strides=[10])), 0)
        for layer in (1, 2):
            value = self._pooled(graph.add("Conv", value, *self._weights(f"sincnet.conv1d.{layer}")), layer)
        value = graph.add("Transpose", value, perm=[2, 0, 1])
        for layer in range(_LSTM_LAYERS):
            value = self._lstm(value, layer)
        for layer in (0, 1):
            value = graph.add("LeakyRelu", self._linear(value, f"linear.{layer}"), alpha=_SLOPE)
        value = graph.add("Softmax", self._linear(value, "classifier"), axis=2)
        graph.output(graph.add("Reshape", value, self._integers(-1, CLASSES)), "likely", ("frames", CLASSES))
        return graph.to_bytes()

    def _normed(self, value: str, at: str) -> str:
        return self._graph.add("InstanceNormalization", value, *self._weights(at), epsilon=_EPSILON)

    def _pooled(self, value: str, layer: int) -> str:
        value = self._graph.add("MaxPool", value, kernel_shape=[3], strides=[3])
        return self._graph.add("LeakyRelu", self._normed(value, f"sincnet.norm1d.{layer}"), alpha=_SLOPE)

    def _lstm(self, value: str, layer: int) -> str:
        """Both directions, side by side."""
        graph = self._graph
        weights = [self._both_ways(kind, layer) for kind in ("weight_ih", "weight_hh")]
        biases = np.concatenate([self._both_ways(kind, layer) for kind in ("bias_ih", "bias_hh")], axis=1)
        constants = [graph.constant(part) for part in (*weights, biases)]
        value = graph.add("LSTM", value, *constants, hidden_size=_UNITS, direction="bidirectional")
        return graph.add("Reshape", graph.add("Transpose", value, perm=[0, 2, 1, 3]), self._integers(0, 1, 2 * _UNITS))

    def _both_ways(self, kind: str, layer: int) -> _Array:
        return np.stack([_gates(self._tensors[f"lstm.{kind}_l{layer}{way}"]) for way in ("", "_reverse")])

    def _linear(self, value: str, at: str) -> str:
        weight, bias = (np.asarray(self._tensors[f"{at}.{part}"], np.float32) for part in ("weight", "bias"))
        product = self._graph.add("MatMul", value, self._graph.constant(weight.T))
        return self._graph.add("Add", product, self._graph.constant(bias))

    def _weights(self, at: str) -> list[str]:
        return [
            self._graph.constant(np.asarray(self._tensors[f"{at}.{part}"], np.float32)) for part in ("weight", "bias")
        ]

    def _integers(self, *numbers: int) -> str:
        return self._graph.constant(np.array(numbers, np.int64))


def _gates(rows: npt.NDArray[Any]) -> _Array:
    """PyTorch has an LSTM's gates as input, forget, cell, output; ONNX as input, output, forget, cell."""
    given, forget, cell, output = np.split(np.asarray(rows, np.float32), 4)
    return np.concatenate([given, output, forget, cell])


def _sinc_filters(tensors: Tensors) -> _Array:
    """Band passes in cosine and in sine, shape (80, 1, 251), as asteroid-filterbanks' `ParamSincFB` makes them."""
    at = "sincnet.conv1d.0.filterbank."
    low = _LOWEST_HZ + np.abs(np.asarray(tensors[f"{at}low_hz_"], np.float64))
    high = np.clip(low + _LOWEST_HZ + np.abs(tensors[f"{at}band_hz_"]), _LOWEST_HZ, SAMPLE_RATE / 2)
    times, window = np.asarray(tensors[f"{at}n_"], np.float64), tensors[f"{at}window_"]
    halves = {
        "cosine": (np.sin(high @ times) - np.sin(low @ times)) / (times / 2) * window,
        "sine": (np.cos(low @ times) - np.cos(high @ times)) / (times / 2) * window,
    }
    band = high - low
    cosine = np.concatenate([halves["cosine"], 2 * band, halves["cosine"][:, ::-1]], axis=1)
    sine = np.concatenate([halves["sine"], 0 * band, -halves["sine"][:, ::-1]], axis=1)
    filters = np.concatenate([cosine, sine]) / np.concatenate([2 * band, 2 * band])
    # Rounded, so that the last bit of a machine's sine does not show in the checksum.
    rounded: _Array = np.round(filters[:, None], 6).astype(np.float32)
    return rounded
