"""A pytest plugin: what the tests of other services' APIs have shown, as tables. Nothing in them is typed by hand.

A test says what it proves with `@pytest.mark.shows(feature)`, for the service of its module's `surface` mark; `differs`
or `absent` say in what way it is not as at the service, which the test then pins. `make compat` writes the tables.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import pytest

from bridge.compat.table import SURFACES

ROOT: Final = Path(__file__).parents[1]
PAGES: Final = (ROOT / "README.md", ROOT / "docs" / "compat.md")
BEGIN: Final = "<!-- written by `make compat` -->\n"
END: Final = "<!-- end -->\n"

FEATURES: Final = (
    "a file",
    "by its address",
    "words with times",
    "utterances",
    "subtitles",
    "streamed answers",
    "recordings kept, listed, deleted",
    "uploads from browsers",
    "webhooks",
    "a callback of its own",
    "live audio",
    "interim results",
    "turns",
    "speech events",
    "finalize",
    "last words before the close",
    "words of a client that just goes quiet",
    "chunks of a longest size",
    "channels apart",
    "speakers",
    "emotion, age, gender",
    "redaction",
    "summaries, topics, sentiment",
    "translation",
    "lists of words kept",
    "G.711 at 8 kHz",
    "containers while they come",
    "keywords",
    "endpointing",
    "language choice",
    "language found out",
    "language list",
    "short-lived tokens",
    "faults in its shape",
)
"""The rows, in order: no test can show anything else."""

SDKS: Final[Mapping[str, str]] = {
    "openai": "openai",
    "deepgram": "deepgram-sdk",
    "smallest": "smallestai",
    "telnyx": "telnyx",
    "vocafuse": "vocafuse",
    "assemblyai": "assemblyai",
    "neuralspace": "neuralspace",
    "speechmatics": "speechmatics-rt",
    "twilio": "twilio",
}
"""What drives a surface's tests, by the surface's name."""

WORKS, DIFFERS, ABSENT = "✓", "differs", "–"


@dataclass(frozen=True, slots=True)
class Claim:
    """What a test shows."""

    surface: str
    feature: str
    how: str
    note: str


@dataclass(slots=True)
class Results:
    """Of this run."""

    claims: dict[str, list[Claim]] = field(default_factory=dict)
    """By test."""
    surfaces: dict[str, str] = field(default_factory=dict)
    """By test: whose it is."""
    outcomes: dict[str, str] = field(default_factory=dict)
    missing: set[Path] = field(default_factory=set)
    """Files with such tests of which not all have run."""

    def cell(self, surface: str, feature: str) -> tuple[str, list[str]]:
        """What the table says, and the notes to it."""
        found = [(self.outcomes.get(test, "skipped"), one) for test, many in self.claims.items() for one in many]
        mine = [(how, one) for how, one in found if (one.surface, one.feature) == (surface, feature)]
        if not mine:
            return "", []
        if any(outcome != "passed" for outcome, _ in mine):
            return "not shown", []
        hows = {one.how for _, one in mine}
        how = ABSENT if hows == {ABSENT} else DIFFERS if hows & {ABSENT, DIFFERS} else WORKS
        return how, sorted({one.note for _, one in mine if one.note})

    def table(self) -> str:
        """Markdown: a row a feature, a column a service."""
        titles = [SHORT[surface.name] for surface in SURFACES]
        lines = [f"| | {' | '.join(titles)} |", "|---" * (len(titles) + 1) + "|"]
        for feature in FEATURES:
            cells = [self.cell(surface.name, feature)[0] for surface in SURFACES]
            if any(cells):
                lines.append(f"| {feature} | {' | '.join(cells)} |")
        return "\n".join(lines) + "\n"

    def notes(self) -> Iterator[str]:
        """What differs, and what stands in place of what is not offered."""
        for surface in SURFACES:
            for feature in FEATURES:
                for note in self.cell(surface.name, feature)[1]:
                    yield f"- {SHORT[surface.name]}, {feature}: {note}\n"

    def by_sdk(self) -> Iterator[str]:
        """A line a service: what its SDK's tests came to."""
        for surface in SURFACES:
            outcomes = [
                self.outcomes.get(test, "skipped") for test, name in self.surfaces.items() if name == surface.name
            ]
            if not outcomes:
                continue
            counts = {what: outcomes.count(what) for what in ("passed", "failed", "skipped")}
            told = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
            yield f"{SHORT[surface.name]:<12} {_sdk(surface.name):<26} {told}"


SHORT: Final[Mapping[str, str]] = {surface.name: surface.title.split(" ")[0] for surface in SURFACES}

RESULTS: Final[pytest.StashKey[Results]] = pytest.StashKey()


def pages(results: Results) -> Sequence[tuple[Path, str]]:
    """Each page as it should be."""
    table = results.table()
    told = {PAGES[0]: table, PAGES[1]: table + "\n" + "".join(results.notes())}
    return [(page, _within(page.read_text("utf-8"), text)) for page, text in told.items()]


def _within(page: str, text: str) -> str:
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{text}{END}{after}"


def _sdk(surface: str) -> str:
    package = SDKS.get(surface, "")
    try:
        return f"{package} {version(package)}"
    except (PackageNotFoundError, ValueError):
        return f"{package} (not installed)"


# -- hooks ---------------------------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-tables", action="store_true", help="write the tables of services and features")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[RESULTS] = results = Results()
    config.pluginmanager.register(_Listener(results), "what the tests of other services' APIs have shown")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    results = config.stash[RESULTS]
    for item in items:
        if (mark := item.get_closest_marker("surface")) is None:
            continue
        results.surfaces[item.nodeid] = mark.args[0]
        results.claims[item.nodeid] = [_claim(mark.args[0], shows) for shows in item.iter_markers("shows")]
    with_claims = {
        path for path in (ROOT / "tests").rglob("test_*.py") if "pytest.mark.surface(" in path.read_text("utf-8")
    }
    whole = {item.path for item in items}
    narrowed = (
        any("::" in str(arg) for arg in config.args) or config.getoption("keyword") or config.getoption("markexpr")
    )
    results.missing = with_claims if narrowed else with_claims - whole
    items.sort(key=lambda item: item.path.name == "test_tables.py")  # when all else has been shown


def _claim(surface: str, shows: pytest.Mark) -> Claim:
    [feature] = shows.args
    if surface not in SHORT or feature not in FEATURES:
        raise pytest.UsageError(f"nobody knows {surface!r} or {feature!r}: see tests/features.py")
    differs, absent = shows.kwargs.get("differs", ""), shows.kwargs.get("absent", "")
    how = DIFFERS if differs else ABSENT if absent else WORKS
    return Claim(surface, feature, how, differs or absent)


class _Listener:
    """What came of each test."""

    def __init__(self, results: Results) -> None:
        self._results = results
        self._seen: defaultdict[str, list[str]] = defaultdict(list)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.nodeid in self._results.surfaces:
            seen = self._seen[report.nodeid]
            seen.append(report.outcome)
            worst = next((what for what in ("failed", "skipped") if what in seen), "passed")
            self._results.outcomes[report.nodeid] = worst


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    results = config.stash[RESULTS]
    if lines := list(results.by_sdk()):
        terminalreporter.section("other services' clients")
        for line in lines:
            terminalreporter.write_line(line)
    if not config.getoption("write_tables"):
        return
    if results.missing or set(results.outcomes.values()) - {"passed"}:
        terminalreporter.write_line("the tables are not written: not everything has passed")
        return
    for page, text in pages(results):
        page.write_text(text, "utf-8")
        terminalreporter.write_line(f"written: {page.relative_to(ROOT)}")
