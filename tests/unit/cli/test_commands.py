"""The command line as a whole: help, faults in a line, and statuses."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from bridge.cli import COMMANDS, main
from bridge.errors import SetupError

HEAVY = ["aiohttp", "pydantic", "sqlalchemy", "numpy", "ctranslate2", "structlog", "bridge.settings"]


def run(*arguments: str) -> click.testing.Result:
    return CliRunner().invoke(main, arguments)


def tree(command: click.Command, *path: str) -> list[tuple[str, ...]]:
    """The path of this command and of all below it."""
    below = command.commands if isinstance(command, click.Group) else {}
    return [path, *(found for name, child in below.items() for found in tree(child, *path, name))]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_ends_with_an_example(name: str) -> None:
    """Each command and subcommand shows how it is really called; so does the whole."""
    with click.Context(main) as context:
        command = main.get_command(context, name)
    assert command is not None
    for path in tree(command, name):
        result = run(*path, "--help")
        assert result.exit_code == 0, result.output
        _, _, example = result.output.partition("Example:\n")
        assert f"callbridge {' '.join(path)}" in example, path


def test_the_list_of_commands_is_read_without_importing_one() -> None:
    """`callbridge --help` and a mistyped command answer at once."""
    script = f"import sys; from bridge.cli import main; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)  # noqa: S603
    assert found.stdout.split() == []
    listed = run("--help")
    assert listed.exit_code == 0
    assert all(f"  {name} " in listed.output for name in COMMANDS)
    assert "Example:" in listed.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["hum"], "No such command 'hum'", id="no-such-command"),
        pytest.param(["token"], "Missing option '--identity'", id="option-missing"),
        pytest.param(["serve", "--port", "seventy"], "is not a valid integer", id="wrong-type"),
        pytest.param(["token", "--identity", "x", "--scope", "root"], "is not one of", id="wrong-choice"),
    ],
)
def test_a_wrong_call_is_status_2(arguments: list[str], said: str) -> None:
    """What was typed is at fault; one line says where, and where to read on."""
    result = run(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert (result.stderr.count("\n"), result.stderr.count("--help says how)")) == (1, 1)


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> type[Exception]:
    """A command `token` that raises what its argument says."""

    @click.command()
    @click.argument("kind")
    def command(kind: str) -> None:
        raise SetupError("the spool is not there") if kind == "ours" else KeyError("hunter")

    monkeypatch.setattr("bridge.cli.token.command", command)
    return KeyError


def test_our_fault_is_one_line_and_status_1(broken: type[Exception]) -> None:
    """The message alone, on standard error."""
    result = run("token", "ours")
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "callbridge: the spool is not there\n")


def test_an_unforeseen_fault_is_one_line_too(broken: type[Exception]) -> None:
    """Its kind is named, and how to see more."""
    result = run("token", "theirs")
    assert result.exit_code == 1
    assert result.stderr == "callbridge: KeyError: 'hunter' (callbridge --debug … shows where)\n"


@pytest.mark.parametrize("kind", ["ours", "theirs"])
def test_debug_shows_where(broken: type[Exception], kind: str) -> None:
    """With `--debug` the traceback is left whole."""
    result = run("--debug", "token", kind)
    assert isinstance(result.exception, SetupError | KeyError)


def test_python_m_bridge_is_the_same() -> None:
    """The module form names itself."""
    found = subprocess.run([sys.executable, "-m", "bridge", "--version"], capture_output=True, text=True, check=True)
    assert found.stdout.startswith("callbridge, version ")
