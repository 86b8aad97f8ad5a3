"""Where the shipped recipes and plans lie."""

from importlib.util import find_spec
from pathlib import Path


def _beside(package: str, folder: str = "recipes") -> Path:
    spec = find_spec(package)  # finds the folder without importing what is in it
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / folder


CURATION = _beside("pipelines")
PRETRAINING = _beside("pretrain")
ABLATIONS = _beside("pretrain", "ablations")
