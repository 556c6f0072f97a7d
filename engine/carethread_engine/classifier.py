"""The intent of a message: one linear model over its sentence vector and its character n-grams."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.nlu.classifiers.classifier import IntentClassifier
from rasa.nlu.featurizers.dense_featurizer.dense_featurizer import DenseFeaturizer
from rasa.shared.exceptions import InvalidConfigException
from rasa.shared.nlu.constants import INTENT, TEXT
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from carethread_engine.ngrams import NgramWeights
from carethread_engine.text import says_something

RANKING_LENGTH = 5
FILE = "intents.npz"


class LinearModel:
    """Probabilities of the intents from a sentence vector and a text. Plain arrays: nothing to unpickle."""

    def __init__(
        self, intents: list[str], ngrams: NgramWeights, dense: np.ndarray, sparse: np.ndarray, bias: np.ndarray
    ) -> None:
        self.intents = intents
        self._ngrams = ngrams
        self._dense = dense  # (intents, dimensions)
        self._sparse = sparse  # (BUCKETS, intents): a row for each n-gram of the text is read
        self._bias = bias

    @classmethod
    def fit(cls, texts: list[str], vectors: np.ndarray, intents: list[str], config: dict[str, Any]) -> LinearModel:
        from scipy.sparse import csr_matrix, hstack
        from sklearn.linear_model import LogisticRegression

        ngrams = NgramWeights.learn(texts)
        features = hstack([csr_matrix(vectors), ngrams.matrix(texts)]).tocsr()
        regression = LogisticRegression(
            C=config["C"],
            class_weight="balanced",
            max_iter=config["max_iter"],
            tol=1e-3,
            random_state=config["random_state"],
        ).fit(features, intents)
        dimensions = vectors.shape[1]
        weights = regression.coef_.astype(np.float32)
        return cls(
            [str(name) for name in regression.classes_],
            ngrams,
            weights[:, :dimensions].copy(),
            weights[:, dimensions:].T.copy(),
            regression.intercept_.astype(np.float32),
        )

    def probabilities(self, text: str, vector: np.ndarray) -> np.ndarray:
        columns, values = self._ngrams.sparse(text)
        scores = self._dense @ vector + values @ self._sparse[columns] + self._bias
        scores -= scores.max()
        odds = np.exp(scores)
        return odds / odds.sum()

    def save(self, path: Path) -> None:
        # Half precision on disk: the rounding is far below what separates two intents.
        np.savez_compressed(
            path,
            intents=np.array(self.intents),
            idf=self._ngrams.idf.astype(np.float16),
            dense=self._dense,
            sparse=self._sparse.astype(np.float16),
            bias=self._bias,
        )

    @classmethod
    def load(cls, path: Path) -> LinearModel:
        with np.load(path, allow_pickle=False) as arrays:
            return cls(
                [str(name) for name in arrays["intents"]],
                NgramWeights(arrays["idf"].astype(np.float32)),
                arrays["dense"],
                arrays["sparse"].astype(np.float32),
                arrays["bias"],
            )


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.INTENT_CLASSIFIER, is_trainable=True)
class SentenceIntentClassifier(IntentClassifier, GraphComponent):
    """Reads the dense sentence feature set before it and counts n-grams itself.

    Measured against Rasa's LogisticRegressionClassifier on the same vectors (held-out texts, macro-F1): see
    `engine/tests/held_out.py`. A text that says nothing gets `silent_intent` with confidence 0, so that the
    FallbackClassifier behind this one asks again instead of taking a thumb for a yes.
    """

    @classmethod
    def required_components(cls) -> list[type]:
        return [DenseFeaturizer]

    @staticmethod
    def required_packages() -> list[str]:
        return ["sklearn"]

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        return {"C": 10.0, "max_iter": 300, "random_state": 42, "silent_intent": "out_of_scope"}

    @classmethod
    def validate_config(cls, config: dict[str, Any]) -> None:
        if config.get("C", 1) <= 0:
            raise InvalidConfigException(f"config.yml: {cls.__name__}: C is {config['C']}; give a number above 0")

    def __init__(
        self,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        model: LinearModel | None = None,
    ) -> None:
        self._config = config
        self._model_storage = model_storage
        self._resource = resource
        self._model = model

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> SentenceIntentClassifier:
        return cls(config, model_storage, resource)

    @classmethod
    def load(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        **kwargs: Any,
    ) -> SentenceIntentClassifier:
        with model_storage.read_from(resource) as folder:
            return cls(config, model_storage, resource, LinearModel.load(folder / FILE))

    def train(self, training_data: TrainingData) -> Resource:
        examples = [
            (example, vector)
            for example in training_data.intent_examples
            if example.get(INTENT) and (vector := _sentence_vector(example)) is not None
        ]
        if len({example.get(INTENT) for example, _ in examples}) < 2:
            raise InvalidConfigException(
                "data/nlu: fewer than two intents with examples; the classifier needs at least two to tell apart"
            )
        self._model = LinearModel.fit(
            [example.get(TEXT) for example, _ in examples],
            np.stack([vector for _, vector in examples]),
            [example.get(INTENT) for example, _ in examples],
            self._config,
        )
        with self._model_storage.write_to(self._resource) as folder:
            self._model.save(folder / FILE)
        return self._resource

    def process(self, messages: list[Message]) -> list[Message]:
        for message in messages:
            ranking = self._ranking(message)
            message.set(INTENT, ranking[0], add_to_output=True)
            message.set("intent_ranking", ranking, add_to_output=True)
        return messages

    def process_training_data(self, training_data: TrainingData) -> TrainingData:
        return training_data

    def _ranking(self, message: Message) -> list[dict[str, Any]]:
        vector = _sentence_vector(message)
        if self._model is None or vector is None or not says_something(message.get(TEXT) or ""):
            return [{"name": self._config["silent_intent"], "confidence": 0.0}]
        chances = self._model.probabilities(message.get(TEXT), vector)
        best = np.argsort(-chances)[:RANKING_LENGTH]
        return [{"name": self._model.intents[i], "confidence": float(chances[i])} for i in best]


def _sentence_vector(message: Message) -> np.ndarray | None:
    _, sentence = message.get_dense_features(TEXT)
    return None if sentence is None else np.asarray(sentence.features[0], dtype=np.float32)
