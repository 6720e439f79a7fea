"""Every dialect of the table has its page, and the tables that people read are made from it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bridge.dialects import DIALECTS, OTHER_WAYS, Frames, Proof, all_rows, in_markdown
from bridge.settings import PREFIX, Settings
from bridge.web.openapi import document
from bridge.web.voice.table import VOICES
from scripts.document_carriers import README, readme

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "carriers"
EVERY_DIALECT = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)


def test_the_readmes_table_is_up_to_date() -> None:
    """It is made from the dialects themselves: `make docs`."""
    text = README.read_text("utf-8")
    assert readme(text) == text
    assert all(f"docs/carriers/{row.name}.md" in text for row in all_rows())


def test_the_api_document_has_the_table() -> None:
    """/docs shows where calls come in, which OpenAPI has no word for."""
    assert in_markdown(all_rows()) in document([])["info"]["description"]


@EVERY_DIALECT
def test_a_page_for_each(dialect: object) -> None:
    """It names the stream's address, the webhook's where there is one, and the call that tries it."""
    page = (PAGES / f"{dialect.name}.md").read_text("utf-8")
    if dialect.frames is Frames.TCP:
        public, here = "calls.example.org:9092", "tcp://127.0.0.1:9092"
    else:
        public, here = f"wss://calls.example.org{dialect.path}", f"ws://127.0.0.1:8080{dialect.path}"
    assert public in page
    assert f"--to {here} --dialect {dialect.name}" in page
    if dialect.name in {voice.dialect for voice in VOICES}:
        assert f"/v1/{dialect.name}/voice" in page
    if Proof.BASIC in dialect.proofs:
        assert "Basic" in page


def test_no_page_without_a_dialect() -> None:
    """A carrier that was taken away leaves no page behind."""
    assert {page.stem for page in PAGES.glob("*.md")} == {*DIALECTS, *OTHER_WAYS}


@pytest.mark.parametrize("page", sorted(PAGES.glob("*.md")), ids=lambda page: page.stem)
def test_what_a_page_mentions_exists(page: Path) -> None:
    """Settings, and the files that it links to."""
    text = page.read_text("utf-8")
    settings = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    assert set(re.findall(rf"{PREFIX}[A-Z_]*[A-Z]", text)) <= settings
    assert all((PAGES / link).exists() for link in re.findall(r"\]\((?!https?:)([^)#]+)", text))


def test_how_to_add_one_names_what_there_is() -> None:
    """Files of the project that the page mentions are there; those of the carrier to come are named NAME."""
    text = (ROOT / "docs" / "add-a-carrier.md").read_text("utf-8")
    named = set(re.findall(r"`((?:bridge|tests|fixtures|docs)/[\w./-]+)`", text))
    assert named
    assert all((ROOT / name).exists() for name in named if "NAME" not in name)
