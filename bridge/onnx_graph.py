"""An ONNX file, written node by node: as much of the format as our models need.

Protocol buffers' wire format (protobuf.dev, "Encoding") and the fields of `onnx.proto` (github.com/onnx/onnx), whose
numbers stand beside their use. The same graph always gives the same bytes, so that they can have a checksum.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

Attribute: TypeAlias = int | float | str | Sequence[int]

IR_VERSION: Final = 8
OPSET: Final = 17

MICROSOFT: Final = "com.microsoft", 1
"""ONNX Runtime's own operations, and their version."""

FLOAT: Final = 1
UINT8: Final = 2
INT8: Final = 3
INT64: Final = 7
"""TensorProto.DataType."""
_SHORT: Final = {"uint8": UINT8, "int8": INT8}


class Graph:
    """Nodes in the order they are computed. Values are named by what made them."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._nodes: list[bytes] = []
        self._constants: list[bytes] = []
        self._inputs: list[bytes] = []
        self._outputs: list[bytes] = []
        self._domains = {"": OPSET}
        self._count = 0

    def input(self, name: str, shape: Sequence[int | str], kind: int = FLOAT) -> str:
        """Dimensions with a name are free."""
        self._inputs.append(_text(1, name) + _message(2, _tensor_type(shape, kind)))
        return name

    def output(self, value: str, name: str, shape: Sequence[int | str], kind: int = FLOAT) -> None:
        self._node("Identity", [value], [name], {})
        self._outputs.append(_text(1, name) + _message(2, _tensor_type(shape, kind)))

    def constant(self, value: npt.NDArray[Any]) -> str:
        """Numbers that belong to the model: eight bits as they are, others as float or int64."""
        self._count += 1
        name = f"c{self._count}"
        whole = value.dtype.kind == "i"
        kind = _SHORT.get(value.dtype.name, INT64 if whole else FLOAT)
        raw = np.ascontiguousarray(value, {INT64: "<i8", FLOAT: "<f4"}.get(kind, value.dtype)).tobytes()
        dims = b"".join(_number(1, size) for size in value.shape)
        self._constants.append(dims + _number(2, kind) + _text(8, name) + _bytes(9, raw))
        return name

    def add(self, operation: str, *inputs: str, **attributes: Attribute) -> str:
        """One operation of ONNX; its output's name."""
        return self._add(operation, inputs, attributes)

    def add_runtimes(self, operation: str, *inputs: str, **attributes: Attribute) -> str:
        """One of ONNX Runtime's own."""
        domain, version = MICROSOFT
        self._domains[domain] = version
        return self._add(operation, inputs, attributes, domain)

    def split(self, value: str, parts: int, *, axis: int) -> list[str]:
        """As many equal parts."""
        self._count += 1
        names = [f"v{self._count}.{part}" for part in range(parts)]
        self._node("Split", [value], names, {"axis": axis})
        return names

    def to_bytes(self) -> bytes:
        """The file."""
        graph = b"".join(_message(1, node) for node in self._nodes) + _text(2, self._name)
        graph += b"".join(_message(5, constant) for constant in self._constants)
        graph += b"".join(_message(11, value) for value in self._inputs)
        graph += b"".join(_message(12, value) for value in self._outputs)
        domains = (_message(8, _text(1, domain) + _number(2, version)) for domain, version in self._domains.items())
        return b"".join([_number(1, IR_VERSION), _message(7, graph), *domains])

    def _add(self, operation: str, inputs: Sequence[str], attributes: dict[str, Attribute], domain: str = "") -> str:
        self._count += 1
        name = f"v{self._count}"
        self._node(operation, inputs, [name], attributes, domain)
        return name

    def _node(
        self,
        operation: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        attributes: dict[str, Attribute],
        domain: str = "",
    ) -> None:
        node = b"".join(_text(1, name) for name in inputs) + b"".join(_text(2, name) for name in outputs)
        node += _text(4, operation)
        node += b"".join(_message(5, _attribute(name, value)) for name, value in attributes.items())
        self._nodes.append(node + _text(7, domain) if domain else node)


def _attribute(name: str, value: Attribute) -> bytes:
    head = _text(1, name)
    if isinstance(value, str):
        return head + _text(4, value) + _number(20, 3)
    if isinstance(value, float):
        return head + _varint(2 << 3 | 5) + struct.pack("<f", value) + _number(20, 1)
    if isinstance(value, int):
        return head + _number(3, value) + _number(20, 2)
    return head + b"".join(_number(8, number) for number in value) + _number(20, 7)


def _tensor_type(shape: Sequence[int | str], kind: int) -> bytes:
    dims = b"".join(_message(1, _number(1, d) if isinstance(d, int) else _text(2, d)) for d in shape)
    return _message(1, _number(1, kind) + _message(2, dims))


def _varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _number(field: int, number: int) -> bytes:
    return _varint(field << 3) + _varint(number)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode())


_message = _bytes
