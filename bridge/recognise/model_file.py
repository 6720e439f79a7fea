"""A CTranslate2 model file, read for its weights: name, shape, type and data of each, one after the other.

The layout is the writer's (`ctranslate2/specs/model_spec.py`, `_serialize`): little-endian, strings with their length
in front and a NUL behind.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from bridge.errors import SetupError

Weights: TypeAlias = npt.NDArray[np.float32]

VERSION: Final = 6
"""Of the layout, since CTranslate2 2.0."""

TYPES: Final = (np.float32, np.int8, np.int16, np.int32, np.float16)
"""By their number in the file; `bfloat16`, the next one, NumPy does not have."""


class ModelFile(Mapping[str, "npt.NDArray[Any]"]):
    """Its variables by name, as they are stored. They stay in the file until they are used."""

    def __init__(self, path: Path) -> None:
        """Raises SetupError when the file cannot be read as one."""
        self._variables: dict[str, npt.NDArray[Any]] = {}
        try:
            self._read(np.memmap(path, np.uint8, "r"))
        except (OSError, ValueError, IndexError, KeyError, struct.error) as error:
            raise SetupError(f"{path} is no model file of CTranslate2: {error}") from error

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        return self._variables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables)

    def __len__(self) -> int:
        return len(self._variables)

    def weights(self, name: str, rows: Any = slice(None)) -> Weights:
        """A variable, or some rows of it, as numbers of its own, whatever it is stored as: rows in 8 bits have their
        scales beside them. Raises KeyError.
        """
        numbers: Weights = self[name][rows].astype(np.float32)
        if self[name].dtype == np.int8:
            numbers /= self[f"{name}_scale"][rows, np.newaxis].astype(np.float32)
        return numbers

    def _read(self, file: npt.NDArray[np.uint8]) -> None:
        at = 0

        def number(form: str) -> int:
            nonlocal at
            [found] = struct.unpack_from(f"<{form}", file.data, at)
            at += struct.calcsize(form)
            return int(found)

        def string() -> str:
            nonlocal at
            length = number("H")
            found = bytes(file[at : at + length - 1]).decode()
            at += length
            return found

        if (version := number("I")) != VERSION:
            raise ValueError(f"version {version} of the layout")
        string(), number("I")
        for _ in range(number("I")):
            name = string()
            shape = tuple(number("I") for _ in range(number("B")))
            kind, length = np.dtype(TYPES[number("B")]), number("I")
            self._variables[name] = np.frombuffer(file, kind, length // kind.itemsize, at).reshape(shape)
            at += length
        for _ in range(number("I")):
            alias = string()
            self._variables[alias] = self._variables[string()]
