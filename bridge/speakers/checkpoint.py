"""The tensors of a PyTorch checkpoint, read without PyTorch.

A `.pt` file is a ZIP archive: `data.pkl` says what tensors there are, `data/N` holds their numbers (PyTorch notes,
"Serialization semantics"). The pickle is not trusted: it may name what tensors are made of, and nothing else.
"""

from __future__ import annotations

import collections
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from bridge.errors import SetupError

Tensors: TypeAlias = Mapping[str, npt.NDArray[Any]]

_TYPES: Final = {
    "FloatStorage": np.dtype("<f4"),
    "DoubleStorage": np.dtype("<f8"),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
}


def read_checkpoint(path: Path) -> Tensors:
    """Every tensor of the checkpoint by name. Raises SetupError for a file that is no such checkpoint."""
    try:
        with zipfile.ZipFile(path) as archive:
            index = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
            with archive.open(index) as pickled:
                found = _Tensors(pickled, archive, index.removesuffix("data.pkl")).load()
    except (OSError, KeyError, ValueError, StopIteration, zipfile.BadZipFile, pickle.UnpicklingError) as error:
        raise SetupError(f"{path} is no checkpoint of tensors: {error}") from error
    return {name: value for name, value in _inner(found).items() if isinstance(value, np.ndarray)}


def _inner(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """The state dictionary, which some checkpoints keep beside their settings."""
    inner: Mapping[str, Any] = found.get("state_dict", found)
    return inner


class _Tensors(pickle.Unpickler):
    def __init__(self, file: Any, archive: zipfile.ZipFile, folder: str) -> None:
        super().__init__(file)
        self._archive = archive
        self._folder = folder

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name in _TYPES:
            return _TYPES[name]
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")

    def persistent_load(self, pid: Any) -> npt.NDArray[Any]:
        _, dtype, key, _, _ = pid
        return np.frombuffer(self._archive.read(f"{self._folder}data/{key}"), dtype)


def _tensor(
    storage: npt.NDArray[Any], offset: int, shape: tuple[int, ...], stride: tuple[int, ...], *_: Any
) -> npt.NDArray[Any]:
    strides = tuple(step * storage.itemsize for step in stride)
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, strides).copy()
