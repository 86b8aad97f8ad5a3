"""Samples are joined by key; those that a damage has hit are taken out."""

from pipelines.shards.damage.contents import bytes_of, sort_out
from pipelines.shards.damage.recovery import Damage
from pipelines.shards.tar_format import NO_END_MARKER, Member, Sparse


def members(*names: str) -> list[Member]:
    return [Member(name.split(".")[0], name.split(".")[1], 1000 * i, 10) for i, name in enumerate(names)]


def keys(contents) -> list[str]:
    return [sample[0].key for sample in contents.samples]


USUAL = members("a.jpg", "a.txt", "b.jpg", "b.txt")


def test_without_damage_every_sample_is_whole_wherever_its_members_stand():
    found = sort_out([*members("a.jpg", "b.jpg", "c.jpg", "b.txt", "a.txt"), Sparse("a", "npy", 7)])
    assert [[m.extension for m in sample] for sample in found.samples] == [
        ["jpg", "txt"],
        ["jpg", "txt"],
        ["jpg"],
    ]
    assert (list(found.sparse), found.hits) == (["a"], [])


def test_beside_a_damage_a_sample_lacks_what_is_usual():
    damage = Damage(1, 2, "no tar header", one_member=True)
    found = sort_out([*USUAL, *members("c.jpg"), damage, *members("d.jpg", "d.txt")])
    assert keys(found) == ["a", "b", "d"]
    assert found.hits[0].keys == ["c"]
    found = sort_out([*USUAL, damage, *members("d.txt"), *members("e.jpg", "e.txt")])
    assert keys(found) == ["a", "b", "e"]


def test_the_member_in_front_of_a_damage_of_unknown_beginning_is_not_trusted():
    found = sort_out([*USUAL, Damage(1, 2, "no tar header", suspect=True), *members("c.jpg", "c.txt")])
    assert keys(found) == ["a", "c"]


def test_in_front_of_a_cut_member_the_sample_before_is_whole():
    found = sort_out([*USUAL, Damage(1, 1, "the tar ends inside a member", "c", cut=True)])
    assert keys(found) == ["a", "b"]
    assert (found.hits[0].incomplete, found.hits[0].keys) == ([], ["c"])
    found = sort_out([*USUAL, *members("c.jpg"), Damage(1, 1, "the tar ends inside a member", "c", cut=True)])
    assert keys(found) == ["a", "b"]


def test_without_an_end_marker_the_last_sample_needs_what_is_usual():
    end = Damage(1, 1, NO_END_MARKER, cut=True)
    assert keys(sort_out([*USUAL, end])) == ["a", "b"]
    assert keys(sort_out([*USUAL, *members("c.jpg"), end])) == ["a", "b"]
    assert keys(sort_out([*members("a.jpg", "a.txt"), end])) == []


def test_bytes_are_whole_blocks_with_headers():
    assert bytes_of([Member("a", "jpg", 0, 0), Member("a", "txt", 0, 513)]) == 512 + 512 + 1024
