"""The tables of services and features say what the tests have shown, in this very run."""

from __future__ import annotations

import pytest

from bridge.compat.table import SURFACES
from tests.features import RESULTS, SDKS, pages


def test_the_tables_are_what_the_tests_have_shown(request: pytest.FixtureRequest) -> None:
    """README.md and docs/compat.md: `make compat` writes them."""
    if request.config.getoption("write_tables"):
        pytest.skip("they are being written")
    results = request.config.stash[RESULTS]
    if results.missing:
        pytest.skip("not all tests of other services' APIs are in this run, or an SDK is missing")
    for page, text in pages(results):
        assert page.read_text("utf-8") == text, f"{page.name} is not what the tests have shown: make compat"


def test_every_service_has_a_client_that_tests_it(request: pytest.FixtureRequest) -> None:
    """And something to show."""
    assert {surface.name for surface in SURFACES} <= set(SDKS)
    results = request.config.stash[RESULTS]
    if not results.missing:
        shown = {claim.surface for claims in results.claims.values() for claim in claims}
        assert shown == {surface.name for surface in SURFACES}
