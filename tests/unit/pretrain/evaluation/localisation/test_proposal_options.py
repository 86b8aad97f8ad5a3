import pytest

from data_filters.errors import InputError
from pretrain.evaluation.localisation.proposal_options import listed, proposal_options


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"box": "round"}, "box is 'round'; allowed are spread, hull"),
        ({"level": 2}, "level is 2"),
        ({"peaks": 1}, "unknown key peaks"),
    ],
)
def test_bad_options_are_one_clear_line(options, said):
    with pytest.raises(InputError, match=said):
        proposal_options(options)


def test_what_decides_the_boxes_is_recorded():
    assert listed(proposal_options({"level": 0.5, "chunk": 7})) == [
        "box=spread",
        "level=0.5",
        "evaluations=256",
        "ridge=0.05",
        "clusters=8",
        "regions=16",
        "suppress_above=0.7",
    ]
