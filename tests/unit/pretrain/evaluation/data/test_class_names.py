import json

import pytest

from data_filters.errors import InputError
from pretrain.evaluation.data.class_names import class_number, name_classes

FOLDERS = ["n01440764", "n01443537", "n01484850"]
NAMES = ["tench", "goldfish", "great white shark"]


@pytest.fixture
def names_in(tmp_path):
    def write(value):
        file = tmp_path / "names.json"
        file.write_text(json.dumps(value))
        return str(file)

    return write


def test_without_a_file_underscores_become_blanks():
    assert name_classes(["red_car", "cup"], None, "here") == ["red car", "cup"]


def test_a_list_of_as_many_names_goes_by_the_order_of_the_classes(names_in):
    assert name_classes(FOLDERS, names_in(NAMES), "here") == NAMES


def test_a_list_for_numbers_goes_by_the_numbers(names_in):
    assert name_classes(["0", "2"], names_in(NAMES), "here") == ["tench", "great white shark"]
    # Folders are sorted as texts.
    listed = [f"name {number}" for number in range(11)]
    assert name_classes(["10", "2"], names_in(listed), "here") == ["name 10", "name 2"]


def test_a_mapping_names_the_classes(names_in):
    mapping = dict(zip(FOLDERS, NAMES, strict=True)) | {"n99999999": "not in the data"}
    assert name_classes(FOLDERS[:2], names_in(mapping), "here") == ["tench", "goldfish"]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (NAMES[:2], "lists 2 names, but data 'here' has 3 classes .'n01440764', "),
        ([*NAMES, "tiger shark"], "lists 4 names, but data 'here' has 3 classes"),
        ([], "lists 0 names"),
        (
            {FOLDERS[0]: "tench"},
            "names 1 of the 3 classes of data 'here'; it lacks 'n01443537', 'n01484850'; ",
        ),
        ({}, "names 0 of the 3 classes"),
        (["tench", "", "shark"], "gives '' as the name of 'n01443537'; expected a text"),
        (["tench", 3, "shark"], "gives 3 as the name of 'n01443537'"),
        (["tench", None, "shark"], "gives None as the name of"),
        (["tench", ["goldfish"], "shark"], "as the name of 'n01443537'"),
        (["tench", "\ud800", "shark"], "as the name of 'n01443537'"),
        (["crane", "bird", "crane"], "'n01440764' and 'n01484850' have both the name 'crane'"),
        ("tench", "is a str; give"),
        (None, "is a NoneType; give"),
    ],
)
def test_names_that_do_not_fit_are_refused(names_in, value, said):
    with pytest.raises(InputError, match=said) as raised:
        name_classes(FOLDERS, names_in(value), "here")
    assert "\n" not in str(raised.value)


def test_a_number_beyond_the_list_is_refused(names_in):
    with pytest.raises(InputError, match="lists 3 names, but data 'here' has the class 3, counted from 0"):
        name_classes(["1", "3"], names_in(NAMES), "here")


def test_classes_whose_own_names_become_one_are_refused():
    with pytest.raises(InputError, match="'red car' and 'red_car' have both the name 'red car'"):
        name_classes(["red car", "red_car"], None, "here")


def test_which_names_are_numbers():
    assert [class_number(name) for name in ("0", "007", "12")] == [0, 7, 12]
    assert [class_number(name) for name in ("", "-1", "1.0", "²", "a1", "9" * 5000)] == [None] * 6
