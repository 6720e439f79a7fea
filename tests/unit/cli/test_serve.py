"""`callbridge serve`: what it warns of, and what it has done before calls come."""

from __future__ import annotations

import gc

import pytest

from bridge.cli.serve import keep_what_is_loaded, worries
from bridge.settings import Settings

EVERYWHERE = "0.0.0.0"  # noqa: S104  # nothing is bound here
GOOD = {"bootstrap_key": "a key of some length", "public_url": "https://calls.example.org"}


def test_a_whole_set_up_gives_no_worry() -> None:
    """Nothing is said when nothing is amiss, whichever way the key came to be."""
    assert list(worries(Settings(**GOOD), has_key=True)) == []
    assert list(worries(Settings(public_url="https://calls.example.org", host=EVERYWHERE), has_key=True)) == []


@pytest.mark.parametrize(
    ("given", "has_key", "said"),
    [
        pytest.param({"auth": "off"}, False, "auth is off", id="auth-off"),
        pytest.param({}, False, "there is no API key", id="no-key"),
        pytest.param({"bootstrap_key": "letmein"}, True, "CALLBRIDGE_BOOTSTRAP_KEY can be guessed", id="short-key"),
        pytest.param({"public_url": "http://calls.example.org"}, True, "is not https", id="in-the-open"),
        pytest.param({"twilio_auth_token": "x", "public_url": None}, True, "signatures will not fit", id="signatures"),
        pytest.param(
            {"host": EVERYWHERE, "public_url": None}, True, "CALLBRIDGE_PUBLIC_URL is not set", id="no-public"
        ),
        pytest.param({"webhook_url": "https://h.example.org"}, True, "WEBHOOK_SECRET is not set", id="no-secret"),
    ],
)
def test_what_is_amiss_is_said(given: dict[str, str | None], has_key: bool, said: str) -> None:
    """One worry, that names the setting or the command that helps, and never a secret."""
    (worry,) = worries(Settings(**{"public_url": GOOD["public_url"], **given}), has_key=has_key)
    assert said in worry
    assert "letmein" not in worry


def test_what_is_loaded_is_not_looked_through_for_garbage() -> None:
    """Collections while there are calls find only what calls have made."""
    try:
        keep_what_is_loaded()
        assert gc.get_freeze_count() > len(gc.get_objects())
    finally:
        gc.unfreeze()
