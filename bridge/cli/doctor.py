"""`callbridge doctor`: what is not as it should be, and what to do about it."""

from __future__ import annotations

import asyncio
import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from bridge import __version__
from bridge.cli import config_option, example
from bridge.settings import load

if TYPE_CHECKING:
    from bridge.cli.checkup import Check, Finding

MARKS: Final = {"good": ("✓", "green"), "note": ("!", "yellow"), "fault": ("✗", "red")}


@click.command(
    epilog=example("callbridge doctor", "callbridge doctor --json | jq '.checks[] | select(.state != \"good\")'")
)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@config_option
def command(*, as_json: bool, config: Path | None) -> None:
    """Check weights, engine, speakers, database, files, ports and clock; say what to do about each fault.

    Status 1: there is a fault. Lines with ! are worth knowing, no more.
    """
    from bridge.cli import checkup  # noqa: PLC0415  # a second's imports, that --help need not wait for
    from bridge.clock import SystemClock  # noqa: PLC0415

    settings, clock = load(config), SystemClock()
    findings: list[Finding] = []
    if not as_json:
        click.echo(
            f"callbridge {__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}"
        )

    async def examine_all() -> None:
        for name, check in _checks().items():
            found = await checkup.examine(name, check, settings, clock)
            findings.extend(found)
            if not as_json:
                for finding in found:
                    _tell(finding)

    asyncio.run(examine_all())
    faults = sum(finding.state is checkup.State.FAULT for finding in findings)
    if as_json:
        rows = [{"name": one.name, "state": one.state, "message": one.message} for one in findings]
        click.echo(json.dumps({"ok": not faults, "version": __version__, "checks": rows}, ensure_ascii=False, indent=1))
    if faults:
        raise click.exceptions.Exit(1)


def _checks() -> Mapping[str, Check]:
    from bridge.cli import checkup_machine as machine  # noqa: PLC0415
    from bridge.cli import checkup_parts as parts  # noqa: PLC0415
    from bridge.cli import checkup_speakers  # noqa: PLC0415

    return {
        "weights": parts.weights,
        "engine": parts.engine,
        "speakers": checkup_speakers.speakers,
        "database": parts.database,
        "access": parts.access,
        "spool": machine.spool,
        "port": machine.port,
        "audiosocket": machine.audiosocket,
        "clock": machine.clocks,
        "open files": machine.files,
    }


def _tell(finding: Finding) -> None:
    mark, colour = MARKS[finding.state]
    click.echo(f"{click.style(mark, fg=colour)} {finding.name:<12}{finding.message}")
