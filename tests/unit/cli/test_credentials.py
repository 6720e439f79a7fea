"""`callbridge keys` and `callbridge token`: credentials made beside the server."""

from __future__ import annotations

from pathlib import Path

import click.testing
import pytest
from click.testing import CliRunner

from bridge.cli import main, token
from bridge.clock import SystemClock
from bridge.settings import Settings
from bridge.store.cipher import secret_keys
from bridge.web import auth, keys


@pytest.fixture(autouse=True)
def in_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*arguments: str) -> click.testing.Result:
    return CliRunner().invoke(main, arguments)


def rows(result: click.testing.Result) -> list[list[str]]:
    assert result.exit_code == 0, result.stderr
    return [line.split("\t") for line in result.stdout.splitlines()]


def test_a_key_is_made_listed_and_revoked() -> None:
    """The key alone is on standard output, for `$(…)`; the list never has it; revoking shows."""
    made = run("keys", "create", "--name", "crm", "--tenant", "acme")
    key = made.stdout.strip()
    assert made.exit_code == 0
    assert key.startswith("cbk_")
    assert "shown this once" in made.stderr
    ((key_id, tenant, name, shown, _, used, state),) = rows(run("keys", "list"))
    assert (tenant, name, used, state) == ("acme", "crm", "never", "live")
    assert shown == f"{key[:12]}…"
    assert run("keys", "revoke", key_id).stdout == f"{key_id} is revoked.\n"
    assert rows(run("keys", "list", "--tenant", "acme"))[0][-1] == "revoked"
    assert rows(run("keys", "list", "--tenant", "rival")) == []


def test_an_unknown_key_cannot_be_revoked() -> None:
    """Status 1 and a line that names it."""
    result = run("keys", "revoke", "key_none")
    assert (result.exit_code, result.stderr) == (1, "callbridge: no API key key_none\n")


def test_a_token_is_good_at_the_server_of_this_folder() -> None:
    """Signed with the installation's key: who, for whom, what, and how long."""
    made = run("token", "--identity", "desk", "--tenant", "acme", "--scope", "media", "--expires", "60")
    assert made.exit_code == 0, made.stderr
    clock = SystemClock()
    found = auth.TokenSigner(secret_keys(Settings()), clock).read(made.stdout.strip())
    assert found == auth.Principal(tenant="acme", scopes=frozenset({auth.Scope.MEDIA}), identity="desk")


def test_the_commands_scopes_are_the_servers() -> None:
    """What `--help` lists without loading the server is what the server knows."""
    assert set(token.SCOPES) == set(auth.TOKEN_SCOPES)
    assert set(token.DEFAULT_SCOPES) == set(keys.DEFAULT_SCOPES)


def test_settings_may_come_from_a_file(tmp_path: Path) -> None:
    """`--config` names it, and the environment could too."""
    Path("calls.toml").write_text(f'database_url = "sqlite:///{tmp_path}/elsewhere/calls.db"\n', encoding="utf-8")
    assert run("keys", "create", "--name", "crm", "--config", "calls.toml").exit_code == 0
    assert (tmp_path / "elsewhere" / "calls.db").exists()
    missing = run("keys", "list", "--config", "none.toml")
    assert (missing.exit_code, missing.stderr) == (1, "callbridge: no such settings file: none.toml\n")
