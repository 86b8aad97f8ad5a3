"""The folders of shipped recipes lie beside the packages that read them."""

from pathlib import Path

import pipelines
import pretrain
from cluster.shipped import ABLATIONS, CURATION, PRETRAINING


def test_the_folders_lie_in_their_packages_and_hold_recipes():
    pipelines_folder, pretrain_folder = (Path(package.__file__).parent for package in (pipelines, pretrain))
    assert pipelines_folder / "recipes" == CURATION
    assert pretrain_folder / "recipes" == PRETRAINING
    assert pretrain_folder / "ablations" == ABLATIONS
    assert all((folder / "icon_world.yaml").is_file() for folder in (CURATION, PRETRAINING, ABLATIONS))
