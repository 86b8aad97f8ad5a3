"""The application of typer that holds all commands: its common options, its errors and its exit codes."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from cluster.cli.registry_help import RegistryHelp

Command = Callable[..., None]
"""A command: its parameters are its options, its docstring is its help text."""

ABOUT = "Curate web image-text pairs and pretrain fine-grained vision-language models on Ray."


def build(
    commands: Mapping[str, Command], groups: Mapping[str, tuple[str, Mapping[str, Command]]]
) -> typer.Typer:
    """The application with these commands, and with groups of commands: name → (help, commands)."""
    app = _typer("loupe", ABOUT)
    app.callback()(common)
    _add(app, commands)
    for name, (help_text, members) in groups.items():
        group = _typer(name, help_text)
        _add(group, members)
        app.add_typer(group)
    return app


def _typer(name: str, help_text: str) -> typer.Typer:
    return typer.Typer(
        name=name,
        help=help_text,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )


def _add(app: typer.Typer, commands: Mapping[str, Command]) -> None:
    for name, command in commands.items():
        app.command(name, cls=RegistryHelp)(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"loupe {version('loupe')}")
        raise typer.Exit


def common(
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="show tracebacks")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="print the version", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Options that stand before the command's name."""
    os.environ["LOUPE_VERBOSE"] = "1" if verbose else ""


def run(app: typer.Typer) -> None:
    """Run the command that this process's arguments name, and end with its exit code.

    0: done. 2: the user's input is wrong (one line on standard error). 1: the run failed.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_TRAIN_V2_ENABLED", "1")
    try:
        sys.exit(app(prog_name="loupe", standalone_mode=False))
    except Exception as error:
        _refuse_usage(error)
        _fail(error)


def _refuse_usage(error: Exception) -> None:
    """End with one line and exit code 2 when a command, option or argument is unknown, missing or of a wrong type."""
    if isinstance(error, typer.Abort):  # Ctrl-C
        typer.echo("loupe: stopped; the same command goes on from what is committed", err=True)
        sys.exit(130)
    # typer brings its own copy of click; BadParameter is the one of these errors that it gives a public name.
    usage_errors = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")
    if not isinstance(error, usage_errors):
        return
    usage: Any = error
    if type(error).__name__ == "NoArgsIsHelpError":
        usage.show()
        sys.exit(usage.exit_code)
    context = getattr(usage, "ctx", None)
    path = context.command_path if context else "loupe"
    message = " ".join(usage.format_message().split()).rstrip(".")
    typer.echo(f"loupe: {message}; see {path} --help", err=True)
    sys.exit(2)


def _fail(error: Exception) -> None:
    """Say the cause in one line, and end with the exit code; an InputError may be the cause of the error."""
    from data_filters.errors import InputError
    from pipelines.common.causes import explain, root_cause

    if os.environ.get("LOUPE_VERBOSE"):
        traceback.print_exception(error)
    line = explain(error)
    if isinstance(root_cause(error), InputError):
        typer.echo(f"loupe: {line}", err=True)
        sys.exit(2)
    typer.echo(f"loupe: the run failed: {line} (-v: traceback)", err=True)
    sys.exit(1)
