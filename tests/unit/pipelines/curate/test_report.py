"""The report: the numbers of the funnel, in JSON and on a page that needs nothing else."""

import html.parser
import json
import re
from dataclasses import asdict, replace

import pyarrow as pa
from curation import judged, scores_of
from page_reader import PageReader

from pipelines.common.files import write_parquet
from pipelines.curate.commits import sum_commits
from pipelines.curate.config import CurateConfig
from pipelines.curate.cost import Cost
from pipelines.curate.funnel import empty_funnel
from pipelines.curate.histograms import histograms
from pipelines.curate.plan import make_plan
from pipelines.curate.report import Found, found_in, render, write_report
from pipelines.curate.scores.storage import QUARANTINE_SCHEMA

CONFIG = CurateConfig()
ROWS = [
    {"key": "good", "shorter_side": 300.0, "aspect_ratio": 1.0, "words": 5.0},
    {"key": "small", "shorter_side": 64.0, "aspect_ratio": 1.0, "words": 5.0},
]
FUNNEL = judged(scores_of(ROWS, [{"reason": "no_image"}]), CONFIG).funnel


def example(shard: str, number: int) -> dict:
    return {
        "filter": "small_image",
        "shard": shard,
        "key": f"k{number}",
        "value": "64",
        "limit": "200",
        "width": 64,
        "height": 90,
        "caption": "<script>alert('x')</script> & co",
        "picture": "AAAA" if number % 2 else "",
    }


class Page(html.parser.HTMLParser):
    """Tags, outside addresses and text of a page; whether every tag is closed."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.open, self.addresses, self.text = [], [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_page_is_whole_safe_and_needs_nothing(tmp_path):
    found = Found(examples={"small_image": [example("0.tar", 1), example("0.tar", 2)]})
    text = render("in & out", "out", CONFIG, FUNNEL, found)
    page = Page(text)
    assert page.open == []
    assert "script" not in page.tags
    assert all(address.startswith(("data:", "#")) for address in page.addresses)
    assert "<script>alert('x')</script> & co" in page.text
    assert "does not decode" in page.text
    assert "prefers-color-scheme: dark" in text
    for name in ["small_image", "extreme_aspect", "few_words", "many_words", "no_image"]:
        assert name in page.text


def test_files_hold_the_funnel_and_the_examples(tmp_path):
    shown = [example(f"{number % 3}.tar", number) for number in range(10)]
    page = write_report(str(tmp_path), "in", CONFIG, FUNNEL, None, Found(examples={"small_image": shown}))
    assert page == f"{tmp_path}/report.html"
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["funnel"]["samples"], report["funnel"]["pairs"], report["funnel"]["kept"]) == (3, 2, 1)
    assert report["funnel"]["quarantine"] == {"no_image": 1}
    stored = report["examples"]["small_image"]
    assert [one["key"] for one in stored] == [one["key"] for one in shown]
    assert all("picture" not in one for one in stored)
    assert (tmp_path / "report.html").read_text().count("<figure>") == 10


def test_the_page_shows_every_count_of_the_funnel():
    source = render("in", "out", CONFIG, FUNNEL)
    rows = [re.findall("<td[^>]*>(.*?)</td>", row) for row in re.findall("<tr.*?</tr>", source)]
    counts = {row[0]: [cell for cell in row[1:] if "bar" not in cell] for row in rows if row}
    # By hand: of three samples one is broken; of two pairs the small one fails the first filter and no other.
    assert counts["small_image"] == ["keeps: shorter side above 200 px", "2", "1", "1", "1"]
    assert counts["extreme_aspect"][1:] == ["1", "0", "0", "0"]
    assert counts["kept"] == ["", "", "1", "", ""]
    assert counts["no_image"] == ["1"]
    assert source.count("width:50.0%") == 2  # rejected as small, and kept
    assert "<small>33.3 %</small>" in source
    assert "<small>50.0 %</small>" in source


def test_the_page_says_which_numbers_are_estimated():
    lost = {"reason": "broken_shard", "count": 1200, "estimated": True}
    funnel = judged(scores_of(ROWS, [lost, {"reason": "no_image"}]), CONFIG).funnel
    assert "1,200 of them are estimated" in Page(render("in", "out", CONFIG, funnel)).text
    assert "estimated" not in Page(render("in", "out", CONFIG, FUNNEL)).text


def test_scores_quarantine_and_cost_stand_on_the_page_and_the_cost_alone_is_not_in_the_json(tmp_path):
    plan = make_plan(CONFIG)
    manifests = {
        name: {
            "inputs": [{"quarantine": f"quarantine/{name}.parquet" if name == "0" else None}],
            "outputs": [],
            "funnel": asdict(FUNNEL if name == "0" else empty_funnel(plan)),
            "histograms": histograms(scores_of(ROWS), plan),
        }
        for name in "01"
    }
    bad = {"shard": "0.tar", "key": "x", "reason": "no_image", "exception": "x has no image", "count": 1}
    write_parquet(str(tmp_path / "quarantine" / "0.parquet"), pa.Table.from_pylist([bad], QUARANTINE_SCHEMA))
    found = found_in(str(tmp_path), sum_commits(manifests.values(), plan), plan, [Cost("facts", 2, 0.5)])
    write_report(str(tmp_path), "in", CONFIG, FUNNEL, found=found)
    page = PageReader((tmp_path / "report.html").read_text())
    assert page.open == []
    assert page.tags.count("svg") == 3  # shorter side, aspect ratio, words
    for text in ("small_image 200", "x has no image", "250,000", "4 pairs"):
        assert text in page.text
    report = json.loads((tmp_path / "report.json").read_text())
    # By hand: two shards, each with sides of 64 and 300 px; bins of an eighth of an octave.
    assert report["histograms"]["shorter_side"] == {"bins": [[64, 72, 2], [288, 320, 2]], "missing": 0}
    assert report["quarantine"][0]["exception"] == "x has no image"
    write_report(str(tmp_path / "again"), "in", CONFIG, FUNNEL, found=replace(found, costs=()))
    assert (tmp_path / "again" / "report.json").read_bytes() == (tmp_path / "report.json").read_bytes()
