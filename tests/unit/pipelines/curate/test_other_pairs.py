"""The pair on whose account another goes: found by its shard and row, shown beside it, hidden where a rule says so."""

import base64
import hashlib
import io
import json

import pytest
from curation import scanned, store
from page_reader import PageReader
from PIL import Image
from raw_shards import picture, write_tar

from pipelines.curate.config import CurateConfig
from pipelines.curate.corpus_decision import run_rules
from pipelines.curate.decide import decide
from pipelines.curate.examples import rejected_examples
from pipelines.curate.funnel import FilterCounts, Funnel
from pipelines.curate.inputs import find_units
from pipelines.curate.kept_samples import Part
from pipelines.curate.other_pairs import OtherPairs, read_row
from pipelines.curate.plan import make_plan
from pipelines.curate.report import Found, render, write_report
from pipelines.curate.score_files import ScoreFiles
from pipelines.curate.scores.facts import FACTS
from pipelines.curate.scores.storage import scores_uri
from pipelines.curate.write import write_unit

EVERY = {"same": 99, "small_image": 99, "secret": 99}
SAME = {"same": {"kind": "duplicates", "of": "image", "keep": "first"}}
SECRET = picture(200, 120, seed=9)


@pytest.fixture
def world(tmp_path):
    """Shard 0: pairs a, b; shard 1: pairs c (the image of b) and d; shard 2: e (the secret image)."""
    b = picture(160, 80, seed=1)
    write_tar(
        tmp_path / "raw" / "0.tar",
        {"a.jpg": picture(90, 90), "a.txt": "a one", "b.jpg": b, "b.txt": "b first"},
    )
    write_tar(
        tmp_path / "raw" / "1.tar", {"c.jpg": b, "c.txt": "c again", "d.jpg": picture(90, 91), "d.txt": "d"}
    )
    write_tar(tmp_path / "raw" / "2.tar", {"e.jpg": SECRET, "e.txt": "e secret"})
    return tmp_path


def recipe(world, min_side: int | None = None, **rules: object) -> CurateConfig:
    limits = {**dict.fromkeys(("max_aspect", "min_words", "max_words")), "min_side": min_side}
    return CurateConfig(rules={**rules, **SAME}, **limits)


def scan_all(world, config: CurateConfig) -> list:
    output = str(world / "out")
    found = [scanned(unit, config) for unit in find_units(str(world / "raw"))]
    for scores in found:
        store(scores, output, config)
    return found


def examples(world, config: CurateConfig, shard: int) -> list[dict]:
    """The examples of a shard, decided and written with all others."""
    plan, output = make_plan(config), str(world / "out")
    found = scan_all(world, config)
    source = ScoreFiles(output, ("0", "1", "2"), tuple(one.facts.num_rows for one in found), plan)
    rules = {step: rule.decide for step, rule in plan.corpus_steps().items()}
    decision = run_rules(source, rules, str(world / "decide"), config, None)
    for scores in found:
        part = Part(scores, decide(scores, plan, decision.drops(scores.unit.name)))
        write_unit(scores.unit.name, [part], output, config, plan, decisions=[decision])
    shown = rejected_examples(output, plan, 3, EVERY)
    return [one for of_rule in shown.values() for one in of_rule if one["shard"] == f"{shard}.tar"]


def size_of(picture_text: str) -> tuple[int, int]:
    with Image.open(io.BytesIO(base64.b64decode(picture_text))) as opened:
        return opened.size


def test_a_duplicate_stands_beside_the_first(world):
    (example,) = examples(world, recipe(world), 1)
    assert (example["filter"], example["key"], example["caption"]) == ("same", "c", "c again")
    other = example["other"]
    assert (other["shard"], other["key"], other["caption"]) == ("0.tar", "b", "b first")
    assert (other["width"], other["height"], size_of(other["picture"])) == (160, 80, (128, 64))
    assert size_of(example["picture"]) == (128, 64)


def test_a_rule_of_one_pair_has_no_other(world):
    config = recipe(world, min_side=85)
    found = examples(world, config, 1)
    assert [(one["key"], one["filter"], one["other"]) for one in found] == [("c", "small_image", None)]


def deny(tmp_path, image: bytes) -> dict:
    path = tmp_path / "list.txt"
    path.write_text(hashlib.sha256(image).hexdigest() + "\n")
    return {"kind": "deny_list", "of": "sha256", "files": [str(path)]}


def test_what_a_hiding_rule_rejects_is_nowhere_shown(world):
    config = recipe(world, secret=deny(world, SECRET))
    scan_all(world, config)
    others = OtherPairs(make_plan(config), str(world / "out"))
    hidden, shown = others.at("2", 0), others.at("0", 1)
    assert (hidden["key"], hidden["caption"], hidden["picture"]) == ("e", "", "")
    assert (shown["key"], shown["caption"]) == ("b", "b first")
    # Without the scores that the hiding rule reads nobody can tell.
    next((world / "out" / "scores").glob("digest-*/0.parquet")).unlink()
    assert others.at("0", 1)["picture"] == ""


def test_a_pair_of_an_earlier_output_is_found_there(world):
    config = recipe(world)
    scan_all(world, config)
    others = OtherPairs(make_plan(config), str(world / "elsewhere"))
    assert others.at(f"{world / 'out'}/1", 1)["key"] == "d"


def test_what_is_gone_has_no_picture_and_what_is_unknown_is_nothing(world):
    config = recipe(world)
    scan_all(world, config)
    others = OtherPairs(make_plan(config), str(world / "out"))
    assert others.at("3", 0) is None
    assert others.at("?", 0) is None
    assert others.at("0", 2) is None  # it has two pairs
    (world / "raw" / "0.tar").write_bytes(b"")
    assert (others.at("0", 1)["key"], others.at("0", 1)["picture"]) == ("b", "")


def test_a_row_is_found_in_whatever_row_group(world, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(
        pa.table({"x": list(range(10)), "y": list("abcdefghij")}), tmp_path / "t.parquet", row_group_size=3
    )
    assert [read_row(str(tmp_path / "t.parquet"), row, ["x"]).to_pylist() for row in (0, 3, 9)] == [
        [{"x": 0}],
        [{"x": 3}],
        [{"x": 9}],
    ]
    assert read_row(str(tmp_path / "t.parquet"), 10, ["x"]) is None
    assert read_row(scores_uri(str(tmp_path), FACTS, "none"), 0, ["key"]) is None


def test_the_report_shows_both_and_its_json_no_picture(world):
    (example,) = examples(world, recipe(world), 1)
    text = render("in", "out", recipe(world), FUNNEL_OF_SAME, Found(examples={"same": [example]}))
    page = PageReader(text)
    assert page.open == []
    assert text.count("<img") == 2
    assert "b first" in page.text
    assert "because of" in page.text
    write_report(
        str(world / "out"), "in", recipe(world), FUNNEL_OF_SAME, None, Found(examples={"same": [example]})
    )
    (stored,) = json.loads((world / "out" / "report.json").read_bytes())["examples"]["same"]
    assert stored["other"] == {"shard": "0.tar", "key": "b", "width": 160, "height": 80, "caption": "b first"}
    assert "picture" not in stored


FUNNEL_OF_SAME = Funnel(pairs=4, kept=3, filters=[FilterCounts("same", "keeps: the first")])
