"""Languages: Whisper's own codes, each with a name."""

from __future__ import annotations

import pytest
from faster_whisper.tokenizer import _LANGUAGE_CODES

from bridge.model.languages import LANGUAGES, languages_of


def test_every_code_of_whisper_has_a_name() -> None:
    """No more, no fewer, by code."""
    assert sorted(_LANGUAGE_CODES) == list(LANGUAGES)
    assert all(name[0].isupper() for name in LANGUAGES.values())
    assert len(set(LANGUAGES.values())) == len(LANGUAGES)


@pytest.mark.parametrize(
    ("model", "count"),
    [
        ("base", 99),
        ("large-v2", 99),
        ("large-v3", 100),
        ("large-v3-turbo", 100),
        ("tiny.en", 1),
        ("/srv/models/small.en/", 1),
        ("/srv/models/medium", 99),
    ],
)
def test_a_model_writes_what_it_was_trained_on(model: str, count: int) -> None:
    """English alone, the first 99, or Cantonese too."""
    assert len(languages_of(model)) == count
    assert "en" in languages_of(model)
