import pytest

from data_filters.errors import InputError
from pipelines.common.registry import lookup

TABLE = {"swin": 1, "vit": 2}


def test_a_known_name_gives_its_entry():
    assert lookup(TABLE, "vit", "tower", "set model.kind") == 2


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("swim", "tower is 'swim'; allowed are swin, vit; did you mean 'swin'?; set model.kind"),
        ("resnet", "tower is 'resnet'; allowed are swin, vit; set model.kind"),
        ("", "tower is ''; allowed are swin, vit; set model.kind"),
    ],
)
def test_an_unknown_name_is_answered_in_one_line(name, message):
    with pytest.raises(InputError) as refused:
        lookup(TABLE, name, "tower", "set model.kind")
    assert str(refused.value) == message
