"""CTranslate2's model files, written by CTranslate2 and read by us."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bridge.errors import SetupError
from bridge.recognise.model_file import ModelFile
from tests import tiny_whisper as tiny

EMBEDDINGS = "decoder/embeddings/weight"


@pytest.mark.parametrize(("quantization", "within"), [(None, 0.0), ("float16", 0.002), ("int8", 0.01)])
def test_what_was_written(tmp_path: Path, quantization: str | None, within: float) -> None:
    """Whatever it is stored as; rows alone, too."""
    plain, stored = tmp_path / "plain", tmp_path / "stored"
    for folder, kind in ((plain, None), (stored, quantization)):
        folder.mkdir()
        tiny.write(folder, quantization=kind)
    whole = ModelFile(plain / "model.bin").weights(EMBEDDINGS)
    read = ModelFile(stored / "model.bin")
    assert whole.shape == (len(tiny.VOCABULARY), tiny.WIDTH)
    assert read.weights(EMBEDDINGS) == pytest.approx(whole, abs=within)
    rows = np.array([[3, 1], [4, 1]])
    assert read.weights(EMBEDDINGS, rows).tolist() == read.weights(EMBEDDINGS)[rows].tolist()
    assert int(read["decoder/num_heads"]) == tiny.HEADS
    assert len(read) == len(list(read))


def test_a_name_that_it_does_not_have(tmp_path: Path) -> None:
    tiny.write(tmp_path)
    with pytest.raises(KeyError):
        ModelFile(tmp_path / "model.bin").weights("decoder/none")


@pytest.mark.parametrize("damage", ["empty", "cut", "another version", "text", "missing"])
def test_files_that_are_none(tmp_path: Path, damage: str) -> None:
    """Are named, with what is wrong."""
    tiny.write(tmp_path)
    file = tmp_path / "model.bin"
    whole = file.read_bytes()
    file.unlink()
    if damage != "missing":
        file.write_bytes(
            {
                "empty": b"",
                "cut": whole[:-100],
                "another version": b"\x63" + whole[1:],
                "text": b"no model, but long enough to be looked at" * 100,
            }[damage]
        )
    with pytest.raises(SetupError, match=r"model\.bin"):
        ModelFile(file)
