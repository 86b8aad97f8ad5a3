import pytest
from pydantic import ValidationError

from pretrain.evaluation.localisation.proposal_options import ProposalOptions
from pretrain.evaluation.localisation.task_options import LocalisationOptions, SceneOptions


def test_the_proposer_takes_as_many_copies_at_once_as_the_task_unless_told():
    assert LocalisationOptions().for_proposals() == ProposalOptions()
    options = LocalisationOptions(batch_size=7, level=0.4, clusters=3)
    assert options.for_proposals() == ProposalOptions(level=0.4, clusters=3, chunk=7)
    assert LocalisationOptions(batch_size=7, chunk=5).for_proposals().chunk == 5


def test_names_are_those_of_the_registries():
    assert SceneOptions(proposals="pixel", embedding="dropped").proposals == "pixel"
    with pytest.raises(ValidationError, match="allowed are alone, dropped, ends, patches"):
        SceneOptions(embedding="whole")
    with pytest.raises(ValidationError, match="allowed are regions, answers, pixel"):
        SceneOptions(proposals="luck")
