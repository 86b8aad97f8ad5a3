"""The funnel of a run: `report.json` for machines, `report.html` for people, in one file with its pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from pipelines.common.config import config_hash, output_settings
from pipelines.common.files import join, write_json, write_text
from pipelines.common.html.environment import render as render_template
from pipelines.common.html.page import page
from pipelines.common.html.parts import bar, cards, preformatted, quiet, table
from pipelines.curate.commits import Totals
from pipelines.curate.config import CurateConfig
from pipelines.curate.cost import Cost, cost_section
from pipelines.curate.examples import Example, rejected_examples
from pipelines.curate.funnel import HEAD, FilterCounts, Funnel
from pipelines.curate.histograms import NAN, Histograms
from pipelines.curate.nearest import SHOWN, nearest_pairs
from pipelines.curate.no_verdict import read_no_verdict
from pipelines.curate.plan import Plan
from pipelines.curate.quarantine_examples import QuarantineExample, quarantine_examples
from pipelines.curate.rule_counts import counted_notes
from pipelines.curate.rule_notes import read_rule_notes
from pipelines.curate.score_charts import bins_of, score_section
from pipelines.phrases.page import PHRASES_PAGE
from pipelines.phrases.page import SHOWN as SHOWN_PHRASES

TITLE = "Curation report"

_PACKAGE = "pipelines.curate"
_BAR = HEAD.index("dropped") + 1  # the column of the bar, which has no name
_HEAD = [*HEAD[:_BAR], "", *HEAD[_BAR:]]
_HINTS = {
    _HEAD.index("fail"): "fail this filter, whatever the others say",
    _HEAD.index("fail only this"): "fail this filter and no other: would stay if it were switched off",
}


@dataclass(frozen=True)
class Found:
    """What a report shows beside the funnel.

    `examples`: rejected pairs by rule.
    `no_verdict`: the pairs that rules cannot judge, by rule and cause. `costs`: those of the last run, which stand in
    the HTML alone, since `report.json` is equal for equal runs.
    """

    plan: Plan | None = None
    examples: Mapping[str, Sequence[Example]] = field(default_factory=dict)
    histograms: Histograms = field(default_factory=dict)
    quarantine: Sequence[QuarantineExample] = ()
    no_verdict: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    costs: Sequence[Cost] = ()
    nearest: Mapping[str, Sequence[Example]] = field(default_factory=dict)  # pairs nearest to a rule's limit
    rule_notes: Sequence[str] = ()  # what a person must know of how rules over the corpus went


def found_in(output: str, totals: Totals, plan: Plan, costs: Sequence[Cost] = (), examples: int = 0) -> Found:
    """Gather it from an output and the sums over its commits; `examples`: how many of a rule and shard."""
    return Found(
        plan,
        rejected_examples(
            output, plan, examples, {one.name: one.rejected_in_order for one in totals.funnel.filters}
        ),
        totals.histograms,
        quarantine_examples(output, totals.quarantine_files, totals.funnel.quarantine),
        {**totals.no_verdict, **read_no_verdict(output)},
        costs,
        nearest_pairs(output, plan, min(SHOWN, SHOWN * examples)),
        [*read_rule_notes(output), *counted_notes(plan, totals.rule_counts)],
    )


def write_report(
    output: str,
    input: str,
    config: CurateConfig,
    funnel: Funnel,
    recipe: str | None = None,
    found: Found | None = None,
) -> str:
    """Write both files from the funnel and what was found; return the URI of the HTML.

    `recipe`: the hash that names the recipe, by default that of its settings.
    """
    found = found or Found()
    report = {
        "version": 1,
        "input": input,
        "config_hash": recipe or config_hash(config),
        "config": output_settings(config),
        "funnel": funnel.as_json(),
        "histograms": {
            name: {"bins": bins_of(bins), "missing": bins.get(NAN, 0)}
            for name, bins in found.histograms.items()
        },
        "no_verdict": found.no_verdict,
        "rule_notes": list(found.rule_notes),
        "quarantine": list(found.quarantine),
        "examples": {
            name: [_without_pictures(one) for one in chosen] for name, chosen in found.examples.items()
        },
    }
    if found.nearest:
        report["nearest"] = {
            name: [_without_pictures(one) for one in of] for name, of in found.nearest.items()
        }
    write_json(join(output, "report.json"), report, errors="replace")
    content = render(input, output, config, funnel, found)
    write_text(join(output, "report.html"), content, errors="replace")
    return join(output, "report.html")


# Any: what JSON holds.
def _without_pictures(example: Example) -> dict[str, Any]:
    kept: dict[str, Any] = {key: value for key, value in example.items() if key != "picture"}
    other = example.get("other")
    if other is not None:
        kept["other"] = {key: value for key, value in other.items() if key != "picture"}
    return kept


def render(
    input: str,
    output: str,
    config: CurateConfig,
    funnel: Funnel,
    found: Found | None = None,
) -> str:
    """Render the page: counts, filters in order, scores, quarantine, cost, examples by filter, recipe."""
    found = found or Found()
    headline = [
        (f"{funnel.samples:,}", "samples found", ""),
        (f"{funnel.quarantined:,}", "not readable", _share(funnel.quarantined, funnel.samples)),
        (f"{funnel.pairs:,}", "pairs judged", ""),
        (f"{funnel.kept:,}", "kept", _share(funnel.kept, funnel.pairs)),
    ]
    sections = [
        (
            "Filters, in order",
            _filters(funnel) + _no_verdict(found.no_verdict) + _rule_notes(found.rule_notes),
        ),
        ("Scores", score_section(found.histograms, found.plan) if found.plan else Markup("")),
        ("Not readable", _quarantine(funnel) + _quarantine_examples(found.quarantine)),
        ("Cost", cost_section(found.costs)),
        ("Phrases", _phrases() if config.phrases else Markup("")),
        *((counts.name, _rejected(counts, found.examples.get(counts.name, []))) for counts in funnel.filters),
        *((f"{name}: nearest to the limit", _nearest(examples)) for name, examples in found.nearest.items()),
        ("Recipe", preformatted(json.dumps(output_settings(config), indent=1))),
    ]
    return page(TITLE, f"{input} → {output}, config {config_hash(config)}", cards(headline), sections)


def _no_verdict(counts: Mapping[str, Mapping[str, int]]) -> Markup:
    """A row for each rule and cause by which pairs reached it that it could not judge, and so did not drop."""
    rows = [
        [rule, cause, f"{count:,}"]
        for rule, causes in counts.items()
        for cause, count in causes.items()
        if count
    ]
    if not rows:
        return Markup("")
    return quiet("Pairs that a rule could not judge, and did not drop:") + table(
        ["filter", "pairs without a verdict", "count"], rows, numbers_from=2
    )


def _rule_notes(notes: Sequence[str]) -> Markup:
    """A line for each sentence."""
    return Markup("").join(quiet(sentence) for sentence in notes)


def _quarantine_examples(examples: Sequence[QuarantineExample]) -> Markup:
    """The first samples of each reason."""
    if not examples:
        return Markup("")
    rows = [[one["reason"], one["shard"], one["key"], one["exception"]] for one in examples]
    return table(["reason", "shard", "key", "first samples"], rows, numbers_from=4)


def _phrases() -> Markup:
    """A line that links to the page of phrases."""
    return render_template(_PACKAGE, "phrases.html", address=PHRASES_PAGE, count=SHOWN_PHRASES)


def _filters(funnel: Funnel) -> Markup:
    """A row per filter, and the pairs kept in the last one."""
    rows: list[list[str]] = []
    for counts in funnel.filters:
        cells = counts.cells()
        rows.append([*cells[:_BAR], bar(counts.rejected_in_order, funnel.pairs, "bad"), *cells[_BAR:]])
    rows.append(["kept", "", "", f"{funnel.kept:,}", bar(funnel.kept, funnel.pairs, "good"), "", ""])
    return table(_HEAD, rows, numbers_from=2, words={_BAR}, hints=_HINTS, total=True)


def _quarantine(funnel: Funnel) -> Markup:
    """A row per reason; empty when every sample could be read."""
    if not funnel.quarantined:
        return Markup("")
    rows = [
        [reason, f"{count:,}", bar(count, funnel.samples, "bad")]
        for reason, count in funnel.quarantine.items()
    ]
    text = "Set aside in quarantine/*.parquet, each with its shard and offset."
    if funnel.estimated:
        text += f" {funnel.estimated:,} of them are estimated, since damaged shards do not say how many they held."
    return quiet(text) + table(["reason", "samples", ""], rows, words={2})


def _rejected(counts: FilterCounts, examples: Sequence[Example]) -> Markup:
    """Pictures and captions of pairs that a filter rejected; empty without any."""
    if not examples:
        return Markup("")
    remark = f"{counts.words}; {counts.rejected_in_order:,} rejected, {len(examples)} shown"
    return quiet(remark) + render_template(_PACKAGE, "examples.html", examples=examples)


def _nearest(examples: Sequence[Example]) -> Markup:
    """Pictures and captions of the pairs on either side of a limit."""
    remark = f"limit: {examples[0]['limit']}; the nearest pairs below it, then those above"
    return quiet(remark) + render_template(_PACKAGE, "examples.html", examples=examples)


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else ""
