import re

from pretrain.report.funnel import data_funnel, kept
from pretrain.report.sources import Curation, Run

FUNNEL = {
    "samples": 200,
    "quarantined": 50,
    "kept": 75,
    "filters": [
        {"name": "small_image", "rejected_in_order": 25, "words": "keeps: shorter side above 64 px"},
        {"name": "<script>", "rejected_in_order": 50},
    ],
}


def test_every_stage_has_its_count_its_share_and_its_bar():
    page = data_funnel([Curation("x", {"input": "raw & wild", "funnel": FUNNEL})], None)
    rows = re.findall(
        r'<td>(.*?)</td><td class="number">(.*?)</td><td class="number">(.*?)</td>.*?class="(\w+)" style="width:(.*?)"',
        page,
    )
    assert rows == [
        ("found in the shards", "200", "100.0 %", "plain", "100.0%"),
        ("not readable", "50", "25.0 %", "bad", "25.0%"),
        ("rejected: small image (keeps: shorter side above 64 px)", "25", "12.5 %", "bad", "12.5%"),
        ("rejected: &lt;script&gt;", "50", "25.0 %", "bad", "25.0%"),
        ("kept", "75", "37.5 %", "good", "37.5%"),
    ]
    assert "raw &amp; wild, filters in their order" in page


def test_a_report_of_an_older_version_names_key_and_limit():
    counts = {"name": "small_image", "rejected_in_order": 25, "limit_name": "min_side", "limit": 64}
    page = data_funnel([Curation("x", {"input": "raw", "funnel": {**FUNNEL, "filters": [counts]}})], None)
    assert "rejected: small image (min_side 64)" in page


def test_an_empty_curation_divides_by_nothing(tmp_path):
    funnel = {"samples": 0, "quarantined": 0, "kept": 0, "filters": []}
    assert "0.0 %" in data_funnel([Curation("x", {"input": "raw", "funnel": funnel})], None)


def test_shards_are_counted(tmp_path):
    run = Run(tmp_path, {"config": {}, "shards": [{"samples": 1500}], "data": "s3://data"}, [])
    assert "1,500 pairs in 1 shard of s3://data." in data_funnel([], run)
    assert data_funnel([], Run(tmp_path, {"config": {}}, [])) == ""
    assert data_funnel([], None) == ""


def test_kept_adds_all_curations_with_a_report():
    report = {"funnel": FUNNEL}
    assert kept([Curation("a", report), Curation("b", None), Curation("c", report)]) == (150, 400)
    assert kept([]) == (0, 0)
