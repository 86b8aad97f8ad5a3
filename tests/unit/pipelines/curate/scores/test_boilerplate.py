"""The group's column, and that its settings follow the list."""

import pickle

from data_filters import Facts
from data_filters.image import ImageHeader
from pipelines.curate.scores.boilerplate import BoilerplateScores


def test_the_entry_stands_in_the_column():
    group = pickle.loads(pickle.dumps(BoilerplateScores(("buy now", "= logo"))))
    captions = ["Buy  NOW!", "logo", "a dog"]
    found = group.measure([Facts(ImageHeader(3, 4, "png"), caption) for caption in captions])
    assert found.schema == group.schema()
    assert found.column("boilerplate").to_pylist() == ["buy now", "= logo", ""]
    assert group.settings() != BoilerplateScores().settings()
