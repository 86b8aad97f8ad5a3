"""A new filter is one object and one line in FILTERS: recipe, scan, funnel and table follow from it."""

import json
import subprocess
import sys

PROGRAM = """
import io, json, sys
from PIL import Image
from data_filters import FILTERS
from data_filters.filter import Filter, Limit

FILTERS["loud"] = Filter(
    score="exclamations",
    measure=lambda facts: float(facts.caption.count("!")),
    at_most=Limit("max_exclamations", 1, "exclamation marks", "marks of the caption", minimum=0),
)

from pipelines.curate.config import CurateConfig
from pipelines.curate.decide import decide
from pipelines.curate.kept_samples import Part
from pipelines.curate.plan import make_plan
from pipelines.curate.scored import up_to_date
from pipelines.curate.funnel import funnel_table
from pipelines.curate.inputs import find_units
from pipelines.curate.write import write_unit
from pipelines.shards.reader import iterate
from pipelines.shards.writer import write_shard

folder = sys.argv[1]
picture = io.BytesIO()
Image.new("RGB", (300, 300)).save(picture, "JPEG")
captions = {"a": "a dog runs", "b": "look! a dog!", "c": "what a dog!"}
write_shard(f"{folder}/raw/0.tar", [(key, {"jpg": picture.getvalue(), "txt": text.encode()})
                                    for key, text in captions.items()])
config = CurateConfig.model_validate(json.loads(sys.argv[2]))
(unit,) = find_units(f"{folder}/raw")
plan = make_plan(config)
up_to_date(unit, plan.groups, f"{folder}/out")
found = up_to_date(unit, plan.groups, f"{folder}/out")
decision = decide(found, plan)
write_unit("0", [Part(found, decision)], f"{folder}/out", config, plan)
print(json.dumps({
    "kept": [key for key, _ in iterate(f"{folder}/out/0.tar")],
    "scores": found.columns(["exclamations"]).column(0).to_pylist(),
    "limit": config.limits()["max_exclamations"],
    "row": funnel_table(decision.funnel)[1][-2],
}))
"""


def run(folder, recipe: dict) -> dict:
    command = [sys.executable, "-c", PROGRAM, str(folder), json.dumps(recipe)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_the_new_filter_judges_and_is_counted(tmp_path):
    assert run(tmp_path / "default", {}) == {
        "kept": ["a", "c"],
        "scores": [0.0, 2.0, 1.0],
        "limit": 1,
        "row": ["loud", "keeps: at most 1 exclamation marks", "3", "1", "1", "1"],
    }
    assert run(tmp_path / "strict", {"max_exclamations": 0})["kept"] == ["a"]
