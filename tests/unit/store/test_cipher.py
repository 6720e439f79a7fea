"""The installation's key, and what it encrypts."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bridge.errors import SetupError
from bridge.settings import load
from bridge.store.cipher import Cipher, key_file, secret_keys


def test_what_one_key_wrote_it_reads() -> None:
    """And nobody sees it in between; the same text never looks the same twice."""
    cipher = Cipher(["a key"])
    sealed = cipher.encrypt("whsec_☎")
    assert cipher.decrypt(sealed) == "whsec_☎"
    assert "whsec" not in sealed
    assert sealed != cipher.encrypt("whsec_☎")


@pytest.mark.parametrize("sealed", ["", "nonsense", "gAAAAABkAAAA"])
def test_what_cannot_be_read(sealed: str) -> None:
    """Another key's writing, or no writing at all, is a fault of the setup that says what to do."""
    with pytest.raises(SetupError, match="CALLBRIDGE_SECRET_KEY"):
        Cipher(["a key"]).decrypt(sealed)
    with pytest.raises(SetupError):
        Cipher(["another"]).decrypt(Cipher(["a key"]).encrypt("x"))


def test_keys_from_the_setting(tmp_path: Path) -> None:
    """One, or several while the first replaces the others; then no file is made."""
    settings = load(secret_key=" new , old", database_url=f"sqlite:///{tmp_path}/c.db")
    assert secret_keys(settings) == ("new", "old")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(SetupError):
        secret_keys(load(secret_key="new,,old"))


def test_a_key_is_made_once_and_is_private(tmp_path: Path) -> None:
    """Beside the database; processes that start at once end with the same key."""
    settings = load(database_url=f"sqlite:///{tmp_path}/var/c.db")
    with ThreadPoolExecutor(8) as starting:
        keys = set(starting.map(lambda _: secret_keys(settings), range(32)))
    assert len(keys) == 1
    assert secret_keys(settings) in keys
    [file] = (tmp_path / "var").iterdir()
    assert file == key_file(settings.database_url) == tmp_path / "var" / "secret.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_where_the_key_lies_without_a_database_file() -> None:
    """In `var/`."""
    assert key_file("postgresql://h/d") == Path("var/secret.key")


def test_an_empty_key_file(tmp_path: Path) -> None:
    """It is not filled in silently: what the lost key wrote could not be read any more."""
    (tmp_path / "secret.key").touch()
    with pytest.raises(SetupError, match="empty"):
        secret_keys(load(database_url=f"sqlite:///{tmp_path}/c.db"))
