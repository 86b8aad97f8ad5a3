"""The directive `command-line`: a section for each command of the `loupe` command, made from its own help texts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from docutils import nodes
from sphinx.util.docutils import SphinxDirective
from typer.core import TyperArgument, TyperGroup, TyperOption

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.util.typing import ExtensionMetadata
    from typer._click.core import Command

Parameter = TyperArgument | TyperOption


class CommandLine(SphinxDirective):
    """`{command-line}`: all commands of `cluster.cli.app`."""

    def run(self) -> list[nodes.Node]:
        """The sections as nodes."""
        import typer

        from cluster.cli import app

        text = "\n\n".join(sections(typer.main.get_command(app), "loupe"))
        return self.parse_text_to_nodes(text, allow_section_headings=True)


def sections(command: Command, name: str) -> Iterator[str]:
    """MyST text of a command and, below it, of its subcommands."""
    from cluster.cli.registry_help import RegistryHelp

    if isinstance(command, RegistryHelp):
        command.fill_help()  # help texts that name what registries hold
    subcommands = command.commands if isinstance(command, TyperGroup) else {}
    parameters = [p for p in command.params if isinstance(p, Parameter) and p.name != "help"]
    usage = " ".join([name, *(piece for parameter in parameters if (piece := usage_of(parameter)))])
    yield f"## `{name}`"
    yield (command.help or "").strip()
    yield f"```text\n{usage}{' COMMAND' if subcommands else ''}\n```"
    if parameters:
        rows = [f"| {names(parameter)} | {explanation(parameter)} |" for parameter in parameters]
        yield "\n".join(["| argument or option | meaning |", "|---|---|", *rows])
    for subcommand_name, subcommand in subcommands.items():
        yield from sections(subcommand, f"{name} {subcommand_name}")


def usage_of(parameter: Parameter) -> str:
    """An argument, or an option that must be given, as the line of usage shows it; else nothing."""
    if isinstance(parameter, TyperArgument):
        return metavar(parameter)
    return f"{parameter.opts[0]} {metavar(parameter)}" if parameter.required else ""


def names(parameter: Parameter) -> str:
    """The argument's name, or the option's names with their value."""
    if isinstance(parameter, TyperArgument):
        return f"`{metavar(parameter)}`"
    flags = ", ".join(f"`{flag}`" for flag in parameter.opts)
    if parameter.is_flag:
        return flags
    return f"{flags} `{metavar(parameter)}`"


def metavar(parameter: Parameter) -> str:
    """The value as a line of usage shows it: KEY=VALUE where the help begins so, else the parameter's name."""
    first_word = (parameter.help or "").partition(" ")[0]
    return first_word if "=" in first_word else parameter.opts[0].lstrip("-").upper()


def explanation(parameter: Parameter) -> str:
    """The help text, whether the option must be given or may be repeated, and its default."""
    help_text = (parameter.help or "").replace("|", "\\|")
    notes = []
    if isinstance(parameter, TyperOption):
        if parameter.required:
            notes.append("required")
        elif parameter.default is not None and parameter.default is not False:
            notes.append(f"default `{parameter.default}`")
        if parameter.multiple and "repeat" not in help_text:
            notes.append("may be repeated")
    return f"{help_text} ({'; '.join(notes)})" if notes else help_text


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the directive."""
    app.add_directive("command-line", CommandLine)
    return {"version": "1", "parallel_read_safe": True}
