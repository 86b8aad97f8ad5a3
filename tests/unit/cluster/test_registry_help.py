from typing import ClassVar

import typer
from typer.testing import CliRunner

from cluster.registry_help import RegistryHelp


class CommandHelp(RegistryHelp):
    registries: ClassVar = {"colour": "string:__dict__"}


def test_names_are_read_when_help_is_printed_and_only_once():
    app = typer.Typer(add_completion=False)

    @app.command(cls=CommandHelp)
    def paint(colour: str = typer.Option("red", help="what is painted"), size: int = 1) -> None:
        typer.echo(colour)

    for _ in range(2):
        text = " ".join(
            CliRunner().invoke(app, ["--help"], env={"COLUMNS": "400", "TERM": "dumb"}).output.split()
        )
        assert text.count("what is painted: ") == 1
        assert "ascii_letters" in text
    assert CliRunner().invoke(app, ["--colour", "blue"]).output == "blue\n"
