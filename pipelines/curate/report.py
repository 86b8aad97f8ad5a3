"""The funnel of a run: `report.json` for machines, `report.html` for people, in one file with its pictures."""

import html
import json
from dataclasses import asdict
from typing import Any

from data_filters import get_filter
from pipelines.common.config import config_hash, output_settings
from pipelines.common.files import filesystem, join, write_json, write_text
from pipelines.curate.config import CurateConfig
from pipelines.curate.examples import EXAMPLES
from pipelines.curate.funnel import FilterCounts, Funnel
from pipelines.phrases.page import PHRASES_PAGE
from pipelines.phrases.page import SHOWN as SHOWN_PHRASES

SHOWN = 12  # pictures per filter in the HTML

_UNITS = {"shorter_side": "px, shorter side", "aspect_ratio": "longer over shorter side", "words": "words"}
_RULES = {"above": "kept above", "at_least": "kept from", "at_most": "kept up to"}


def write_report(output: str, input: str, config: CurateConfig, funnel: Funnel) -> str:
    """Write both files from the funnel and the examples in `output`; return the URI of the HTML."""
    examples = _examples(output)
    report = {
        "version": 1,
        "input": input,
        "config_hash": config_hash(config),
        "config": output_settings(config),
        "funnel": asdict(funnel),
        "examples": {
            name: [{key: value for key, value in one.items() if key != "picture"} for one in chosen]
            for name, chosen in examples.items()
        },
    }
    write_json(join(output, "report.json"), report, errors="replace")
    page = render(input, output, config, funnel, examples)
    write_text(join(output, "report.html"), page, errors="replace")
    return join(output, "report.html")


def _examples(output: str) -> dict[str, list[dict[str, Any]]]:
    """Rejected pairs by filter, taken in turn from all shards so that no single shard fills the page."""
    fs, path = filesystem(join(output, EXAMPLES))
    if not fs.isdir(path):
        return {}
    ranked: list[tuple[int, str, dict[str, Any]]] = []
    for file in sorted(fs.ls(path, detail=False)):
        if not file.endswith(".json"):
            continue
        rank: dict[str, int] = {}
        for one in json.loads(fs.cat_file(file)):
            rank[one["filter"]] = rank.get(one["filter"], 0) + 1
            ranked.append((rank[one["filter"]], file, one))
    ranked.sort(key=lambda item: item[:2])
    chosen: dict[str, list[dict[str, Any]]] = {}
    for _, _, one in ranked:
        of_filter = chosen.setdefault(one["filter"], [])
        if len(of_filter) < SHOWN:
            of_filter.append(one)
    return chosen


def render(
    input: str,
    output: str,
    config: CurateConfig,
    funnel: Funnel,
    examples: dict[str, list[dict[str, Any]]],
) -> str:
    """The page: no script, nothing fetched, light and dark."""
    cards = [
        ("samples found", funnel.samples, ""),
        ("not readable", funnel.quarantined, _share(funnel.quarantined, funnel.samples)),
        ("pairs judged", funnel.pairs, ""),
        ("kept", funnel.kept, _share(funnel.kept, funnel.pairs)),
    ]
    body = "".join(
        f'<div class="card"><b>{value:,}</b><span>{name}</span><i>{share}</i></div>'
        for name, value, share in cards
    )
    sections = "".join(_example_section(one, examples.get(one.name, [])) for one in funnel.filters)
    settings = html.escape(json.dumps(output_settings(config), indent=1))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>What was kept, and why not</title><style>{_STYLE}</style></head><body>
<h1>What was kept, and why not</h1>
<p class="quiet">{html.escape(input)} → {html.escape(output)}, config {config_hash(config)}</p>
<div class="cards">{body}</div>
<h2>Filters, in order</h2>
<table><thead><tr><th>filter</th><th>rule</th><th>saw</th><th>rejected in order</th><th></th>
<th title="fail this filter, whatever the others say">fail it</th>
<th title="fail this filter and no other: would stay if it were switched off">fail it alone</th></tr></thead>
<tbody>{"".join(_filter_row(one, funnel.pairs) for one in funnel.filters)}
<tr class="total"><td>kept</td><td></td><td></td><td>{funnel.kept:,}</td><td>{_bar(funnel.kept, funnel.pairs, "good")}
</td><td></td><td></td></tr></tbody></table>
{_quarantine(funnel)}{_phrases(config)}{sections}
<h2>Recipe</h2><pre>{settings}</pre>
</body></html>
"""


def _phrases(config: CurateConfig) -> str:
    if not config.phrases:
        return ""
    link = f'<a href="{PHRASES_PAGE}">{SHOWN_PHRASES} of them, marked</a>'
    return f"<h2>Phrases</h2><p>Found in every kept caption; {link}.</p>"


def _filter_row(one: FilterCounts, pairs: int) -> str:
    return (
        f"<tr><td>{html.escape(one.name)}</td><td>{_rule(one)}</td><td>{one.seen:,}</td>"
        f"<td>{one.rejected_in_order:,}</td><td>{_bar(one.rejected_in_order, pairs, 'bad')}</td>"
        f"<td>{one.rejected:,}</td><td>{one.rejected_alone:,}</td></tr>"
    )


def _rule(one: FilterCounts) -> str:
    chosen = get_filter(one.name)
    rule = next(text for name, text in _RULES.items() if getattr(chosen, name) is not None)
    return f"{rule} {one.limit:g} {_UNITS.get(one.score, one.score)}"


def _quarantine(funnel: Funnel) -> str:
    if not funnel.quarantined:
        return ""
    rows = "".join(
        f"<tr><td>{html.escape(reason)}</td><td>{count:,}</td><td>{_bar(count, funnel.samples, 'bad')}</td></tr>"
        for reason, count in funnel.quarantine.items()
    )
    return (
        '<h2>Not readable</h2><p class="quiet">Set aside in quarantine/*.parquet, each with its shard and offset.'
        f"</p><table><thead><tr><th>reason</th><th>samples</th><th></th></tr></thead><tbody>{rows}</tbody></table>"
    )


def _example_section(one: FilterCounts, examples: list[dict[str, Any]]) -> str:
    if not examples:
        return ""
    figures = "".join(
        "<figure>"
        + (
            f'<img alt="" src="data:image/jpeg;base64,{example["picture"]}">'
            if example["picture"]
            else '<div class="none">does not decode</div>'
        )
        + f"<figcaption><b>{example['value']:g}</b> against {example['limit']:g}, {example['width']} × "
        f"{example['height']} px<br>{html.escape(example['caption'])}<br>"
        f'<span class="quiet">{html.escape(example["shard"])} {html.escape(example["key"])}</span>'
        "</figcaption></figure>"
        for example in examples
    )
    return (
        f'<h2>{html.escape(one.name)}</h2><p class="quiet">{_rule(one)}; {one.rejected_in_order:,} rejected, '
        f'{len(examples)} shown</p><div class="gallery">{figures}</div>'
    )


def _bar(part: int, whole: int, kind: str) -> str:
    share = part / whole if whole else 0.0
    return f'<div class="bar"><div class="{kind}" style="width:{100 * share:.1f}%"></div></div>'


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else ""


_STYLE = """
:root{color-scheme:light dark;--ink:#1c1e21;--paper:#fff;--quiet:#667;--line:#dde;--good:#2a8f5c;--bad:#c8553d}
@media(prefers-color-scheme:dark){:root{--ink:#e8e9eb;--paper:#16181c;--quiet:#99a;--line:#334;--good:#4fbf87;--bad:#e0806a}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:70rem;margin:2rem auto;
padding:0 1rem}h1{font-size:1.6rem;margin:0}h2{font-size:1.15rem;margin:2rem 0 .4rem}
.quiet{color:var(--quiet);margin:.2rem 0}
.cards{display:flex;flex-wrap:wrap;gap:.8rem;margin:1.2rem 0}.card{border:1px solid var(--line);border-radius:.5rem;
padding:.7rem 1.1rem;min-width:8rem}.card b{display:block;font-size:1.5rem}.card span{color:var(--quiet)}
.card i{font-style:normal;margin-left:.5rem}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid var(--line)}th{color:var(--quiet);font-weight:500}
.total{font-weight:600}.bar{width:10rem;height:.7rem;background:var(--line);border-radius:.35rem;overflow:hidden}
.bar div{height:100%}.good{background:var(--good)}.bad{background:var(--bad)}
.gallery{display:grid;grid-template-columns:repeat(auto-fill,minmax(11rem,1fr));gap:.8rem}
figure{margin:0;border:1px solid var(--line);border-radius:.5rem;padding:.6rem}figure img{max-width:100%;display:block;
margin:0 auto .4rem}.none{color:var(--quiet);padding:2rem 0;text-align:center}figcaption{font-size:.8rem;
overflow-wrap:anywhere;max-height:9rem;overflow:auto}pre{border:1px solid var(--line);border-radius:.5rem;padding:.8rem;
overflow:auto}
@media(max-width:44rem){table{display:block;overflow-x:auto}.bar{width:4rem}th,td{padding:.3rem .4rem}}
"""
