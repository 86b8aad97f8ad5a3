"""The search for a key among groups, on groups that are small enough to be read."""

import pytest
from pydantic import BaseModel

from cluster.option_groups import OptionGroup, find_options, option_groups
from data_filters.errors import InputError
from pipelines.common.options import describe
from pipelines.curate.rules import RULES
from pretrain.evaluation.tasks import TASKS
from pretrain.tasks import DEFAULT_TASK
from pretrain.tasks import TASKS as TRAINING_TASKS


class Data(BaseModel):
    batch_size: int = 4
    prefetch: int = 2


class Row(BaseModel):
    title: str = ""


class Recipe(BaseModel):
    seed: int = 0
    data: Data = Data()
    rows: dict[str, Row] = {}


GROUPS = [
    OptionGroup("training", "loupe pretrain", describe(Recipe)),
    OptionGroup("evaluation.retrieval", "loupe evaluate", describe(Data)),
]


def found(wanted: str) -> dict[str, list[str]]:
    return {group.name: [option.key for option in group.options] for group in find_options(GROUPS, wanted)}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("seed", {"training": ["seed"]}),
        ("data", {"training": ["data", "data.batch_size", "data.prefetch"]}),
        ("training.data.prefetch", {"training": ["data.prefetch"]}),
        ("batch_size", {"training": ["data.batch_size"], "evaluation.retrieval": ["batch_size"]}),
        ("evaluation", {"evaluation.retrieval": ["batch_size", "prefetch"]}),
        ("evaluation.retrieval.prefetch", {"evaluation.retrieval": ["prefetch"]}),
        ("retrieval", {"evaluation.retrieval": ["batch_size", "prefetch"]}),
        ("retrieval.prefetch", {"evaluation.retrieval": ["prefetch"]}),
        ("rows.mine.title", {"training": ["rows.NAME.title"]}),
    ],
)
def test_a_key_a_section_a_group_or_a_last_part(wanted, expected):
    assert found(wanted) == expected


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ("prefetsh", "did you mean prefetch"),
        ("data.batchsize", "did you mean data.batch_size"),
        ("zzzz", "known groups are training, evaluation.retrieval"),
    ],
)
def test_an_unknown_key_is_answered_with_the_nearest(wanted, says):
    with pytest.raises(InputError, match=says):
        find_options(GROUPS, wanted)


def test_the_groups_are_those_of_the_commands():
    groups = {group.name: group for group in option_groups()}
    assert [name for name in groups if "." not in name] == ["curation", "phrases", "pretraining", "ablation"]
    below = {f"evaluation.{task}" for task in TASKS} | {f"curation.rules.{kind}" for kind in RULES}
    below |= {f"pretraining.{task}" for task in TRAINING_TASKS if task != DEFAULT_TASK}
    assert {name for name in groups if "." in name} == below
    assert "scoring" in [option.key for option in groups["evaluation.retrieval"].options]
    assert "data.batch_size" in [option.key for option in groups["pretraining"].options]
    assert all(option.description for option in groups["curation"].options)
