"""What is stored is not computed again; a group that is missing is computed from captions alone."""

import pytest
from curation_rules import MEASURED, Letters
from raw_shards import pairs, write_tar

from pipelines.curate import scored
from pipelines.curate.inputs import find_units
from pipelines.curate.scored import stored_scores, up_to_date
from pipelines.curate.scores.facts import FACTS

LETTERS = Letters("u")


class Images(Letters):
    """A group that needs the images' bytes."""

    reads_image = True


@pytest.fixture
def unit(tmp_path):
    write_tar(tmp_path / "raw" / "0.tar", pairs(3) | {"bad.jpg": b"no image", "bad.txt": "x"})
    return find_units(str(tmp_path / "raw"))[0]


@pytest.fixture
def scans(monkeypatch):
    """The calls of `scan`."""
    calls, scan = [], scored.scan
    monkeypatch.setattr(scored, "scan", lambda unit, groups: calls.append(unit.name) or scan(unit, groups))
    MEASURED.clear()
    return calls


def test_nothing_is_computed_twice(unit, tmp_path, scans):
    output = str(tmp_path / "out")
    assert stored_scores(unit, [LETTERS], output) == (None, [LETTERS])
    first = up_to_date(unit, [LETTERS], output)
    assert first.tables["letters"].column("letters").to_pylist() == [2, 2, 2]  # runs, number
    again = up_to_date(unit, [LETTERS], output)
    assert again == first
    assert (scans, len(MEASURED)) == (["0"], 1)


@pytest.mark.parametrize(("group", "reads"), [(LETTERS, False), (Images("u"), True)])
def test_a_missing_group_is_computed_for_known_pairs_with_images_only_where_it_needs_them(
    unit, tmp_path, scans, group, reads
):
    output = str(tmp_path / "out")
    up_to_date(unit, [], output)
    found = up_to_date(unit, [group], output)
    assert scans == ["0"]
    assert [bool(pair.data) for pair in MEASURED[0]] == [reads] * 3
    assert [pair.image_bytes for pair in MEASURED[0]] == found.facts.column("image_bytes").to_pylist()
    MEASURED.clear()
    assert found == up_to_date(unit, [group], str(tmp_path / "fresh"))
    assert all(pair.data for pair in MEASURED[0])  # the scan has the bytes at hand


def test_only_the_group_whose_settings_changed_is_computed(unit, tmp_path, scans):
    output, other = str(tmp_path / "out"), Letters("a", name="others")
    up_to_date(unit, [LETTERS, other], output)
    MEASURED.clear()
    _, missing = stored_scores(unit, [Letters("g"), other], output)
    assert missing == [Letters("g")]
    assert up_to_date(unit, [Letters("g"), other], output).tables["letters"].column(0).to_pylist() == [
        2,
        2,
        2,
    ]
    assert (len(MEASURED), scans) == (1, ["0"])


def test_scores_of_another_output_are_taken_over_with_its_quarantine(unit, tmp_path, scans):
    there, here = str(tmp_path / "there"), str(tmp_path / "here")
    first = up_to_date(unit, [LETTERS], there)
    MEASURED.clear()
    assert up_to_date(unit, [LETTERS], here, elsewhere=there) == first
    assert (MEASURED, scans) == ([], ["0"])
    assert stored_scores(unit, [LETTERS], here) == (first, [])
    assert first.quarantine.num_rows == 1


def test_what_the_other_output_lacks_is_computed_and_a_known_shard_takes_groups_alone(unit, tmp_path, scans):
    there, here = str(tmp_path / "there"), str(tmp_path / "here")
    other = Letters("a", name="others")
    up_to_date(unit, [LETTERS], there)
    up_to_date(unit, [], here)
    MEASURED.clear()
    found = up_to_date(unit, [LETTERS, other], here, elsewhere=there)
    assert set(found.tables) == {FACTS, "letters", "others"}
    assert len(MEASURED) == 1  # of `others`
    assert scans == ["0", "0"]
    assert stored_scores(unit, [LETTERS, other], here) == (found, [])


def test_another_output_that_knows_other_bytes_is_no_help(unit, tmp_path, scans):
    there = str(tmp_path / "there")
    up_to_date(unit, [LETTERS], there)
    write_tar(tmp_path / "raw" / "0.tar", pairs(2))
    (changed,) = find_units(str(tmp_path / "raw"))
    assert up_to_date(changed, [LETTERS], str(tmp_path / "here"), elsewhere=there).facts.num_rows == 2
    assert scans == ["0", "0"]
