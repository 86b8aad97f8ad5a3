"""The card of a matcher names its start, its schedule and its data."""

from tiny_matcher import MODEL, matcher_recipe

from data_filters.matching import MatchingSettings
from pretrain.export.matcher_card import write_matcher_card


def test_the_card_follows_the_record(tmp_path):
    config = matcher_recipe(
        model=MODEL | {"pretrained": "/checkpoints/blip"},
        objectives={"itc": {"weight": 0.5}, "itm": {"weight": 2}},
        schedule={"epochs": 3, "steps": None},
    )
    record = {
        "name": "mine",
        "parameters": 1234567,
        "checkpoint": "step-00000009",
        "max_difference": 2e-7,
        "config": config.model_dump(mode="json"),
        "data": {"uri": "s3://pairs", "shards": []},
    }
    write_matcher_card(tmp_path, record, MatchingSettings("[ENC]", 0.05))
    card = (tmp_path / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: transformers\n---\n\n# mine\n")
    for said in [
        "`/checkpoints/blip`",
        "1,234,567",
        "3.0 epochs",
        "ITC × 0.5, ITM × 2.0",
        "`[ENC]`",
        "0.05",
        "2.0e-07",
    ]:
        assert said in card, said
