"""The intent classifier and its features, without Rasa around them."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from carethread_engine.classifier import Calibration, LinearModel, fit_scale, fit_softmax, softmax, stretches
from carethread_engine.entities import longest
from carethread_engine.featurizer import DIMENSIONS, SentenceEncoder, encoder
from carethread_engine.ngrams import BUCKETS, Ngrams, of_characters, of_words
from conftest import ROOT
from scipy.sparse import csr_matrix, hstack
from scipy.sparse import random as random_sparse
from sklearn.linear_model import LogisticRegression

TEXTS = ["hello there", "hi", "good morning", "goodbye now", "bye", "see you", "book a visit", "make an appointment"]
INTENTS = ["greet", "greet", "greet", "goodbye", "goodbye", "goodbye", "book", "book"]


def test_softmax_regression_is_the_one_that_scikit_learn_fits() -> None:
    random = np.random.default_rng(7)
    dense = random.normal(size=(300, 12)).astype(np.float32)
    sparse = random_sparse(300, 40, density=0.1, format="csr", random_state=7, dtype=np.float32)
    targets = np.concatenate([np.arange(5), random.choice(5, 295, p=[0.5, 0.2, 0.15, 0.1, 0.05])])
    ours = fit_softmax(dense, csr_matrix(sparse), targets, penalty=0.5, max_iter=500)
    theirs = LogisticRegression(C=2.0, class_weight="balanced", max_iter=2000, tol=1e-6).fit(
        hstack([csr_matrix(dense), sparse]), targets
    )
    expected = theirs.predict_proba(hstack([csr_matrix(dense), sparse]))
    scores = dense @ ours[:12] + sparse @ ours[12:-1] + ours[-1]
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    assert np.abs(odds / odds.sum(axis=1, keepdims=True) - expected).max() < 0.02


def test_a_model_reads_back_from_its_file_as_it_was_written(tmp_path: Path) -> None:
    vectors = encoder().encode(TEXTS)
    model = LinearModel.fit(TEXTS, vectors, INTENTS, penalty=0.1, max_iter=60)
    model.save(tmp_path / "intents.npz")
    loaded = LinearModel.load(tmp_path / "intents.npz")
    assert loaded.intents == ["book", "goodbye", "greet"]
    for text, vector in zip(TEXTS, vectors, strict=True):
        assert loaded.probabilities(text, vector) == pytest.approx(model.probabilities(text, vector), abs=2e-3)


def test_the_same_data_gives_the_same_model() -> None:
    vectors = encoder().encode(TEXTS)
    first, second = (LinearModel.fit(TEXTS, vectors, INTENTS, penalty=0.1, max_iter=60) for _ in range(2))
    probe = encoder().encode(["a visit please"])[0]
    assert np.array_equal(first.probabilities("a visit please", probe), second.probabilities("a visit please", probe))


def test_words_alike_share_most_of_their_ngrams() -> None:
    def shared(one: str, other: str) -> float:
        left, right = set(of_characters(one)), set(of_characters(other))
        return len(left & right) / len(left | right)

    assert shared("appointment", "apointment") > 0.6
    assert shared("cita médica", "CITA MEDICA") == 1.0
    assert shared("appointment", "parking") < 0.05


def test_words_and_pairs_of_them_are_counted() -> None:
    assert sum(of_words("Cancel my appt, my APPOINTMENT").values()) == 5 + 4
    assert of_words("cancel my appt") == of_words("cancel my appointment")
    assert set(of_words("one two")) != set(of_words("two one"))


def test_ngrams_met_in_one_example_only_count_nothing() -> None:
    weights = Ngrams.learn(of_characters, ["abcd", "abxy", "abzz"])
    columns, values = weights.sparse("abcd")
    assert len(columns) == len(values) == 3  # " a", "ab" and " ab", which all three begin with
    assert np.dot(values, values) == pytest.approx(1.0)
    assert weights.matrix(["abcd", "", "abxy"]).shape == (3, BUCKETS)


def test_the_encoder_is_one_for_the_process_and_remembers() -> None:
    assert encoder() is encoder()
    vectors = encoder().encode(["Hola  ", "hola", "hello"])
    assert vectors.shape == (3, DIMENSIONS)
    assert vectors.dtype == np.float32
    assert np.array_equal(vectors[0], vectors[1])
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 1], abs=1e-4)
    assert not np.allclose(vectors[1], vectors[2])


def test_the_encoder_forgets_what_was_not_asked_for_longest() -> None:
    small = SentenceEncoder(remembered=2)
    small.encode(["one", "two"])
    small.encode(["one", "three"])
    assert list(small._seen) == ["one", "three"]
    assert np.allclose(small.encode(["two"])[0], encoder().encode(["two"])[0], atol=1e-5)


def test_a_batch_gives_each_text_the_vector_it_has_alone() -> None:
    texts = ["yes", "I need to see somebody about my left shoulder next week", "no"]
    together = SentenceEncoder().encode(texts)
    alone = np.stack([SentenceEncoder().encode([text])[0] for text in texts])
    assert np.allclose(together, alone, atol=1e-5)


def test_an_entity_inside_a_longer_one_is_dropped() -> None:
    doctor = {"entity": "specialty", "start": 10, "end": 21}
    skin = {"entity": "body_part", "start": 10, "end": 14}
    knee = {"entity": "body_part", "start": 30, "end": 34}
    same = {"entity": "other", "start": 30, "end": 34}
    assert longest([skin, doctor, knee, same]) == [doctor, knee, same]


def test_the_scale_makes_confidence_what_it_says() -> None:
    random = np.random.default_rng(3)
    truth = random.normal(size=(4000, 5)).astype(np.float32) * 2
    chances = softmax(truth)
    targets = np.array([random.choice(5, p=row / row.sum()) for row in chances.astype(np.float64)])
    assert fit_scale(truth * 0.5, targets) == pytest.approx(2.0, abs=0.15)
    assert fit_scale(truth * 2.0, targets) == pytest.approx(0.5, abs=0.05)


def test_a_stretch_holds_neighbours_of_each_intent() -> None:
    fold = stretches(np.array([0, 0, 0, 1, 1, 1, 1, 1, 1]), 3)
    assert fold.tolist() == [0, 1, 2, 0, 0, 1, 1, 2, 2]


def test_few_examples_are_left_as_they_are() -> None:
    vectors = encoder().encode(TEXTS)
    assert LinearModel.fit(TEXTS, vectors, INTENTS, penalty=0.1, max_iter=60).calibration == Calibration(1.0, 0.0)


def test_the_fallbacks_threshold_is_what_the_data_says() -> None:
    model = ROOT / "models" / "carethread.tar.gz"
    if not model.exists():
        pytest.skip("no trained model; run `make train`")
    config = yaml.safe_load((ROOT / "config.yml").read_text(encoding="utf-8"))
    threshold = next(one["threshold"] for one in config["pipeline"] if one["name"] == "FallbackClassifier")
    with tarfile.open(model) as archive:
        name = next(one for one in archive.getnames() if one.endswith("intents.npz"))
        content = archive.extractfile(name)
        assert content is not None
        scale, advised = np.load(io.BytesIO(content.read()))["calibration"]
    assert threshold == pytest.approx(advised, abs=0.03), f"config.yml should have threshold: {advised:.2f}"
    assert 0.5 < scale < 3
