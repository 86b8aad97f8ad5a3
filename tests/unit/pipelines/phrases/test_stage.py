"""The stage, called as Ray calls it, without Ray."""

import numpy as np

from data_filters.phrases import extract_phrases
from pipelines.phrases.config import PhrasesConfig
from pipelines.phrases.stage import PhraseStage

CAPTIONS = ["A girl in a blue coat.", None, "two dogs", ""]


def test_a_column_of_phrases_is_added_to_a_batch():
    stage = PhraseStage(PhrasesConfig(), column="text")
    batch = stage({"id": np.arange(4), "text": np.array(CAPTIONS, dtype=object)})
    spans = extract_phrases([caption or "" for caption in CAPTIONS])
    for caption, phrases, expected in zip(CAPTIONS, batch["phrases"], spans, strict=True):
        assert [(phrase["start"], phrase["end"]) for phrase in phrases] == expected
        assert all(caption[phrase["start"] : phrase["end"]] == phrase["text"] for phrase in phrases)
    assert batch["id"].tolist() == [0, 1, 2, 3]
    assert [len(phrases) for phrases in batch["phrases"]] == [3, 0, 1, 0]
