"""Fits the reader of requests to messages that people wrote, and finds from which probability on one may be heard.

Held out are whole items with all their answers, as for meanings; deterministic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_matrix

from carethread.fitted import softmax
from carethread.questionnaires.meaning import DIMENSIONS, Encoder, Floats, unit
from carethread.questionnaires.meaning_training import FOLDS, SEED, THEN, Answers
from carethread.questionnaires.readings import Control
from carethread.questionnaires.requests import (
    ANSWER,
    AROUND,
    KINDS,
    LEAVING,
    WIDTH,
    Limits,
    Requests,
    features,
    may_be_one,
    probabilities,
    where,
)
from carethread.questionnaires.understanding import understand
from carethread.yamls import parse

DECAY: Final = 1e-4
STEPS: Final = 120
WEIGHT: Final = 1.5  # of a request beside an answer, of which there are more
WRONG_LEAVING: Final = 0.002  # share of answers that may be taken for "skip", "don't know" or "rather not", at most
WRONG_ASKING: Final = 0.004  # the same of requests after which the question still waits
WRONG_OVER: Final = 0.0005  # the same where an answer was understood, or is kept in the patient's own words
LOWEST: Final = 0.5
SUREST: Final = 0.9  # no limit over what was understood is lower


@dataclass(frozen=True, slots=True)
class Message:
    """`group` holds the messages that are left out together when the model is tried.

    `where` says by which of the limits it would be heard, if it were a request.
    """

    text: str
    kind: str
    group: str
    where: str | None = None


@dataclass(frozen=True, slots=True)
class LearnedRequests:
    requests: Requests
    messages: int
    asked: int  # how many of them are requests
    heard: int  # how many requests are heard by a model that was not fitted to them
    mistaken: int  # how many of another kind are
    invented: int  # how many answers are taken for a request


def digest(directory: Path) -> str:
    """What a model was made of: changes when a message does."""
    parts = [(directory / name).read_bytes() for name in ("items.yml", "corpus.jsonl", "requests.yml")]
    return sha256(b"\n".join(parts)).hexdigest()[:16]


def read_messages(directory: Path, material: Answers) -> list[Message]:
    """The lines of `requests.yml`, and all answers of the corpus."""
    found = []
    for entry in parse((directory / "requests.yml").read_text(encoding="utf-8")):
        for language in ("en", "es"):
            for place, line in enumerate(entry[language].strip().splitlines()):
                found.append(Message(line.strip(), entry["kind"], f"{entry['kind']} {language} {place % (2 * FOLDS)}"))
    for one in material.answers:
        item = material.questionnaire.item(one.item)
        if item is not None and one.request != Control.HUMAN:  # heard before any questionnaire is
            kind = one.request if one.request in KINDS else ANSWER
            outcome = understand(item, one.text, one.language, THEN)
            found.append(Message(one.text, kind, one.item, where(item, outcome)))
    return found


def learn_requests(directory: Path, material: Answers, encoder: Encoder) -> LearnedRequests:
    """Fit the model. `encoder` must work."""
    messages = read_messages(directory, material)
    vectors = encoder.encode([one.text for one in messages])
    if vectors is None:
        raise RuntimeError("the sentence encoder does not work here, and the model is fitted to what it says")
    rows = np.stack([features(one.text, vector) for one, vector in zip(messages, unit(vectors), strict=True)])
    kinds = np.array([KINDS.index(one.kind) for one in messages])
    folds = _folds(messages)
    unseen = np.zeros((len(messages), len(KINDS)), dtype=np.float32)
    for fold in range(FOLDS):
        held = folds == fold
        unseen[held] = probabilities(_fit(rows[~held], kinds[~held]), rows[held])
    limits = _limits(messages, unseen)
    requests = Requests(_fit(rows, kinds), limits, digest(directory), encoder)
    return _tally(requests, messages, unseen)


def _folds(messages: Sequence[Message]) -> NDArray[np.int64]:
    groups = sorted({one.group for one in messages})
    order = np.random.default_rng(SEED).permutation(len(groups))
    fold = {group: int(place) % FOLDS for group, place in zip(groups, order, strict=True)}
    return np.array([fold[one.group] for one in messages])


def _fit(rows: Floats, kinds: NDArray[np.int64]) -> Floats:
    """Multinomial logistic regression with a penalty on the squares, by L-BFGS."""
    targets = np.eye(len(KINDS), dtype=np.float32)[kinds]
    weight = np.where(kinds == KINDS.index(ANSWER), 1.0, WEIGHT).astype(np.float32)
    weight /= weight.sum()
    decay = np.full((WIDTH, 1), DECAY, dtype=np.float32)
    decay[-AROUND:] = DECAY / 10
    few = csr_matrix(rows[:, DIMENSIONS:])  # most n-grams are in no message
    dense = np.ascontiguousarray(rows[:, :DIMENSIONS])

    def slope(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights = flat.astype(np.float32).reshape(WIDTH, len(KINDS))
        odds = softmax(dense @ weights[:DIMENSIONS] + few @ weights[DIMENSIONS:])
        loss = -float((weight * np.log((odds * targets).sum(axis=1) + 1e-9)).sum())
        loss += float((decay * weights**2).sum()) / 2
        error = (odds - targets) * weight[:, None]
        step = np.concatenate([dense.T @ error, few.T @ error]) + decay * weights
        return loss, step.ravel().astype(np.float64)

    start = np.zeros(WIDTH * len(KINDS))
    found = minimize(slope, start, jac=True, method="L-BFGS-B", options={"maxiter": STEPS}).x
    return np.asarray(found.astype(np.float32).reshape(WIDTH, len(KINDS)))


def _limits(messages: Sequence[Message], unseen: Floats) -> Limits:
    """The lowest limits at which few enough answers are taken for a request."""
    leaving = [place for place, kind in enumerate(KINDS) if kind in LEAVING]
    asking = [place for place, kind in enumerate(KINDS) if kind != ANSWER and kind not in LEAVING]
    count = sum(one.kind == ANSWER for one in messages)

    def limit(places: list[int], heard: str, share: float) -> float:
        answers = [one.kind == ANSWER and one.where == heard and may_be_one(one.text) for one in messages]
        ranked = np.sort(unseen[np.array(answers)][:, places].max(axis=1))[::-1]
        most = int(share * count)
        return round(max(LOWEST, float(ranked[most]) + 0.001), 3) if most < len(ranked) else LOWEST

    return Limits(
        leave=limit(leaving, "ask", WRONG_LEAVING),
        ask=limit(asking, "ask", WRONG_ASKING),
        over=max(SUREST, limit([*leaving, *asking], "over", WRONG_OVER)),
        text=max(SUREST, limit([*leaving, *asking], "text", WRONG_OVER)),
    )


def _tally(requests: Requests, messages: Sequence[Message], unseen: Floats) -> LearnedRequests:
    heard = mistaken = invented = 0
    for one, odds in zip(messages, unseen, strict=True):
        kind = KINDS[int(odds.argmax())]
        limit = requests.limits.leave if kind in LEAVING else requests.limits.ask
        if kind == ANSWER or odds.max() < limit or not may_be_one(one.text):
            continue
        heard += kind == one.kind
        mistaken += one.kind not in (ANSWER, kind)
        invented += one.kind == ANSWER and one.where == "ask"
    asked = sum(one.kind != ANSWER for one in messages)
    return LearnedRequests(requests, len(messages), asked, heard, mistaken, invented)
