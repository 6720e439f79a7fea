"""What `pip install` brings: the package as it runs, with the files it needs beside the code."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(  # noqa: S603
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    [built] = folder.glob("*.whl")
    return zipfile.ZipFile(built)


@pytest.mark.parametrize(
    "name",
    [
        "bridge/web/static/index.html",
        "bridge/web/sdk/callbridge.js",
        "bridge/web/sdk/socket_line.js",
        "bridge/web/sdk/callbridge.d.ts",
        "bridge/store/migrations/versions/0001_first.py",
        "bridge/samples/two-party.wav",
        "callcodecs/g711.py",
    ],
)
def test_the_wheel_has_what_runs(wheel: zipfile.ZipFile, name: str) -> None:
    """Pages, migrations, the bundled call and both packages are in it."""
    assert wheel.getinfo(name).file_size > 0


def test_the_bundled_call_is_a_copy(wheel: zipfile.ZipFile) -> None:
    """A link in the checkout, the file itself in the wheel: the reference can be read."""
    assert json.loads(wheel.read("bridge/samples/two-party.json"))["id"] == "two-party"
    assert wheel.read("bridge/samples/two-party.wav")[:4] == b"RIFF"


def test_what_is_installed_at_the_top(wheel: zipfile.ZipFile) -> None:
    """The two packages and the metadata with its licence, nothing that would get in somebody's way."""
    top = {name.partition("/")[0] for name in wheel.namelist()}
    assert {name for name in top if not name.endswith(".dist-info")} == {"bridge", "callcodecs"}
    assert any(name.endswith("licenses/LICENSE") for name in wheel.namelist())
