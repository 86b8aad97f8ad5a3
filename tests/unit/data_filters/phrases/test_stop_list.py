import pytest

from data_filters.errors import InputError
from data_filters.phrases import extract_phrases
from data_filters.phrases.stop_list import load_stop_list


def test_the_shipped_list_is_lower_case_and_without_determiners():
    phrases = load_stop_list()
    assert {"photo", "picture", "close-up", "black and white photo"} <= phrases
    assert all(
        phrase == phrase.lower() and phrase.split()[0] not in ("a", "the") for phrase in phrases - {"a"}
    )


def test_a_list_of_ones_own(tmp_path):
    path = tmp_path / "stop.txt"
    path.write_text("# mine\nred   Umbrella  # not wanted\n\n")
    assert load_stop_list(str(path)) == {"red umbrella"}
    caption = "a red umbrella and a photo"
    assert [caption[a:b] for a, b in extract_phrases([caption], stop_list=str(path))[0]] == ["a photo"]


def test_an_absent_list_is_said_in_one_line(tmp_path):
    with pytest.raises(
        InputError, match=r"phrases\.stop_list is .*FileNotFoundError.*set phrases\.stop_list"
    ):
        load_stop_list(str(tmp_path / "none.txt"))
