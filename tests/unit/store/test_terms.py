"""Words as the search index knows them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.store.terms import LONGEST_TERM, terms


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("Hello, hello World!", {"hello", "world"}, id="case-and-signs"),
        pytest.param("don't e-mail 3.14", {"don", "t", "e", "mail", "3", "14"}, id="cut-at-signs"),
        pytest.param("Crème brûlée", {"creme", "brulee"}, id="accents"),
        pytest.param("Straße STRASSE", {"strasse"}, id="sharp-s"),
        pytest.param("Ελλάδα Ёлка", {"ελλαδα", "елка"}, id="greek-and-cyrillic"),
        pytest.param("हिन्दी भाषा।", {"हिन्दी", "भाषा"}, id="vowel-signs-stay-in-the-word"),
        pytest.param("مرحبا، كيف؟", {"مرحبا", "كيف"}, id="arabic-signs"),
        pytest.param("退款ok", {"退", "款", "退款", "ok"}, id="characters-and-pairs"),
        pytest.param("１２３", {"123"}, id="full-width"),
        pytest.param("x" * 1000, {"x" * LONGEST_TERM}, id="long-noise"),
        pytest.param(" \n…—“”\x00\ud800", set(), id="nothing"),
    ],
)
def test_what_a_text_is_found_by(text: str, found: set[str]) -> None:
    """Distinct words without case, accents or signs."""
    assert terms(text) == found


@given(st.text(), st.text())
def test_a_text_is_found_by_its_parts(first: str, second: str) -> None:
    """Words of two texts are those of each, and what is asked for in the words of a text is in that text."""
    assert terms(first, second) == terms(first) | terms(second) == terms(f"{first}\n{second}")


@given(st.text())
def test_terms_are_safe_to_quote(text: str) -> None:
    """No term is empty, or holds a space or an ASCII sign that an engine's query could take for its own."""
    for term in terms(text):
        assert term
        assert all(sign.isalnum() or not sign.isascii() for sign in term)
        assert not any(sign.isspace() for sign in term)
        assert terms(term) >= {term}
