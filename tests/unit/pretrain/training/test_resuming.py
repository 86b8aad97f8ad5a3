"""A run goes on where what is learned is the same; where it is not, the line names each setting and shard."""

from pathlib import Path

import pytest

from data_filters.errors import InputError
from pipelines.common.config import Difference, output_settings
from pipelines.common.explain import override
from pretrain.tasks.dual_encoder_config import DualEncoderConfig
from pretrain.training.resuming import ORDER, changed_settings, changed_shards, check_settings, named_shards
from pretrain.training.run_record import RunRecord


def recipe(*assignments: str) -> DualEncoderConfig:
    values = {"objectives": {"contrastive": {}, "sigmoid": {}}}
    for assignment in assignments:
        override(DualEncoderConfig, values, assignment)
    return DualEncoderConfig.model_validate(values)


def shard(name: str, sha256: str = "aa", samples: int = 3, witness: dict | None = None) -> dict:
    return {"uri": name, "samples": samples, "sha256": sha256, "witness": witness}


def test_every_setting_that_differs_is_named_with_both_values():
    stored = RunRecord(recipe().model_dump(mode="json"), (), None, 4, ())
    other = recipe(
        "seed=7",
        "model.image.kind=vit",
        "model.image.depths=[2]",
        "model.image.heads=[3]",
        "data.flip=true",
        "objectives.sigmoid=null",
        "start.weights=/w",
    )
    with pytest.raises(InputError) as refused:
        check_settings(Path("/run"), stored, other, (48, 16))
    line = str(refused.value)
    assert "\n" not in line
    for said in (
        "seed is 0 there, 7 here",
        'model.image.kind is "swin" there, "vit" here',
        "model.image.depths is [2, 2, 6, 2] there, [2] here",
        "data.flip is false there, true here",
        'objectives.sigmoid is {"weight": 1.0} there, absent here',
        'start.weights is absent there, "/w" here',
        "shares (--data URI=WEIGHT) is absent there, [48, 16] here",
        "give a new folder",
    ):
        assert said in line


def test_what_is_not_learned_may_change():
    stored = recipe().model_dump(mode="json")
    other = recipe(
        "name=other",
        "data.max_bad_fraction=0.5",
        "data.prefetch=1",
        "data.decode_threads=3",
        "data.accumulation=2",
        "engine.zero_stage=2",
        "schedule.log_keys=true",
        "schedule.checkpoint_every=1",
        "supervision.chunk=64",
        "objectives.sigmoid.chunk=2",
        "workers.count=2",
    )
    assert changed_settings(stored, other) == []


def test_a_key_that_an_older_record_lacks_has_its_default_and_marks_may_change():
    """An older version knew no `phrase_share`, and counted `max_bad_fraction` as something that is learned."""
    stored = recipe("data.max_bad_fraction=0.2").model_dump(mode="json")
    del stored["data"]["phrase_share"]
    assert changed_settings(stored, recipe()) == []
    assert changed_settings(stored, recipe("data.phrase_share=0.5")) == [
        Difference("data.phrase_share", 0.0, 0.5)
    ]


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        ({"data": {"augment": 3}}, "data.augment: Extra inputs"),
        ({"task": "chess"}, "task is 'chess'"),
        ({"seed": -1}, "seed"),
    ],
)
def test_a_recipe_that_cannot_be_read_any_more_is_one_line(stored, said):
    with pytest.raises(InputError, match="recipe this version does not understand") as refused:
        check_settings(Path("/run"), RunRecord(stored, (), None, 4, ()), recipe(), None)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_same_bytes_elsewhere_or_under_other_names_are_the_same_data():
    there = [shard("/a/0.tar", "aa"), shard("/a/1.tar", "bb")]
    assert changed_shards(there, [shard("/b/x.tar", "aa"), shard("/b/y.tar", "bb")], 5) == []


def test_changed_new_and_removed_shards_are_named():
    there = [shard("/a/0.tar", "aa"), shard("/a/1.tar", "bb"), shard("/a/2.tar", "cc")]
    here = [shard("/b/0.tar", "aa"), shard("/b/1.tar", "dd", samples=2), shard("/b/3.tar", "ee")]
    changes = changed_shards(there, here, 5)
    assert [(change["shard"], change["sha256"], change["samples"]) for change in changes] == [
        ("1.tar", ("bb", "dd"), (3, 2)),
        ("2.tar", ("cc", None), (3, None)),
        ("3.tar", (None, "ee"), (None, 3)),
    ]
    assert {change["step"] for change in changes} == {5}
    assert named_shards(changes) == (
        "1.tar has other bytes (sha256 bb… there, dd… here; 3 samples there, 2 here), 2.tar is gone (3 samples), "
        "3.tar is new (3 samples)"
    )
    many = changed_shards([], [shard(f"/a/{n}.tar") for n in range(9)], 0)
    assert named_shards(many).endswith(", and 4 more")


def test_another_order_of_the_same_shards_is_other_data():
    there = [shard("/a/0.tar", "aa"), shard("/b/0.tar", "bb")]
    assert [change["shard"] for change in changed_shards(there, there[::-1], 0)] == [ORDER]


@pytest.mark.parametrize(
    ("there", "here", "same"),
    [
        (shard("/a/0.tar", "", witness={"etag": "x"}), shard("/a/0.tar", "", witness={"etag": "x"}), True),
        (shard("/a/0.tar", "", witness={"etag": "x"}), shard("/a/0.tar", "", witness={"etag": "y"}), False),
        (shard("/a/0.tar", ""), shard("/a/0.tar", "aa", witness={"size": 1}), True),  # of an older version
        (shard("/a/0.tar", ""), shard("/a/0.tar", "aa", samples=4), False),
        (
            shard("/a/0.tar", "aa", samples=80),
            shard("/a/0.tar", "aa", samples=8),
            False,
        ),  # a count was mended
    ],
)
def test_shards_without_a_sha256_are_compared_by_what_is_known(there, here, same):
    assert (changed_shards([there], [here], 0) == []) == same


def test_output_settings_of_two_equal_recipes_are_equal():
    assert output_settings(recipe()) == output_settings(recipe("name=other"))
