"""Kinds of recipes: which one a name is of, and the sentence about it."""

import dataclasses

import pytest

from cluster.recipe_kinds import KINDS, kind_of
from data_filters.errors import InputError


def test_the_summary_is_the_first_sentence_of_the_comment(tmp_path):
    (tmp_path / "two.yaml").write_text(
        "# Rules of 1.5 px that\n# need a pair alone. And more.\nseed: 1 # no\n"
    )
    (tmp_path / "none.yaml").write_text("seed: 1\n# late.\n")
    (tmp_path / "paper.yaml").write_text("# ALIGN (Jia et al. 2021, arXiv 1). More.\n")
    kind = dataclasses.replace(KINDS["curation"], folder=tmp_path)
    assert kind.names() == ["none", "paper", "two"]
    assert kind.summary("two") == "Rules of 1.5 px that need a pair alone."
    assert kind.summary("paper") == "ALIGN (Jia et al. 2021, arXiv 1)."
    assert kind.summary("none") == ""


def test_a_name_that_one_kind_ships_needs_no_kind():
    assert kind_of("loupe_paper", None) == "curation"
    assert kind_of("clip_vit_b32", None) == "pretraining"
    assert kind_of("icon_world", "ablation") == "ablation"


def test_a_name_that_several_ship_and_a_file_need_one(tmp_path):
    with pytest.raises(InputError, match="--kind curation or --kind pretraining or --kind ablation"):
        kind_of("icon_world", None)
    file = tmp_path / "mine.yaml"
    file.touch()
    with pytest.raises(InputError, match="is a file; say what it is: --kind curation"):
        kind_of(str(file), None)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_checks_its_recipes(kind):
    name = KINDS[kind].names()[0]
    assert KINDS[kind].load(name, None).model_config["extra"] == "forbid"
    with pytest.raises(InputError, match="unknown key nonsense_"):
        KINDS[kind].load(name, ["nonsense_=1"])
