"""The intent of a message: one linear model over its sentence vector and its n-grams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
from scipy.optimize import minimize, minimize_scalar
from scipy.sparse import csr_matrix, hstack

from carethread_engine.ngrams import BUCKETS, Ngrams, of_characters, of_words
from carethread_engine.text import says_something

RANKING_LENGTH = 5
FILE = "intents.npz"
KINDS = (of_characters, of_words)
FOLDS = 3
ASKED_AGAIN = 0.02  # share of what was understood rightly that may be asked again to catch what was not
SCOPE = "out_of_scope"


@dataclass(frozen=True)
class Calibration:
    """What cross-validation found: what scores are multiplied with so that a confidence of 0.8 is right in 8 of 10, and
    the confidence below which the fallback should ask again, for config.yml."""

    scale: float
    threshold: float


class LinearModel:
    """Probabilities of the intents from a sentence vector and a text. Plain arrays: nothing to unpickle."""

    def __init__(
        self,
        intents: list[str],
        dense: np.ndarray,
        ngrams: Sequence[Ngrams],
        sparse: Sequence[np.ndarray],
        bias: np.ndarray,
        calibration: Calibration | None = None,
    ) -> None:
        self.calibration = calibration or Calibration(1.0, 0.0)
        self.intents = intents
        self._dense = dense  # (intents, dimensions)
        self._ngrams = ngrams
        self._sparse = sparse  # for each kind (BUCKETS, intents): a row for each n-gram of the text is read
        self._bias = bias

    @classmethod
    def fit(
        cls, texts: list[str], vectors: np.ndarray, intents: list[str], penalty: float, max_iter: int
    ) -> LinearModel:
        """Every intent weighs the same, however many examples it has. Deterministic.

        Confidences are what cross-validation found them to be worth: see `calibrate`.
        """
        names = sorted(set(intents))
        ngrams = [Ngrams.learn(count, texts) for count in KINDS]
        used = [np.flatnonzero(kind.idf) for kind in ngrams]
        counted = hstack([kind.matrix(texts)[:, columns] for kind, columns in zip(ngrams, used, strict=True)]).tocsr()
        targets = np.array([names.index(intent) for intent in intents])
        calibration = calibrate(vectors, counted, targets, penalty, max_iter, names)
        weights = fit_softmax(vectors, counted, targets, penalty, max_iter) * calibration.scale
        sparse = []
        row = vectors.shape[1]
        for columns in used:
            table = np.zeros((BUCKETS, len(names)), dtype=np.float32)
            table[columns] = weights[row : row + len(columns)]
            sparse.append(table)
            row += len(columns)
        return cls(names, weights[: vectors.shape[1]].T.copy(), ngrams, sparse, weights[-1].copy(), calibration)

    def probabilities(self, text: str, vector: np.ndarray) -> np.ndarray:
        scores = self._dense @ vector + self._bias
        for kind, table in zip(self._ngrams, self._sparse, strict=True):
            columns, values = kind.sparse(text)
            scores = scores + values @ table[columns]
        odds = np.exp(scores - scores.max())
        return odds / odds.sum()

    def save(self, path: Path) -> None:
        # Half precision on disk: the rounding is far below what separates two intents.
        np.savez_compressed(
            path,
            intents=np.array(self.intents),
            dense=self._dense,
            idf=np.array([kind.idf for kind in self._ngrams], dtype=np.float16),
            sparse=np.array(self._sparse, dtype=np.float16),
            bias=self._bias,
            calibration=np.array([self.calibration.scale, self.calibration.threshold]),
        )

    @classmethod
    def load(cls, path: Path) -> LinearModel:
        with np.load(path, allow_pickle=False) as arrays:
            return cls(
                [str(name) for name in arrays["intents"]],
                arrays["dense"],
                [Ngrams(count, idf) for count, idf in zip(KINDS, arrays["idf"].astype(np.float32), strict=True)],
                list(arrays["sparse"].astype(np.float32)),
                arrays["bias"],
                Calibration(*map(float, arrays["calibration"])) if "calibration" in arrays else None,
            )


def calibrate(
    dense: np.ndarray, sparse: csr_matrix, targets: np.ndarray, penalty: float, max_iter: int, names: Sequence[str]
) -> Calibration:
    """Each third of the examples judged by a model of the other two. No random numbers.

    Examples that are alike stand together in data/, so a third is a whole stretch of each intent's: what it holds was
    not learned in other words. These models take a third of the steps; the place of a threshold needs no more.
    """
    if np.bincount(targets).min() < FOLDS:
        return Calibration(1.0, 0.0)  # too few examples to set any aside
    fold = stretches(targets, FOLDS)
    scores = np.zeros((len(targets), len(names)), dtype=np.float32)
    for number in range(FOLDS):
        kept, judged = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        weights = fit_softmax(dense[kept], sparse[kept], targets[kept], penalty, max(1, max_iter // 3))
        split = dense.shape[1]
        scores[judged] = dense[judged] @ weights[:split] + sparse[judged] @ weights[split:-1] + weights[-1]
    scale = fit_scale(scores, targets)
    chances = softmax(scores * scale)
    right = chances.argmax(axis=1) == targets
    if SCOPE in names:
        right &= targets != names.index(SCOPE)  # asking again never hurts what is out of scope
    sure = np.sort(chances.max(axis=1)[right])
    return Calibration(scale, float(sure[int(ASKED_AGAIN * len(sure))]) if len(sure) else 0.0)


def stretches(targets: np.ndarray, count: int) -> np.ndarray:
    """For each example the fold that it is in: each intent's examples, in their order, cut into `count` stretches."""
    fold = np.zeros(len(targets), dtype=np.int64)
    for target in np.unique(targets):
        places = np.flatnonzero(targets == target)
        fold[places] = np.arange(len(places)) * count // len(places)
    return fold


def fit_scale(scores: np.ndarray, targets: np.ndarray) -> float:
    """What to multiply scores with so that what happened becomes likeliest (temperature scaling: Guo et al., 2017)."""
    rows = np.arange(len(targets))

    def loss(scale: float) -> float:
        return -float(np.log(np.maximum(softmax(scores * scale)[rows, targets], 1e-12)).mean())

    return float(minimize_scalar(loss, bounds=(0.25, 4.0), method="bounded", options={"xatol": 1e-3}).x)


def softmax(scores: np.ndarray) -> np.ndarray:
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def fit_softmax(
    dense: np.ndarray, sparse: csr_matrix, targets: np.ndarray, penalty: float, max_iter: int
) -> np.ndarray:
    """Multinomial logistic regression with L2 penalty: (dense columns + sparse columns + 1, classes) float32.

    What scikit-learn computes from the two blocks glued together, five times faster because each keeps its own form.
    """
    classes = int(targets.max()) + 1
    shape = (dense.shape[1] + sparse.shape[1] + 1, classes)
    rows = np.arange(len(targets))
    # Balanced: each class has the same total weight, and the weights sum to the number of examples.
    importance = (len(targets) / classes / np.bincount(targets, minlength=classes))[targets].astype(np.float32)
    transposed = sparse.T.tocsr()
    split = dense.shape[1]

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        w = flat.reshape(shape).astype(np.float32)
        scores = dense @ w[:split] + sparse @ w[split:-1] + w[-1]
        scores -= scores.max(axis=1, keepdims=True)
        odds = np.exp(scores)
        totals = odds.sum(axis=1)
        error = -(importance * (scores[rows, targets] - np.log(totals))).sum()
        odds /= totals[:, None]
        odds[rows, targets] -= 1
        odds *= importance[:, None]
        slope = np.concatenate([dense.T @ odds, transposed @ odds, odds.sum(axis=0)[None]])
        slope[:-1] += penalty * w[:-1]
        shrink = penalty / 2 * float((w[:-1] ** 2).sum())
        return (float(error) + shrink) / len(targets), slope.ravel().astype(np.float64) / len(targets)

    found = minimize(loss, np.zeros(shape[0] * shape[1]), method="L-BFGS-B", jac=True, options={"maxiter": max_iter})
    return np.asarray(found.x, dtype=np.float32).reshape(shape)


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.INTENT_CLASSIFIER, is_trainable=True)
class SentenceIntentClassifier(IntentClassifier, GraphComponent):
    """Reads the dense sentence feature set before it and counts n-grams itself.

    `carethread nlu evaluate` measures it. A text that says nothing gets `silent_intent` with confidence 0, so that the
    FallbackClassifier behind this one asks again instead of taking a thumb for a yes.
    """

    @classmethod
    def required_components(cls) -> list[type]:
        return [DenseFeaturizer]

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        return {"penalty": 0.1, "max_iter": 60, "silent_intent": "out_of_scope"}

    @classmethod
    def validate_config(cls, config: dict[str, Any]) -> None:
        if config.get("penalty", 1) <= 0:
            raise InvalidConfigException(
                f"config.yml: {cls.__name__}: penalty is {config['penalty']}; give a number above 0"
            )

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
            self._config["penalty"],
            self._config["max_iter"],
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
