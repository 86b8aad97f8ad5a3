"""The recipe of a run: what was chosen first, the machine's settings below."""

from __future__ import annotations

from markupsafe import Markup

from pipelines.common.html.environment import joined, render
from pipelines.common.html.parts import folded
from pipelines.common.html.settings import settings
from pretrain.report.sources import Json, Run

_FIRST = ("name", "seed", "objectives", "supervision", "model", "optimizer", "schedule")


def recipe(run: Run) -> Markup:
    """All settings of config.json."""
    chosen = {name: run.config[name] for name in _FIRST if name in run.config}
    rest = {name: value for name, value in run.config.items() if name not in chosen}
    return joined([_tables(chosen), folded("tokenizer, data, engine and workers", _tables(rest))])


def subtitle(run: Run) -> str:
    """What the run is, in a line."""
    done = run.steps[-1]["step"] if run.steps else 0
    config = run.config
    # A task without objectives goes by its name.
    subject = ", ".join(config.get("objectives", {})) or config.get("task", "unknown task")
    return (
        f"{subject}; batch {config['data']['batch_size']}, seed {config['seed']}, "
        f"{done:,} of {run.document.get('total_steps', done):,} steps; config {run.document['config_hash']}"
    )


def _tables(values: Json) -> Markup:
    """A table per section of the settings; those outside of sections stand in the first. Empty without settings."""
    plain = {name: value for name, value in values.items() if not isinstance(value, dict)}
    parts = [plain, *({name: value} for name, value in values.items() if isinstance(value, dict))]
    tables = [settings(part) for part in parts if part]
    return render("pretrain.report", "recipe.html", tables=tables) if tables else Markup("")
