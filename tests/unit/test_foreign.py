"""JSON and TOML that others wrote, brackets in brackets by the thousand."""

from __future__ import annotations

from pathlib import Path

import pytest
from multidict import MultiDict

from bridge.errors import BridgeError, SetupError
from bridge.model.foreign import from_json, object_from_json
from bridge.settings import load
from tests.fuzz.mutation import DEEP
from tests.fuzz.sessions import SERVICES, Service


@pytest.mark.parametrize("text", ["[" * DEEP, '{"a":' * DEEP, "[" * DEEP + "]" * DEEP, "nothing", b"\xff"])
def test_what_is_no_json(text: str | bytes) -> None:
    """One kind of fault, however it fails."""
    with pytest.raises(ValueError, match=r"nested|Expecting|decode"):
        from_json(text)


@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
def test_a_session_takes_them_as_any_text_that_is_no_json(service: Service) -> None:
    """It is refused in the service's words, or left aside."""
    brackets, words = (answered(service, text) for text in ("[" * DEEP, "no JSON"))
    assert brackets == words


def answered(service: Service, text: str) -> list[type]:
    dialect = service.open(MultiDict(service.query))
    try:
        wishes = dialect.receive(text)
    except BridgeError as error:
        wishes = dialect.fault(error)
    return [type(wish) for wish in wishes]


@pytest.mark.parametrize("text", ["a = " + "[" * DEEP, "a = " + "{a = " * DEEP])
def test_settings_name_them(text: str, tmp_path: Path) -> None:
    """As any file that does not parse."""
    file = tmp_path / "callbridge.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SetupError, match=r"callbridge\.toml"):
        load(file)


@pytest.mark.parametrize("text", ["[]", "null", '"a"', "1", "{", "", "[" * 100_000])
def test_what_is_no_object(text: str) -> None:
    """Whoever needs one hears of everything else in the same way."""
    with pytest.raises(ValueError):  # whichever it is
        object_from_json(text)


def test_an_object() -> None:
    assert object_from_json(b'{"a": [1]}') == {"a": [1]}
