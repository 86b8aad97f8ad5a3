"""A Ray Data stage that finds the phrases of a dataset of captions, for Ray pipelines outside this project.

`add_phrases` and `PhraseStage` are public; `loupe phrases` works on whole shards (`run.py`).
"""

from __future__ import annotations

import ray
from ray.data import ActorPoolStrategy, Dataset

from pipelines.phrases.config import PhrasesConfig
from pipelines.ray_tasks import Batch
from pipelines.shards.record import phrases_at


class PhraseStage:
    """A Ray actor with one parser: adds the column `phrases` to batches of captions."""

    def __init__(self, config: PhrasesConfig, column: str = "caption") -> None:
        self.extract = config.load()
        self.column = column

    def __call__(self, batch: Batch) -> Batch:
        captions = ["" if caption is None else str(caption) for caption in batch[self.column]]
        batch["phrases"] = [
            [phrase.as_json() for phrase in phrases_at(caption, spans)]
            for caption, spans in zip(captions, self.extract(captions), strict=True)
        ]
        return batch


def add_phrases(dataset: Dataset, config: PhrasesConfig | None = None, column: str = "caption") -> Dataset:
    """The dataset with a column `phrases`: for each caption a list of {text, start, end}. Lazy."""
    config = config or PhrasesConfig()
    return dataset.map_batches(
        PhraseStage,
        fn_constructor_args=(config, column),
        batch_size=config.batch_size,
        batch_format="numpy",
        compute=_parsers(config),
    )


def _parsers(config: PhrasesConfig) -> ActorPoolStrategy:
    """A pool of `config.workers` actors, one per CPU by default."""
    return ActorPoolStrategy(size=config.workers or max(1, int(ray.cluster_resources().get("CPU", 1))))
