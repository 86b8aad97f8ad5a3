"""Limits of the section `supervision`."""

import pytest

from data_filters.errors import InputError
from pipelines.common.explain import validate
from pretrain.supervision.config import SupervisionConfig


def test_the_defaults_are_the_papers_targets():
    config = SupervisionConfig()
    assert (config.target, config.context, config.size_exponent, config.game_scale) == (
        "interaction",
        "players",
        0.0,
        1.0,
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"evaluations": 11}, "evaluations is 11"),
        (
            {"target": "presence"},
            "target is 'presence'; allowed are interaction, abs_interaction, value, absence, ends",
        ),
        ({"unsil_body": "lstm"}, "unsil_body is 'lstm'; allowed are mlp_attention, conv1d, transformer"),
        ({"context": "words"}, "context is 'words'; allowed are players, full_text"),
        ({"labels": "max"}, "labels is 'max'; allowed are minmax, positive, logistic, rank"),
        ({"rows": "max"}, "rows is 'max'; allowed are positive, shifted, softmax"),
        ({"absent": "kept"}, "absent is 'kept'; allowed are zero, drop"),
        ({"suppress_above": 0}, "suppress_above is 0"),
        ({"budget": 0}, "budget is 0"),
        ({"fill": "grey"}, "fill is 'grey'; allowed are zero, median, blur"),
        ({"fill": "median"}, "fill is median with target: interaction, whose coalitions are of cells"),
        ({"warm_steps": 3}, "unknown key warm_steps; did you mean warmup_steps"),
    ],
)
def test_mistakes_are_one_line(settings, message):
    with pytest.raises(InputError, match=message):
        validate(SupervisionConfig, settings, "recipe")
