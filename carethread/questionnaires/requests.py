"""Hears a wish or a question about the question in sentences that no table knows: "could you run that by me again?".

    reader = Requests.load(REQUESTS, encoder)
    reader(item, "let me fix the last one", "en", NotUnderstood())   # Request: back

A linear model over the message's sentence vector and its n-grams. It has the word where the other readers have not
understood, and over what they took from words alone; never over a number, a letter, a date or an option's own words,
and never where a message may tell of an emergency. Deterministic; `requests_training` makes the file.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

import numpy as np

from carethread.fitted import softmax, store, stored
from carethread.questionnaires.definition import Item
from carethread.questionnaires.meaning import (
    BUCKETS,
    DIMENSIONS,
    LEARN,
    MODEL,
    Encoder,
    Floats,
    Meaning,
    MeaningError,
    hashed,
    is_by_words,
    is_own,
    unit,
)
from carethread.questionnaires.outcomes import NotUnderstood, Outcome, Request, Taken, Which
from carethread.questionnaires.readings import Control
from carethread.questionnaires.readings.lexicon import load_table
from carethread.questionnaires.readings.text import plain, words
from carethread.questionnaires.understanding import offers_request

REQUESTS: Final = Path(__file__).with_name("requests.npz")
ANSWER: Final = "answer"  # the kind of what is no request
KINDS: Final = (ANSWER, *sorted(one.value for one in Control if one is not Control.HUMAN))
LEAVING: Final = ("decline", "dont_know", "skip")  # after these a question may stay without an answer
AROUND: Final = 6  # numbers about a message as a whole
WIDTH: Final = DIMENSIONS + BUCKETS + AROUND
_OPENING: Final = chr(0xBF)  # a question mark that opens a question
FEWEST: Final = 2  # words of a message that may be a request put as a sentence
MOST: Final = 30
_TEXTS: Final = ("string", "text")
_OF_TEXTS: Final = ("back", "decline", "repeat", "restart", "skip", "what", "why")  # "I don't know how to …" is a worry


@dataclass(frozen=True, slots=True)
class Limits:
    """From which probability (0-1) a request is heard."""

    leave: float  # one after which the question may stay open, where nothing was understood
    ask: float  # any other there
    over: float  # over what was taken from words alone
    text: float  # over words of the patient's own


class Requests:
    """The fitted model with its encoder, which is asked for one vector a message."""

    def __init__(self, weights: Floats, limits: Limits, made_of: str, encoder: Encoder) -> None:
        self.weights = weights  # (WIDTH, KINDS)
        self.limits = limits
        self.made_of = made_of
        self._encoder = encoder

    def __call__(self, item: Item, text: str, language: str, outcome: Outcome) -> Outcome:
        """The request, where a message is one, and else what the other readers made of it."""
        says = where(item, outcome)
        if says is None or not may_be_one(text):
            return outcome
        vector = self._encoder.encode([text])
        if vector is None:
            return outcome
        kind, chance = likeliest(self.weights, features(text, unit(vector)[0]))
        limit = getattr(self.limits, "leave" if says == "ask" and kind in LEAVING else says)
        heard = kind != ANSWER and chance >= limit and (item.type not in _TEXTS or kind in _OF_TEXTS)
        if not heard:
            return outcome
        return offers_request(item, Control(kind), language) or Request(Control(kind))

    def save(self, path: Path) -> None:
        """Write the file; half-precision numbers, so that it stays small."""
        store(path, self.limits, self.made_of, weights=self.weights.astype(np.float16))

    @classmethod
    def load(cls, path: Path, encoder: Encoder) -> Requests:
        """Load the model; raise `MeaningError` with the mend for a file that is missing or none."""
        with stored(path, MeaningError, "it", LEARN) as file:
            weights = file.arrays["weights"].astype(np.float32)
            if weights.shape != (WIDTH, len(KINDS)):
                raise ValueError("its numbers are not those that this version reads")
            return cls(weights, Limits(**file.limits), file.made_of, encoder)


def where(item: Item, outcome: Outcome) -> Literal["ask", "over", "text"] | None:
    """By which of the limits a request is heard over an outcome; None where the outcome stands."""
    if isinstance(outcome, NotUnderstood | Which):
        return "ask"
    if not isinstance(outcome, Taken):
        return None
    if item.type in _TEXTS or is_own(item, outcome):
        return "text"
    return "over" if item.options and is_by_words(item, outcome) else None


@dataclass(frozen=True, slots=True)
class Learned:
    """What is read by fitted models, in turn: what an answer means, then whether it is a request after all."""

    meaning: Meaning
    requests: Requests

    def __call__(self, item: Item, text: str, language: str, outcome: Outcome) -> Outcome:
        return self.requests(item, text, language, self.meaning(item, text, language, outcome))

    @classmethod
    def load(cls, encoder: Encoder) -> Learned:
        """The models in use; raise `MeaningError` with the mend where one is missing."""
        once = _Once(encoder)
        return cls(Meaning.load(MODEL, once), Requests.load(REQUESTS, once))


class _Once:
    """An encoder that knows the last message still: both models read the same one, and encoding takes longest."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._last: tuple[str, Floats] | None = None

    def encode(self, texts: Sequence[str], /) -> Floats | None:
        if len(texts) != 1:
            return self._encoder.encode(texts)
        last = self._last
        if last is not None and last[0] == texts[0]:
            return last[1]
        rows = self._encoder.encode(texts)
        if rows is not None:
            self._last = texts[0], rows
        return rows


def may_be_one(text: str) -> bool:
    """Whether a message is as long as requests are, and tells of nothing that may be an emergency."""
    return FEWEST <= len(words(text)) <= MOST and not _urgent().search(plain(text))


@lru_cache(maxsize=1)
def _urgent() -> re.Pattern[str]:
    return re.compile(r"\b(?:" + "|".join(load_table("urgent")["stems"]) + ")")


def features(text: str, vector: Floats) -> Floats:
    """A message in numbers; `vector` is its unit vector."""
    spoken = words(text)
    asks = text.rstrip().endswith("?"), text.lstrip()[:1] == _OPENING
    around = (1.0, *asks, math.log1p(len(spoken)) / 3, len(spoken) > 12, "," in text)
    return np.concatenate([2 * vector, 2 * hashed(text), np.array(around, dtype=np.float32)]).astype(np.float32)


def likeliest(weights: Floats, found: Floats) -> tuple[str, float]:
    """The likeliest kind with its probability."""
    odds = probabilities(weights, found[None, :])[0]
    place = int(odds.argmax())
    return KINDS[place], float(odds[place])


def probabilities(weights: Floats, rows: Floats) -> Floats:
    """(rows, KINDS), each row adds up to one."""
    return softmax(rows @ weights)
