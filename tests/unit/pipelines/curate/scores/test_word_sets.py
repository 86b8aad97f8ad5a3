import unicodedata

import pyarrow as pa

from data_filters.duplicates import word_set
from data_filters.facts import Facts
from data_filters.image import ImageHeader
from pipelines.curate.scores.word_sets import WordSets

HEADER = ImageHeader(width=1, height=1, format="png")


def test_every_caption_has_a_row_in_order_and_of_the_schema() -> None:
    captions = ["a red car", "", "a red car!", "東京"]
    group = WordSets()
    batch = group.measure([Facts(HEADER, caption) for caption in captions])
    assert batch.schema == group.schema()
    assert batch["word_set"].to_pylist() == [word_set(caption).tolist() for caption in captions]
    assert batch["word_set"][0] == batch["word_set"][2]


def test_no_pairs_give_no_rows() -> None:
    assert WordSets().measure([]) == pa.RecordBatch.from_pylist([], schema=WordSets().schema())


def test_the_tables_that_words_depend_on_are_a_setting() -> None:
    assert WordSets().settings() == {"unicode": unicodedata.unidata_version}
