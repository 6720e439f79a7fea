"""Logging: one line an event, in one form whoever speaks, and nothing that must not be written down."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import structlog
from aiohttp.http_exceptions import BadStatusLine

from bridge.logs import HIDDEN_KEYS, setup
from bridge.settings import Settings


@contextmanager
def logging_as(form: str) -> Iterator[io.StringIO]:
    """What is logged meanwhile; the process's own logging is put back."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    setup(Settings(log_format=form), stream=stream)
    yield stream
    root.handlers[:], root.level = before, level
    structlog.reset_defaults()


@pytest.fixture
def said() -> Iterator[io.StringIO]:
    with logging_as("json") as stream:
        yield stream


def fail(what: str) -> None:
    raise ValueError(len(what))


def lines(said: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said.getvalue().splitlines()]


def test_an_event_is_one_line_with_its_call(said: io.StringIO) -> None:
    """Name, level, time and the bound call id; line breaks inside do not make a second line."""
    with structlog.contextvars.bound_contextvars(call_id="call_1"):
        structlog.get_logger("bridge.test").info("heard\nof", seconds=1.5)
    (line,) = lines(said)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "message": "heard\nof",
        "seconds": 1.5,
        "call_id": "call_1",
        "level": "info",
        "logger": "bridge.test",
    }


def test_the_standard_librarys_lines_look_alike(said: io.StringIO) -> None:
    """Libraries log in the same form, with the call's id too."""
    with structlog.contextvars.bound_contextvars(call_id="call_1"):
        logging.getLogger("some.library").warning("about %s", "this")
    (line,) = lines(said)
    assert (line["message"], line["level"], line["logger"], line["call_id"]) == (
        "about this",
        "warning",
        "some.library",
        "call_1",
    )


@pytest.mark.parametrize("key", sorted(HIDDEN_KEYS))
def test_what_people_said_and_secrets_are_blanked(said: io.StringIO, key: str) -> None:
    """Whoever hands it over, in our lines or a library's."""
    structlog.get_logger().warning("oops", **{key: "hunter2"})
    logging.getLogger("some.library").warning("oops", extra={key: "hunter2"})
    assert [line[key] for line in lines(said)] == ["[hidden]"] * 2


def test_an_exception_is_inside_its_line(said: io.StringIO) -> None:
    """A traceback is a field, so that a line stays a line."""
    try:
        fail("no")
    except ValueError:
        structlog.get_logger().exception("failed")
    (line,) = lines(said)
    assert line["exception"][0]["exc_type"] == "ValueError"


@pytest.mark.parametrize("form", ["json", "console"])
def test_an_exceptions_variables_stay_out(form: str) -> None:
    """Variables of its frames hold what people said; its kind and its place are shown."""
    digits = iter("0199")
    with logging_as(form) as stream:
        try:
            fail("my number is 555 " + "".join(digits))
        except ValueError:
            structlog.get_logger().exception("failed")
    assert "ValueError" in stream.getvalue()
    assert "555 0199" not in stream.getvalue()


def test_less_than_the_level_is_not_said(said: io.StringIO) -> None:
    """`info` by default: details are for who asks."""
    structlog.get_logger().debug("detail")
    assert lines(said) == []


def test_strangers_do_not_fill_the_log(said: io.StringIO) -> None:
    """What is no HTTP is answered 400 by aiohttp, and not worth a traceback each time."""
    error = BadStatusLine("\x16\x03\x01")
    logging.getLogger("aiohttp.server").error("Error handling request from %s", "192.0.2.7", exc_info=error)
    assert lines(said) == []


def test_people_read_a_console() -> None:
    """One line an event there too, and no colours where it is no terminal."""
    with logging_as("console") as stream:
        structlog.get_logger("bridge.test").info("ready", port=8080)
    assert "ready [bridge.test] port=8080" in " ".join(stream.getvalue().split())
    assert "\x1b" not in stream.getvalue()
