"""CAM++, a speaker encoder, as an ONNX graph made of its checkpoint.

Wang et al., "CAM++: A Fast and Efficient Network for Speaker Verification Using Context-Aware Masking" (2023,
arXiv:2303.00332); the names of the tensors are those of 3D-Speaker, whose checkpoint `speech_campplus_sv_zh_en_16k-
common_advanced` it is (Apache-2.0). The network masks its frames by two contexts, the whole's mean and that of each
two seconds; up to two seconds these are the same, and the graph is made for no more.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bridge.onnx_graph import Attribute, Graph
from bridge.speakers.checkpoint import Tensors

MELS: Final = 80

LONGEST_FRAMES: Final = 200
"""Log-mel frames of 10 ms, two seconds: beyond that the two contexts differ."""

DIMENSIONS: Final = 192

_BLOCKS: Final = ((12, 1), (24, 2), (16, 2))
"""Layers and dilation of each dense block."""

_EPSILON: Final = 1e-5
"""Of every batch normalisation, PyTorch's own."""

_Array = npt.NDArray[np.float32]


def campplus(tensors: Tensors) -> bytes:
    """The ONNX file: input `features` (1, 80, frames) log-mel without their mean, output `voice` (192,)."""
    return _Writer(tensors).write()


class _Writer:
    def __init__(self, tensors: Tensors) -> None:
        self._tensors = tensors
        self._graph = Graph("campplus")

    def write(self) -> bytes:
        graph = self._graph
        value = graph.add("Unsqueeze", graph.input("features", (1, MELS, "frames")), self._integers(1))
        value = self._front(value)
        norm = "xvector.tdnn.nonlinear.batchnorm"
        value = graph.add("Relu", self._norm_conv(value, "xvector.tdnn.linear", norm, strides=[2], pads=[2, 2]))
        for number, (layers, dilation) in enumerate(_BLOCKS, 1):
            for layer in range(1, layers + 1):
                value = self._dense(value, f"xvector.block{number}.tdnnd{layer}.", dilation)
            value = self._normed(value, f"xvector.transit{number}.nonlinear.batchnorm")
            value = graph.add("Conv", value, self._weight(f"xvector.transit{number}.linear.weight"))
        value = self._pooled(self._normed(value, "xvector.out_nonlinear.batchnorm"))
        value = self._norm_conv(value, "xvector.dense.linear", "xvector.dense.nonlinear.batchnorm")
        graph.output(graph.add("Reshape", value, self._integers(-1)), "voice", (DIMENSIONS,))
        return graph.to_bytes()

    def _pooled(self, value: str) -> str:
        """Mean and standard deviation (of a sample) of each channel, side by side."""
        graph = self._graph
        mean = graph.add("ReduceMean", value, axes=[2], keepdims=1)
        squares = graph.add("ReduceSumSquare", graph.add("Sub", value, mean), axes=[2], keepdims=1)
        frames = graph.add("Gather", graph.add("Shape", value), self._integers(2))
        others = graph.add("Cast", graph.add("Sub", frames, self._integers(1)), to=1)
        deviation = graph.add("Sqrt", graph.add("Div", squares, others))
        return graph.add("Concat", mean, deviation, axis=1)

    def _front(self, value: str) -> str:
        """The two-dimensional head: mel bands become channels."""
        graph = self._graph
        value = graph.add("Relu", self._norm_conv(value, "head.conv1", "head.bn1", pads=[1] * 4))
        for layer in ("head.layer1", "head.layer2"):
            for number, stride in ((0, 2), (1, 1)):
                value = self._residual(value, f"{layer}.{number}.", stride)
        value = graph.add("Relu", self._norm_conv(value, "head.conv2", "head.bn2", pads=[1] * 4, strides=[2, 1]))
        return graph.add("Reshape", value, self._integers(1, 32 * MELS // 8, -1))

    def _residual(self, value: str, at: str, stride: int) -> str:
        graph = self._graph
        out = self._norm_conv(value, f"{at}conv1", f"{at}bn1", pads=[1] * 4, strides=[stride, 1])
        out = self._norm_conv(graph.add("Relu", out), f"{at}conv2", f"{at}bn2", pads=[1] * 4)
        if stride != 1:
            value = self._norm_conv(value, f"{at}shortcut.0", f"{at}shortcut.1", strides=[stride, 1])
        return graph.add("Relu", graph.add("Add", out, value))

    def _dense(self, value: str, at: str, dilation: int) -> str:
        graph = self._graph
        inner = self._normed(value, f"{at}nonlinear1.batchnorm")
        inner = graph.add("Relu", self._norm_conv(inner, f"{at}linear1", f"{at}nonlinear2.batchnorm"))
        local = graph.add(
            "Conv",
            inner,
            self._weight(f"{at}cam_layer.linear_local.weight"),
            dilations=[dilation],
            pads=[dilation, dilation],
        )
        return graph.add("Concat", value, graph.add("Mul", local, self._mask(inner, f"{at}cam_layer.")), axis=1)

    def _mask(self, value: str, at: str) -> str:
        """What the contexts let through."""
        graph = self._graph
        mean = graph.add("ReduceMean", value, axes=[2], keepdims=1)
        context = graph.add("Add", mean, mean)
        for name, then in (("linear1", "Relu"), ("linear2", "Sigmoid")):
            weight, bias = self._weight(f"{at}{name}.weight"), self._weight(f"{at}{name}.bias")
            context = graph.add(then, graph.add("Conv", context, weight, bias))
        return context

    def _norm_conv(self, value: str, convolution: str, norm: str, **attributes: Attribute) -> str:
        """A convolution and the normalisation behind it, which is folded into its weights."""
        scale, shift = _scale_and_shift(self._tensors, norm)
        weight = np.asarray(self._tensors[f"{convolution}.weight"], np.float32)
        folded = weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
        return self._graph.add("Conv", value, self._graph.constant(folded), self._graph.constant(shift), **attributes)

    def _normed(self, value: str, norm: str) -> str:
        """A normalisation in front of a convolution, and its ReLU."""
        scale, shift = (self._graph.constant(part.reshape(1, -1, 1)) for part in _scale_and_shift(self._tensors, norm))
        return self._graph.add("Relu", self._graph.add("Add", self._graph.add("Mul", value, scale), shift))

    def _weight(self, name: str) -> str:
        return self._graph.constant(np.asarray(self._tensors[name], np.float32))

    def _integers(self, *numbers: int) -> str:
        return self._graph.constant(np.array(numbers, np.int64))


def _scale_and_shift(tensors: Tensors, norm: str) -> tuple[_Array, _Array]:
    """What a batch normalisation comes to once it is trained: `scale * x + shift`, a channel each."""
    mean, variance = tensors[f"{norm}.running_mean"], tensors[f"{norm}.running_var"]
    gain: Any = tensors.get(f"{norm}.weight", np.ones_like(mean))
    bias: Any = tensors.get(f"{norm}.bias", np.zeros_like(mean))
    scale = gain / np.sqrt(np.asarray(variance, np.float64) + _EPSILON)
    return scale.astype(np.float32), (bias - mean * scale).astype(np.float32)
