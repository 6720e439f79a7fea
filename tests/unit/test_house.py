"""What a newcomer meets first says what is so, and nothing that is kept here points at where it was made."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

from bridge import __version__
from bridge.cli import COMMANDS
from bridge.dialects import DIALECTS
from bridge.settings import PREFIX, Settings
from scripts.document_settings import PAGE, default_of, page

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")

ELSEWHERE = [  # in pieces, so that this file does not name them either
    r"py" + r"pi\.(org|io|python)",
    r"python" + r"hosted\.",
    r"npm" + r"js\.",
    r"debian\.(org|net)/debian",
    r"--(extra-)?index" + r"-url +\S",
    r"(?<![\w.])/(wo" + r"rk|ro" + r"ot|ho" + r"me/\w+|opt/py" + r"pi)/",
    r"/tm" + r"p/\w",
    r"(?<!\w)\.lib" + r"rary/",
    r"shared/aud" + r"io/(?!dev\b)",
]
"""Hosts of package indexes, paths of one machine, and where recordings for evaluation lie besides their agreed place."""

COMMAND_LINE_ONLY = {"CALLBRIDGE_CONFIG", "CALLBRIDGE_TOKEN", "CALLBRIDGE_CARRIER_SECRET"}
"""Read by the command line, no settings of the server."""


def kept() -> list[Path]:
    """Every file that is or would be committed: all but what .gitignore names, and git's own."""
    ignored = [".git", *(line.rstrip("/") for line in (ROOT / ".gitignore").read_text("utf-8").split())]

    def wanted(name: str) -> bool:
        return not any(fnmatch(name, pattern) for pattern in ignored)

    found: list[Path] = []
    for folder, folders, files in os.walk(ROOT):
        folders[:] = filter(wanted, folders)
        found += [Path(folder, name) for name in files if wanted(name)]
    return found


def written(path: Path) -> str:
    """Text; empty for what is none."""
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        return ""


def test_nothing_points_at_where_it_was_made() -> None:
    """No index's host, no path of a machine: the project is the same wherever it is cloned."""
    pattern = re.compile("|".join(ELSEWHERE))
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:120]}"
        for path in kept()
        for number, line in enumerate(written(path).splitlines(), 1)
        if pattern.search(line)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("line", "is_elsewhere"),
    [
        pytest.param("https://files.python" + "hosted.org/packages", True, id="an index's files"),
        pytest.param("--index" + "-url https://example.org", True, id="an index of one's own"),
        pytest.param("uv --no-emit-index" + "-url", False, id="an option that names none"),
        pytest.param("see /wo" + "rk/main", True, id="a checkout's path"),
        pytest.param("../shared/audio/dev", False, id="the agreed folder"),
        pytest.param("/network/status", False, id="a route of the server"),
    ],
)
def test_the_needles_are_sharp(line: str, is_elsewhere: bool) -> None:
    """What is looked for is found, and what only looks like it is not."""
    assert bool(re.search("|".join(ELSEWHERE), line)) is is_elsewhere


def test_no_module_shadows_the_standard_library() -> None:
    """`import codecs` finds Python's own, though a folder of that name is on the path."""
    assert not (ROOT / "codecs" / "__init__.py").exists()


@pytest.mark.parametrize(
    "name", ["README.md", "CHANGELOG.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
)
def test_links_lead_somewhere(name: str) -> None:
    """A file or picture that a page points at is there."""
    page = ROOT / name
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text("utf-8"))
    assert all((page.parent / link).exists() for link in links), links


def test_the_readme_has_the_two_commands() -> None:
    """Both are targets of the Makefile, as is every other `make …` that is mentioned."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert {"demo", "test", "check", "run", "setup"} <= targets
    assert {"demo", "test"} <= set(re.findall(r"^    make (\w+)", README, re.MULTILINE))
    assert set(re.findall(r"`make ([\w-]+)", README)) <= targets


def test_the_readme_names_every_command_and_carrier() -> None:
    """What there is, is told; what is told, there is."""
    assert set(re.findall(r"callbridge ([\w-]+)", README)) == set(COMMANDS)
    assert set(re.findall(r"\| ((?:TCP )?`[:/][^ ]+`) \|", README)) >= {dialect.place for dialect in DIALECTS.values()}
    assert set(re.findall(r"`(/v1/media/\w+)`", README)) <= {dialect.path for dialect in DIALECTS.values()}


def test_the_readme_s_settings_are_the_server_s() -> None:
    """Each has the name and the default that the README says."""
    rows = re.findall(rf"^\| `{PREFIX}(\w+)` \| (.+?) \|", README, re.MULTILINE)
    assert len(rows) > 10
    assert dict(rows) == {name: default_of(Settings.model_fields[name.lower()]) for name, _ in rows}


def test_the_page_of_settings_is_up_to_date() -> None:
    """docs/settings.md is made from the settings themselves: `make docs`."""
    assert PAGE.read_text("utf-8") == page()


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md", "Dockerfile", "docker-compose.yml", "Makefile"])
def test_settings_that_are_mentioned_exist(name: str) -> None:
    """A name that the server would pass over in silence helps nobody."""
    told = set(re.findall(rf"\b{PREFIX}[A-Z_]*[A-Z]", (ROOT / name).read_text("utf-8")))
    assert told <= {f"{PREFIX}{field.upper()}" for field in Settings.model_fields} | COMMAND_LINE_ONLY


def test_the_changelog_has_this_version() -> None:
    """The newest heading is the version of the package."""
    [newest, *_] = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert newest == __version__


def test_the_licence_is_the_one_that_is_declared() -> None:
    """The whole of Apache-2.0."""
    text = (ROOT / "LICENSE").read_text("utf-8")
    assert text.lstrip().startswith("Apache License\n                           Version 2.0, January 2004")
    assert "END OF TERMS AND CONDITIONS" in text
    assert tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["license"] == "Apache-2.0"


# -- made elsewhere: the clean machine, the container --------------------------------------------------------------


def test_the_clean_run_ends_with_the_tests() -> None:
    """`.ci/run` stops at the first fault, makes everything afresh, and pytest has the last word."""
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    lines = [line for line in script.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    assert lines[0] == "set -euo pipefail"
    assert "rm -rf .venv" in lines
    assert {"make setup", "make check", "make demo"} <= set(lines)
    assert lines[-1] == "make test"
    subprocess.run(["bash", "-n", script], check=True)  # noqa: S603, S607


def test_the_image_is_built_from_what_is_here() -> None:
    """Every file it copies exists and is let through; it is run by a user, with its weights and a health check."""
    lines = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ").splitlines()
    steps = [line.split() for line in lines if line and not line.startswith("#")]
    allowed = {
        line[1:].partition("/")[0]
        for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines()
        if line[:1] == "!"
    }
    copied = [
        name for step, *words in steps if step == "COPY" and not words[0].startswith("--from") for name in words[:-1]
    ]
    assert copied
    for name in copied:
        assert (ROOT / name).exists(), name
        assert name.partition("/")[0] in allowed, name
    last = [index for index, step in enumerate(steps) if step[0] == "FROM"][-1]
    final = {step[0]: " ".join(step[1:]) for step in steps[last:]}
    assert final["USER"] not in {"root", "0"}
    assert "/readyz" in next(" ".join(step) for step in steps if step[0] == "HEALTHCHECK")
    assert "CALLBRIDGE_MODEL_DIR=/opt/models" in final["ENV"]
    assert final["ENTRYPOINT"] == '["callbridge"]'
