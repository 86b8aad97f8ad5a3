"""Options of local paths take no URI; options of results take both."""

import pytest
import typer
from typer.testing import CliRunner

from cluster.cli.parameters import Folder, LocalFile, Output
from data_filters.errors import InputError


def app() -> typer.Typer:
    """An application with one command that prints what it was given."""
    program = typer.Typer()

    @program.command()
    def local(folder: Folder = "build", page: LocalFile = None, output: Output = "out") -> None:
        typer.echo(f"{folder} {page} {output}")

    return program


@pytest.mark.parametrize(
    ("words", "printed"),
    [
        ([], "build None out"),
        (["--folder", "/a/b", "--page", "c.html"], "/a/b c.html out"),
        (["--folder", "file:///a/b", "--page", "file:/c.html"], "/a/b /c.html out"),
        (["--output", "memory://a"], "build None memory://a"),
    ],
)
def test_local_paths_are_passed_on(words, printed):
    assert CliRunner().invoke(app(), words).output.strip() == printed


@pytest.mark.parametrize("option", ["--folder", "--page"])
def test_a_uri_is_refused_by_the_name_of_its_option(option):
    refused = CliRunner().invoke(app(), [option, "s3://bucket/a"]).exception
    assert isinstance(refused, InputError)
    assert str(refused).startswith(f"{option} is 's3://bucket/a'; allowed are local paths")
