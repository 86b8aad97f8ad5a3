"""The `loupe` command. COMMANDS is the menu: a new command is one function and one line here.

No module of this folder imports torch, ray or a filter's libraries before its command runs, so `loupe --help` is quick.
"""

from __future__ import annotations

from cluster.cli import curation, demo, evaluation, leak_index, recipes, reports, training, world
from cluster.cli.application import Command, build, run

COMMANDS: dict[str, Command] = {
    "world": world.world,
    "leak-index": leak_index.leak_index,
    "curate": curation.curate,
    "phrases": curation.phrases,
    "pretrain": training.pretrain,
    "reshard": training.reshard,
    "export": training.export,
    "evaluate": evaluation.evaluate,
    "report": reports.report,
    "ablate": reports.ablate,
    "demo": demo.demo,
}

GROUPS: dict[str, tuple[str, dict[str, Command]]] = {
    "recipes": (
        "List the shipped recipes, show one with every value, explain the keys.",
        {"list": recipes.list_recipes, "show": recipes.show, "options": recipes.options},
    ),
}
"""Name → (help, commands below it)."""

app = build(COMMANDS, GROUPS)


def main() -> None:
    """Run the command that this process's arguments name, and end with its exit code."""
    run(app)
