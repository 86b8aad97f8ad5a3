"""One self-contained page about a run: scores, what it finds, how it learned, what it learned from, the recipe."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from pipelines.common.files import write_text
from pipelines.common.html.page import page
from pipelines.common.html.parts import cards
from pretrain.report.curves import curves
from pretrain.report.examples import example_sections
from pretrain.report.funnel import data_funnel
from pretrain.report.headlines import headlines
from pretrain.report.recipe import recipe, subtitle
from pretrain.report.scores import score_tables
from pretrain.report.sources import read_curations, read_evaluations, read_run
from pretrain.report.steps import slowest_steps

_NOTHING = Markup("")


def write_report(
    output_html: str,
    *,
    run: str | None = None,
    curation: str | Sequence[str] | None = None,
    evaluations: Sequence[str] = (),
) -> str:
    """Write the page to `output_html` and return that path. Sections without content are left out.

    Args:
        run: folder of `loupe pretrain` (config.json, metrics.jsonl).
        curation: folder or URI of `loupe curate` (report.json), or several; without it those of the run's data.
        evaluations: folders of `loupe evaluate` (metrics.json; examples.json and pictures where there are any).

    Raises InputError when a given folder lacks its file.
    """
    learned = None if run is None else read_run(run)
    given = [curation] if isinstance(curation, str) else list(curation or ())
    curations = read_curations(given, learned)
    results = read_evaluations(evaluations)
    name = learned.config.get("name", "run") if learned else "evaluation"
    content = page(
        f"loupe: {name}",
        subtitle(learned) if learned else "",
        cards(headlines(results, curations, learned)),
        [
            ("Scores", score_tables(results)),
            *example_sections(results),
            ("How it learned", curves(learned.steps) if learned else _NOTHING),
            ("Slowest steps", slowest_steps(learned) if learned else _NOTHING),
            ("What it learned from", data_funnel(curations, learned)),
            ("Recipe", recipe(learned) if learned else _NOTHING),
        ],
    )
    write_text(output_html, content)
    return output_html
