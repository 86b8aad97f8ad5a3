"""Which outputs may be brought to another recipe; all of it is tested in tests/cases/curation/test_update.py."""

import pytest

from data_filters.errors import InputError
from pipelines.common.config import config_hash, output_settings
from pipelines.curate.config import CurateConfig
from pipelines.curate.update import FORMAT, changed_settings, check_withdrawn

CONFIG = CurateConfig()
MINE = output_settings(CONFIG)


def manifest(config: CurateConfig = CONFIG, **changes) -> dict:
    values = {"format": FORMAT, "config_hash": config_hash(config), "config": output_settings(config)}
    return {**values, "inputs": [{"name": "0"}], **changes}


def test_the_same_recipe_is_no_update():
    assert changed_settings("out", {}, MINE, False) is False
    assert changed_settings("out", {"0": manifest()}, MINE, False) is False
    assert changed_settings("out", {"0": manifest()}, output_settings(CurateConfig(workers=3)), True) is False


def test_another_recipe_needs_update():
    manifests = {"0": manifest(), "1": manifest(CurateConfig(min_side=64))}
    with pytest.raises(
        InputError, match="min_side 64 there, 200 here.*bring it to this recipe with --update"
    ):
        changed_settings("out", manifests, MINE, False)
    assert changed_settings("out", manifests, MINE, True) is True


@pytest.mark.parametrize("update", [False, True])
@pytest.mark.parametrize("format", [None, FORMAT - 1, FORMAT + 1])
def test_an_output_of_another_version_is_refused(update, format):
    with pytest.raises(InputError, match=rf"another version of loupe \(0\.json has format {format}, this"):
        changed_settings("out", {"0": manifest(format=format)}, MINE, update)


def test_the_size_of_shards_stays():
    manifests = {"0": manifest(CurateConfig(shard_size=5, min_side=3))}
    with pytest.raises(InputError, match="begun with shard_size 5, this run has 6; .* set shard_size=5"):
        changed_settings("out", manifests, output_settings(CurateConfig(shard_size=6)), True)
    assert changed_settings("out", manifests, output_settings(CurateConfig(shard_size=5)), True) is True
    manifests = {"0": manifest(CurateConfig())}
    with pytest.raises(
        InputError, match="begun with shard_size null, this run has 6; .* set shard_size=null"
    ):
        changed_settings("out", manifests, output_settings(CurateConfig(shard_size=6)), True)


def test_a_commit_of_another_recipe_without_raw_shards_is_refused():
    other = manifest(CurateConfig(min_side=64), inputs=[{"name": "0"}, {"name": "1"}])
    check_withdrawn(
        "out", {"0": other}, ["1"], config_hash(CONFIG)
    )  # a raw shard is left: it is written anew
    check_withdrawn("out", {"0": manifest()}, ["0"], config_hash(CONFIG))
    with pytest.raises(InputError, match=r"0\.json of config .*; remove it with --drop-withdrawn"):
        check_withdrawn("out", {"0": other}, ["0", "1"], config_hash(CONFIG))
