import pytest

from data_filters.errors import InputError
from pretrain.evaluation.localisation.proposal_options import listed, proposal_options


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"box": "round"}, "box is 'round'; allowed are spread, hull"),
        ({"level": 2}, "level is 2"),
        ({"contrast": -0.1}, "contrast is -0.1"),
        ({"gap": -1}, "gap is -1"),
        ({"superpixel_scale": 0}, "superpixel_scale is 0"),
        ({"least_area": 1}, "least_area is 1"),
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
        "contrast=0.15",
        "gap=0",
        "superpixel_scale=100.0",
        "least_area=0.005",
    ]
