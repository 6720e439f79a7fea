"""`callbridge`: one file a command, loaded when asked for. Faults are one line on standard error, and status 1."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Final

import click

from bridge import __version__
from bridge.errors import BridgeError

COMMANDS: Final = {
    "serve": "Start the server.",
    "demo": "A real two-party call: captions, transcript, signed webhook.",
    "play": "Be a carrier: replay a recording as a live call.",
    "transcribe": "Put recordings into words.",
    "bench": "How many live calls this machine holds.",
    "models": "Weights: where they are, whether they are whole.",
    "keys": "API keys.",
    "token": "A short-lived token.",
    "deploy-engine": "The recogniser on a Ray cluster, for many servers.",
    "doctor": "What is not as it should be, and what to do about it.",
}
"""Name → what `--help` says of it; `bridge/cli/<name>.py`, with _ for -, has it as `command`."""


class Commands(click.Group):
    """The commands of the table. None is imported before it runs, so that help and mistypings answer at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"bridge.cli.{cmd_name.replace('-', '_')}").command
        if not isinstance(command, click.Command):
            raise TypeError(f"bridge.cli.{cmd_name}.command is no command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what goes wrong is told in a line, or whole with `--debug`."""
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            asked = error.ctx.command_path if error.ctx is not None else ctx.command_path
            click.echo(f"{asked}: {error.format_message()} ({asked} --help says how)", err=True)
            ctx.exit(error.exit_code)
        except (click.ClickException, click.exceptions.Exit, click.Abort, SystemExit):
            raise
        except Exception as error:
            if ctx.params["debug"]:
                raise
            click.echo(f"callbridge: {_told(error)}", err=True)
            ctx.exit(1)


config_option = click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="CALLBRIDGE_CONFIG",
    help="Settings as a TOML file; the environment is stronger.",
)


def example(*lines: str) -> str:
    """The epilog every command ends with. The mark keeps click from filling the lines."""
    return "\b\n" + "\n".join(["Example:", *(f"  {line}" for line in lines)])


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=example("callbridge serve --port 8080", "callbridge play call.wav --to ws://127.0.0.1:8080/v1/media/twilio"),
)
@click.option("--debug", is_flag=True, help="Show a fault's traceback.")
@click.version_option(__version__, prog_name="callbridge")
def main(debug: bool) -> None:
    """Real-time transcription of phone calls: carriers' audio in, live captions and signed webhooks out."""
    del debug


def _told(error: Exception) -> str:
    if isinstance(error, BridgeError):
        return error.message
    return f"{type(error).__name__}: {error} (callbridge --debug … shows where)"
