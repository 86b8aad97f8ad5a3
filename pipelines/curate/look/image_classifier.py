"""The group of a Hugging Face image classifier: the probability of one of its labels for each image."""

from __future__ import annotations

import difflib
import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from data_filters.errors import InputError
from pipelines.curate.look.fixed_calls import FixedCalls, device_of_process
from pipelines.curate.look.model_files import (
    IMAGE_PROCESSOR,
    load_model,
    loading,
    model_sha256,
    read_config,
    require,
    smallest_decode,
)
from pipelines.curate.look.picture import Picture

MOST_LABELS = 40  # that an error lists


@dataclass(frozen=True)
class ClassifierScores:
    """One column, the probability (0 to 1) of a label of a model in a local folder that every machine can read.

    Softmax over the labels; the sigmoid for a model of several labels at once or of one. `key` stands in the names: 8
    hex digits of the model and the label, so that rules of both share the group.
    """

    folder: str
    sha256: str
    label: int
    at_least: int
    version: int = 1

    @property
    def key(self) -> str:
        """What tells the group from those of other models and labels."""
        return hashlib.sha256(f"{self.sha256} {self.label}".encode()).hexdigest()[:8]

    @property
    def name(self) -> str:
        return f"safety-{self.key}"

    @property
    def column(self) -> str:
        """The name of the column."""
        return f"safety_{self.key}_score"

    def schema(self) -> pa.Schema:
        return pa.schema([(self.column, pa.float64())])

    def settings(self) -> Mapping[str, object]:
        return {"model_sha256": self.sha256, "label": self.label, "at_least": self.at_least}

    def measure(self, pictures: Sequence[Picture]) -> pa.RecordBatch:
        scores = classifier_of_process(self.folder, self.sha256).probabilities(
            [picture.decoded(self.at_least) for picture in pictures]
        )
        return pa.record_batch([pa.array(scores[:, self.label].astype(np.float64))], self.schema())


def classifier_scores(folder: str, label: int | str) -> ClassifierScores:
    """The group of a label, by its number or name, of a model. Raises InputError when there is no such."""
    sha256 = model_sha256(folder)
    names = {
        int(number): str(name)
        for number, name in read_config(folder, "config.json").get("id2label", {}).items()
    } or {0: "LABEL_0", 1: "LABEL_1"}  # what transformers takes where the config says nothing
    found = next((number for number, name in names.items() if name == label), None)
    if found is None and str(label).isdecimal() and int(label) in names:
        found = int(label)
    if found is None:
        near = difflib.get_close_matches(str(label), names.values(), n=MOST_LABELS)
        listed = list(dict.fromkeys([*near, *names.values()]))
        more = f" and {len(listed) - MOST_LABELS} more" if len(listed) > MOST_LABELS else ""
        raise InputError(
            f"label is {label!r}, which the model {folder} does not know; its labels are "
            f"{', '.join(listed[:MOST_LABELS])}{more}; name one of them, or its number"
        )
    return ClassifierScores(folder, sha256, found, smallest_decode(folder))


class Classifier:
    """A classifier with its image processor. Raises InputError when they cannot be loaded."""

    def __init__(self, folder: str) -> None:
        from transformers import AutoImageProcessor, AutoModelForImageClassification

        require(folder, "image processor", IMAGE_PROCESSOR)
        with loading(folder):
            self._processor: Any = AutoImageProcessor.from_pretrained(
                folder, local_files_only=True, backend="pil"
            )
        self._calls = FixedCalls(device_of_process())
        self._model = load_model(AutoModelForImageClassification, folder).to(self._calls.device)

    # Any: pictures of Pillow.
    def probabilities(self, images: Sequence[Any]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Of all labels, [n, labels], of RGB images."""
        inputs = self._processor(list(images), return_tensors="pt", input_data_format="channels_last")
        logits = self._calls(lambda chunk: self._model(**chunk).logits, inputs)
        config = self._model.config
        several = config.problem_type == "multi_label_classification" or config.num_labels == 1
        found: np.ndarray[Any, np.dtype[np.float32]] = (
            logits.sigmoid() if several else logits.softmax(-1)
        ).numpy()
        return found


@functools.lru_cache(maxsize=8)
def classifier_of_process(folder: str, sha256: str) -> Classifier:
    """`Classifier`, once in a process."""
    return Classifier(folder)
