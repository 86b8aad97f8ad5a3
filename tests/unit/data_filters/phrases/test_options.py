import pytest

from data_filters.errors import InputError
from data_filters.phrases.options import PhraseOptions


@pytest.mark.parametrize(
    ("field", "value"), [("level", "all"), ("max_tokens", 0), ("max_phrases", 0), ("batch_size", -1)]
)
def test_a_wrong_option_names_itself_and_what_is_allowed(field, value):
    with pytest.raises(InputError, match=rf"phrases\.{field} is {value!r}; allowed .*set phrases\.{field}"):
        PhraseOptions(**{field: value})


def test_no_limit_of_phrases_is_allowed():
    assert PhraseOptions(max_phrases=None).max_phrases is None
