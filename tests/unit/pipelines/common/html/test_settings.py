import yaml

from pipelines.common.html.settings import settings

VALUES = {
    "name": "tiny",
    "model": {"image": {"depths": [1, 2], "kind": "vit"}, "dropout": 0.0},
    "start": None,
    "profile": False,
    "empty": {},
    "none": [],
    "words": "größer",
}


def test_nested_settings_are_rows_under_their_whole_names():
    assert settings(VALUES) == [
        ["name", "tiny"],
        ["model.image.depths", "1, 2"],
        ["model.image.kind", "vit"],
        ["model.dropout", "0.0"],
        ["start", "null"],
        ["profile", "false"],
        ["empty", "{}"],
        ["none", "[]"],
        ["words", "größer"],
    ]


def test_single_values_are_what_yaml_reads_back():
    for name, text in settings(VALUES):
        value = VALUES
        for part in name.split("."):
            value = value[part]
        assert yaml.safe_load(f"[{text}]" if name.endswith("depths") else text) == value
