"""Groups of raw shards: consecutive ones up to a size, and fixed once they are written."""

import json

from hypothesis import given
from hypothesis import strategies as st

from pipelines.curate.output_shards import output_shards, read_groups, write_groups
from pipelines.shards.unit import Unit


def units(names: str) -> list[Unit]:
    return [Unit(name, f"/{name}.tar", 1) for name in names]


def grouped(names: str, sizes: dict[str, int], target: int | None, fixed=()) -> dict[str, str]:
    """Name of each curated shard → its raw shards, in the order given."""
    shards = output_shards(units(names), sizes, target, fixed)
    found = {shard.name: "".join(unit.name for unit in shard.units) for shard in shards}
    assert len(found) == len(shards)
    return found


def test_without_a_size_every_raw_shard_is_a_curated_one():
    assert grouped("abc", {}, None) == {"a": "a", "b": "b", "c": "c"}


def test_a_group_ends_when_it_is_full_and_the_last_one_may_not_be():
    sizes = {"a": 4, "b": 6, "c": 12, "d": 0, "e": 3}
    assert grouped("abcde", sizes, 10) == {"a": "ab", "c": "c", "d": "de"}
    assert grouped("abcde", dict.fromkeys("abcde", 0), 10) == {"a": "abcde"}


def test_fixed_groups_stay_whatever_is_kept_now_and_a_new_shard_does_not_split_them():
    assert grouped("abcd", dict.fromkeys("abcd", 99), 10, ["ab", "cd"]) == {"a": "ab", "c": "cd"}
    assert grouped("abcde", {"b": 99}, 10, ["ac", "de"]) == {"a": "ac", "b": "b", "d": "de"}
    assert grouped("abcdef", {"b": 1, "e": 1}, 10, ["acf", "d"]) == {"a": "acf", "b": "b", "d": "d", "e": "e"}


def test_a_group_without_its_first_raw_shard_keeps_its_name_for_good(tmp_path):
    folder = str(tmp_path)
    assert read_groups(folder) == []
    write_groups(folder, output_shards(units("abc"), {}, 10, []))
    assert read_groups(folder) == [["a", "b", "c"]]
    for _ in range(2):
        shards = output_shards(units("bc"), {}, 10, read_groups(folder))
        assert [(shard.name, len(shard.units)) for shard in shards] == [("a", 2)]
        write_groups(folder, shards)
    assert [shard.name for shard in output_shards(units("abc"), {}, 10, read_groups(folder))] == ["a"]
    assert json.loads((tmp_path / "plan.json").read_text())["version"] == 1


@given(st.lists(st.integers(0, 9), max_size=12), st.integers(1, 20), st.sets(st.integers(0, 11)))
def test_every_raw_shard_is_in_one_group_and_a_second_look_gives_the_same(sizes, target, added):
    every = "abcdefghijkl"[: len(sizes)]
    before = "".join(name for number, name in enumerate(every) if number not in added)
    kept = dict(zip(every, sizes, strict=True))
    first = output_shards(units(before), kept, target, [])
    fixed = [[unit.name for unit in shard.units] for shard in first]
    for group in fixed[:-1]:
        assert sum(kept[name] for name in group) >= target > sum(kept[name] for name in group[:-1])
    assert output_shards(units(before), {}, target, fixed) == first
    second = output_shards(units(every), kept, target, fixed)
    assert sorted(unit.name for shard in second for unit in shard.units) == list(every)
    assert all(shard in second for shard in first)
    assert len({shard.name for shard in second}) == len(second)
