"""Names of classes for folders that are called by numbers of WordNet: used, or refused with both counts."""

import json

import pytest
from random_export import random_export
from raw_shards import picture

from data_filters.errors import InputError
from pretrain.evaluation.runner import run_evaluation

NAMES = ["tench", "goldfish", "great white shark"]


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    return random_export(tmp_path_factory.mktemp("run"))


@pytest.fixture
def data(tmp_path):
    for seed, folder in enumerate(("n01443537", "n01440764", "n01484850")):
        (tmp_path / "data" / folder).mkdir(parents=True)
        (tmp_path / "data" / folder / "0.jpg").write_bytes(picture(40, 40, seed))
    return tmp_path / "data"


def classes_shown(export, data, tmp_path, classes):
    """{folder: name} of the examples that an evaluation with this class list writes."""
    file = tmp_path / "names.json"
    file.write_text(json.dumps(classes))
    metrics = run_evaluation("classification", export, data, tmp_path / "out", options={"classes": str(file)})
    assert (metrics["classes"], metrics["images"]) == (3, 3)
    examples = json.loads((tmp_path / "out" / "examples.json").read_text())["classification"]
    return {entry["key"].split("/")[0]: entry["class"] for entry in examples}


FOLDERS = ["n01440764", "n01443537", "n01484850"]


@pytest.mark.parametrize("classes", [NAMES, dict(zip(reversed(FOLDERS), reversed(NAMES), strict=True))])
def test_a_list_in_the_order_of_the_folders_or_a_mapping_is_used(export, data, tmp_path, classes):
    assert classes_shown(export, data, tmp_path, classes) == dict(zip(FOLDERS, NAMES, strict=True))


@pytest.mark.parametrize("task", ["classification", "linear-probe"])
@pytest.mark.parametrize(
    ("classes", "said"),
    [
        (NAMES[:2], "lists 2 names, but data '.*data' has 3 classes"),
        ([*NAMES, "hammerhead"], "lists 4 names, but data '.*data' has 3 classes"),
        ({"n01440764": "tench"}, "names 1 of the 3 classes .* it lacks 'n01443537', 'n01484850'"),
    ],
)
def test_a_list_that_does_not_fit_is_refused(export, data, tmp_path, task, classes, said):
    file = tmp_path / "names.json"
    file.write_text(json.dumps(classes))
    with pytest.raises(InputError, match=said):
        run_evaluation(task, export, data, options={"classes": str(file)})
