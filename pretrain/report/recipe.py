"""The recipe of a run: what was chosen first, the machine's settings below."""

from __future__ import annotations

from pipelines.common.html.page import folded, settings, table
from pretrain.report.sources import Run

_FIRST = ("name", "seed", "objectives", "supervision", "model", "optimizer", "schedule")


def recipe(run: Run) -> str:
    """All settings of config.json."""
    chosen = {name: run.config[name] for name in _FIRST if name in run.config}
    rest = {name: value for name, value in run.config.items() if name not in chosen}
    return _table(chosen) + folded("tokenizer, data, engine and workers", _table(rest) if rest else "")


def subtitle(run: Run) -> str:
    """What the run is, in a line."""
    done = run.steps[-1]["step"] if run.steps else 0
    config = run.config
    return (
        f"{', '.join(config['objectives'])}; batch {config['data']['batch_size']}, seed {config['seed']}, "
        f"{done:,} of {run.document.get('total_steps', done):,} steps; config {run.document['config_hash']}"
    )


def _table(values: dict[str, object]) -> str:
    """A table for each section; what has none stands in the first. Names are those that `--set` takes."""
    plain = {name: value for name, value in values.items() if not isinstance(value, dict)}
    parts = [plain, *({name: value} for name, value in values.items() if isinstance(value, dict))]
    shown = "".join(table([], settings(part), numbers_from=9) for part in parts if part)
    return f'<div class="recipe">{shown}</div>'
