"""`callbridge deploy-engine`: the recogniser on a Ray cluster, for any number of bridges."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Final

import click

from bridge.cli import config_option, example
from bridge.errors import SetupError
from bridge.settings import Settings, load

GIVEN: Final = ("model", "model_dir", "model_download", "device", "compute_type")
"""Settings that a replica needs; the paths among them are those of the cluster's machines."""


@click.command(
    epilog=example(
        "callbridge deploy-engine --address auto --min-replicas 2 --max-replicas 16",
        "CALLBRIDGE_ENGINE=ray://ray-head:8000 callbridge serve",
    )
)
@config_option
@click.option("--address", help="The cluster: auto, or HOST:6379. Without it one is started here, until Ctrl-C.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where Ray Serve listens for bridges.")
@click.option("--port", default=8000, show_default=True, help="And its port.")
@click.option("--min-replicas", "least", type=click.IntRange(1), default=1, show_default=True, help="Replicas at rest.")
@click.option("--max-replicas", "most", type=click.IntRange(1), default=4, show_default=True, help="Replicas at most.")
@click.option(
    "--cpus",
    type=click.IntRange(1),
    default=2,
    show_default=True,
    help="Cores, and workers, of a replica; best all of a machine's.",
)
@click.option("--gpus", type=float, default=0, show_default=True, help="GPUs of a replica, or the share of one.")
@click.option("--down", is_flag=True, help="Take it down.")
def command(  # noqa: PLR0917  # click's names
    config: Path | None,
    address: str | None,
    host: str,
    port: int,
    least: int,
    most: int,
    cpus: int,
    gpus: float,
    down: bool,
) -> None:
    """Put the recogniser up on a Ray cluster, or the next version in its place.

    Replicas come and go with how late decodes are. Anybody who reaches the port can have speech decoded: keep it
    inside your network.
    """
    settings = load(config)
    try:
        from bridge.recognise import ray_replica  # noqa: PLC0415  # an extra, and slow to import
    except ModuleNotFoundError as error:
        raise SetupError(f"deploy-engine needs {error.name}: pip install 'callbridge[ray]'") from error
    if down:
        ray_replica.take_down(address or "auto")
        click.echo("The recogniser is down.")
        return
    given = _given(settings)
    ray_replica.deploy(given, address=address, host=host, port=port, least=least, most=most, cpus=cpus, gpus=gpus)
    click.echo(f"The recogniser answers: CALLBRIDGE_ENGINE=ray://{host}:{port}")
    if address is None:
        signal.sigwait({signal.SIGINT, signal.SIGTERM})


def _given(settings: Settings) -> dict[str, str | bool]:
    found = {name: getattr(settings, name) for name in GIVEN}
    return {
        name: str(value) if isinstance(value, Path) else value for name, value in found.items() if value is not None
    }
