"""Secrets at rest: where the installation's key comes from, and webhook secrets encrypted with it."""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bridge.errors import SetupError
from bridge.settings import Settings
from bridge.store.address import sqlite_file

KEY_FILE: Final = "secret.key"
PURPOSE: Final = b"callbridge webhook secrets at rest"


class Cipher:
    """Encrypts with the first of `keys` and reads what any of them wrote, so that a key can be replaced.

    A key is any string with enough chance in it; the working key is derived from it (RFC 5869) for this one purpose.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._fernet = MultiFernet([Fernet(_derive(key)) for key in keys])

    def encrypt(self, plain: str) -> str:
        return self._fernet.encrypt(plain.encode()).decode()

    def decrypt(self, sealed: str) -> str:
        """Raises SetupError when it was encrypted with another key."""
        try:
            return self._fernet.decrypt(sealed).decode()
        except InvalidToken:
            raise SetupError(
                "webhook secrets in the database were encrypted with another key: "
                "set CALLBRIDGE_SECRET_KEY (or its file) to that key, or to NEW,OLD when replacing it"
            ) from None


def _derive(key: str) -> bytes:
    material = HKDF(algorithm=SHA256(), length=32, salt=None, info=PURPOSE).derive(key.encode())
    return base64.urlsafe_b64encode(material)


def secret_keys(settings: Settings) -> tuple[str, ...]:
    """The installation's keys, the current one first: from the setting (comma-separated), else from the key file.

    The file lies beside the SQLite database, or in `var/`; the first start makes it, for its owner alone.
    Raises SetupError.
    """
    if settings.secret_key is not None:
        keys = [key.strip() for key in settings.secret_key.get_secret_value().split(",")]
        if not all(keys):
            raise SetupError("CALLBRIDGE_SECRET_KEY: a key in the list is empty")
        return tuple(keys)
    return _from_file(key_file(settings.database_url))


def key_file(database_url: str) -> Path:
    """Where the key is kept when no setting gives one."""
    database = sqlite_file(database_url)
    return (database.parent if database is not None else Path("var")) / KEY_FILE


def _from_file(path: Path) -> tuple[str, ...]:
    try:
        if not path.exists():
            _make(path)
        keys = tuple(path.read_text().split())
    except OSError as error:
        raise SetupError(f"cannot use the key file {path}: {error.strerror}") from error
    if not keys:
        raise SetupError(
            f"the key file {path} is empty: put the lost key back, or remove the file and set secrets again"
        )
    return keys


def _make(path: Path) -> None:
    """Written whole under another name first: of two processes that start at once, both use the one that came first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(32) + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        draft.unlink()
