"""The menu of commands: every command can be asked for help, and a new one needs its line alone."""

import pytest
import typer

from cluster.cli import COMMANDS, GROUPS
from cluster.cli.application import build
from cluster.cli.registry_help import REGISTRIES


@pytest.mark.parametrize(
    "words", [[name] for name in COMMANDS] + [[group, name] for group in GROUPS for name in GROUPS[group][1]]
)
def test_every_command_has_help_without_a_placeholder_left(loupe, words):
    code, out, _ = loupe(*words, "--help")
    assert code == 0
    assert f"loupe {' '.join(words)}" in out
    assert not [placeholder for placeholder in REGISTRIES if f"{{{placeholder}}}" in out]


def test_a_new_command_is_a_function_and_a_line():
    said = []

    def greet(name: str) -> None:
        """Greet somebody."""
        said.append(name)

    app = build({**COMMANDS, "greet": greet}, GROUPS)
    command = typer.main.get_command(app)
    command.main(["greet", "Ada"], standalone_mode=False)
    assert said == ["Ada"]
