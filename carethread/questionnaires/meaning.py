"""Reads an answer by its meaning, where grammar and lists of words do not: "collecting my pension" is "Retired".

    meaning = Meaning.load(MODEL, encoder)
    meaning(item, "collecting my pension", "en", NotUnderstood())   # Taken: "Retired"

A linear model over the answer's sentence vector and its n-grams gives every option, and the two other ways to go on
(ask again; words of the patient's own), a probability. It has the word where the other readers have not understood,
and it can doubt what they took from words alone; it never turns one value into another. Deterministic;
`meaning_training` makes the file, and says from which probability on its word counts.
"""

from __future__ import annotations

import math
import zlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from carethread.fitted import softmax, store, stored
from carethread.questionnaires.definition import AnswerOption, Item
from carethread.questionnaires.keys import key_value
from carethread.questionnaires.outcomes import NothingToSay, NotUnderstood, Outcome, Taken, Which
from carethread.questionnaires.readings import read_yes_no
from carethread.questionnaires.readings.lexicon import load_table
from carethread.questionnaires.readings.text import words

LEARN: Final = "carethread questionnaire learn"  # makes the models
MODEL: Final = Path(__file__).with_name("meaning.npz")
_TEXTS: Final = ("string", "text")
TYPES: Final = ("boolean", "choice", "open-choice", *_TEXTS)  # of items whose answers it reads
DIMENSIONS: Final = 512  # of a sentence vector
BUCKETS: Final = 2_048  # that n-grams are hashed into
PROJECTED: Final = 48  # directions in which the options of the training data differ most
ABOUT: Final = PROJECTED + 2  # what is known of an option: the directions, and whether it is a yes or a no
PAIRED: Final = 14  # numbers that compare an answer with an option
AROUND: Final = 16  # numbers about an answer as a whole
OUTRIGHT: Final = 0.95  # confidence of a yes or a no that opens an answer: "No, none of those"
MOST_OPTIONS: Final = 30  # longer lists are read by their words alone
MOST_WORDS: Final = 60  # a longer answer tells a story; nobody should take one value from it
_NEGATORS: Final = frozenset(load_table("choice")["negators"]) | {"nothing", "nobody", "nada", "nadie", "aint", "wont"}
_REMEMBERED: Final = 512  # items whose options are kept as vectors
_ASK, _OWN = -2, -1  # places of "ask again" and "words of the patient's own" after the options' probabilities
_BY_PLACE: Final = ("number", "letter", "proposed")  # hows of readings that the model never doubts

Floats = NDArray[np.float32]


class Encoder(Protocol):
    """Texts to sentence vectors, one row of `DIMENSIONS` numbers a text; None where it does not work."""

    def encode(self, texts: Sequence[str], /) -> Floats | None: ...


class MeaningError(ValueError):
    """The model's file is missing or none."""


@dataclass(frozen=True, slots=True)
class Limits:
    """From which probability (0-1) the model's word counts."""

    take: float  # an option, where the other readers did not understand
    take_boolean: float  # a yes or a no, the same
    take_own: float  # an option, where words of the patient's own would be kept instead
    doubt: float  # below: an option that was taken for a yes or a no in the answer is asked about
    doubt_boolean: float  # the same of a yes or a no that the other readers took
    between: float  # two options that together reach it are asked about
    ask: float  # from there on, of "ask again": own words are no answer to an open choice
    ask_text: float  # the same of a text
    own: float  # below: own words to an open choice mean one of its options


@dataclass(frozen=True, slots=True)
class Weights:
    """The fitted numbers. z is what is said: sentence vector and n-grams; an option's score is z·said·about."""

    said: Floats  # (DIMENSIONS + BUCKETS, ABOUT)
    paired: Floats  # (PAIRED,)
    aside: Floats  # (DIMENSIONS + BUCKETS, 2): of asking again, of own words
    around: Floats  # (AROUND, 2)
    centre: Floats  # (DIMENSIONS,) mean of the training data's options
    directions: Floats  # (DIMENSIONS, PROJECTED)


@dataclass(frozen=True, slots=True)
class Chances:
    """How likely an answer means each option (by key), should be asked again, or is the patient's own words."""

    options: tuple[tuple[str, float], ...]  # the likeliest first
    ask: float
    own: float

    def of(self, key: str) -> float:
        return next((chance for other, chance in self.options if other == key), 0.0)


@dataclass(frozen=True, slots=True)
class Form:
    """An item as the model sees it. `near` are rows of vectors an option is compared by, `holder` their options."""

    keys: tuple[str, ...]
    vectors: Floats  # (options, DIMENSIONS), unit length; the mean over an option's wordings
    near: Floats
    near_holder: NDArray[np.int64]
    joined: Floats  # the same with the question before each wording
    joined_holder: NDArray[np.int64]
    grams: Floats  # (wordings, BUCKETS), in the order of `near`
    question: Floats  # (languages, DIMENSIONS)
    asked: Floats  # (languages, BUCKETS), n-grams of the question
    polar: tuple[int, ...]  # +1 for an option that is a yes, -1 for a no


@dataclass(frozen=True, slots=True)
class Features:
    """One answer to one item, in numbers. `about` leaves the directions out: they are fitted."""

    said: Floats  # (DIMENSIONS + BUCKETS,)
    vectors: Floats  # (options, DIMENSIONS)
    paired: Floats  # (options, PAIRED)
    around: Floats  # (AROUND,)
    boolean: bool
    own: bool  # whether the item takes words of the patient's own, or none of its options


class Meaning:
    """The fitted model with its encoder, which is asked for one vector an answer and remembers the options'."""

    def __init__(self, weights: Weights, limits: Limits, made_of: str, encoder: Encoder) -> None:
        self.weights = weights
        self.limits = limits
        self.made_of = made_of
        self._encoder = encoder
        self._forms: OrderedDict[tuple[str, ...], Form] = OrderedDict()

    def __call__(self, item: Item, text: str, language: str, outcome: Outcome) -> Outcome:
        """What an answer is taken for, given what the other readers made of it; see the module."""
        if not has_a_say(item, text, outcome):
            return outcome
        chances = self.chances(item, text, language, outcome)
        return outcome if chances is None else decide(item, chances, outcome, self.limits)

    def chances(self, item: Item, text: str, language: str, outcome: Outcome) -> Chances | None:
        """The probabilities, which add up to one; None where the encoder does not work."""
        form = self._form(item)
        vector = self._encoder.encode([text]) if form is not None else None
        if form is None or vector is None:
            return None
        found = features(item, form, text, language, unit(vector)[0], outcome)
        odds = probabilities(self.weights, found)
        ranked = sorted(zip(form.keys, map(float, odds[:_ASK]), strict=True), key=lambda pair: -pair[1])
        return Chances(tuple(ranked), float(odds[_ASK]), float(odds[_OWN]))

    def warm(self) -> None:
        """Load the encoder now, so that no patient waits for it."""
        self._encoder.encode(["hello"])

    def _form(self, item: Item) -> Form | None:
        key = (item.type, *item.wording.all(), *(text for option in item.options for text in said_for(option)))
        if key in self._forms:
            self._forms.move_to_end(key)
            return self._forms[key]
        form = form_of(item, self._encoder)
        if form is not None:
            self._forms[key] = form
            if len(self._forms) > _REMEMBERED:
                self._forms.popitem(last=False)
        return form

    def save(self, path: Path) -> None:
        """Write the file; half-precision numbers, so that it stays small."""
        arrays = {name: getattr(self.weights, name).astype(np.float16) for name in _ARRAYS}
        store(path, self.limits, self.made_of, **arrays)

    @classmethod
    def load(cls, path: Path, encoder: Encoder) -> Meaning:
        """Load the model; raise `MeaningError` with the mend for a file that is missing or none."""
        with stored(path, MeaningError, "it", LEARN) as file:
            weights = Weights(**{name: file.arrays[name].astype(np.float32) for name in _ARRAYS})
            if any(getattr(weights, name).shape != shape for name, shape in _ARRAYS.items()):
                raise ValueError("its numbers are not those that this version reads")
            return cls(weights, Limits(**file.limits), file.made_of, encoder)


_ARRAYS: Final[dict[str, tuple[int, ...]]] = {
    "said": (DIMENSIONS + BUCKETS, ABOUT),
    "paired": (PAIRED,),
    "aside": (DIMENSIONS + BUCKETS, 2),
    "around": (AROUND, 2),
    "centre": (DIMENSIONS,),
    "directions": (DIMENSIONS, PROJECTED),
}


def has_a_say(item: Item, text: str, outcome: Outcome) -> bool:
    """Whether meaning is asked at all: where the other readers were lost, or went by words alone."""
    if isinstance(outcome, NothingToSay):  # "no, that's all" is an answer that words alone settle
        return False
    if item.type not in TYPES or not 0 < len(words(text)) <= MOST_WORDS or len(item.options) > MOST_OPTIONS:
        return False
    if isinstance(outcome, NotUnderstood):
        return item.type == "boolean" or bool(item.options)
    if item.type in _TEXTS:  # any words may be the answer, and a symptom must not be asked for twice
        return False
    return is_own(item, outcome) or may_be_doubted(item, outcome)


def is_by_words(item: Item, outcome: Outcome) -> bool:
    """Whether an option was taken for the words it shares with the answer, or a yes or a no for the like."""
    return (
        isinstance(outcome, Taken) and outcome.confidence < 1 and outcome.how not in _BY_PLACE
        and item.type not in _TEXTS
    )  # fmt: skip


def may_be_doubted(item: Item, outcome: Outcome) -> bool:
    """A yes or no that was not said outright; of options those that a yes or a no in the answer was taken for."""
    polar = isinstance(outcome, Taken) and outcome.how == "polarity"
    outright = isinstance(outcome, Taken) and outcome.confidence >= OUTRIGHT
    return is_by_words(item, outcome) and (not outright if item.type == "boolean" else polar)


def decide(item: Item, chances: Chances, outcome: Outcome, limits: Limits) -> Outcome:
    """Takes what is near certain, asks which of two is meant, doubts what was taken by words; else changes nothing."""
    if item.type in _TEXTS:
        return NotUnderstood() if chances.ask >= limits.ask_text else outcome
    own = is_own(item, outcome)
    if isinstance(outcome, Taken) and not own:
        return _doubted(item, chances, outcome, limits)
    (best, chance), (second, next_chance) = (*chances.options, ("", 0.0))[:2]
    value = key_value(item, best)
    limit = limits.take_boolean if item.type == "boolean" else limits.take_own if own else limits.take
    if value is not None and chance >= limit and not counts(item):
        return Taken((value,), "meaning", round(chance, 3))
    if item.type == "boolean":
        return outcome
    if own and chances.ask >= limits.ask:
        return NotUnderstood()
    near = chance + next_chance >= limits.between
    return Which((best, second)) if second and (near or (own and chances.own < limits.own)) else outcome


def counts(item: Item) -> bool:
    """Whether options say numbers ("1-2 days"): "every other day" lies near "every day" in meaning, but is not that."""
    return any(char.isdigit() for option in item.options for char in option.wording.text)


def _doubted(item: Item, chances: Chances, taken: Taken, limits: Limits) -> Outcome:
    """What was taken by its words, unless it hardly means that: then the question is put again."""
    keys = keys_of(item, taken)
    limit = limits.doubt_boolean if item.type == "boolean" else limits.doubt
    return NotUnderstood() if len(keys) == 1 and chances.of(keys[0]) < limit else taken


def is_own(item: Item, outcome: Outcome) -> bool:
    """Whether an outcome takes the patient's own words where options are offered."""
    return (
        item.type == "open-choice" and isinstance(outcome, Taken) and all(v.kind == "String" for v in outcome.values)
        and not any(option.value in outcome.values for option in item.options)
    )  # fmt: skip


def keys_of(item: Item, outcome: Outcome) -> tuple[str, ...]:
    """The keys of the options that an outcome takes or asks about."""
    if isinstance(outcome, Which):
        return outcome.keys
    if not isinstance(outcome, Taken):
        return ()
    if item.type == "boolean":
        return tuple("true" if value.value else "false" for value in outcome.values)
    return tuple(option.key for option in item.options if option.value in outcome.values)


# --- an item and an answer in numbers -------------------------------------------------------------------------


def said_for(option: AnswerOption) -> tuple[str, ...]:
    return tuple(dict.fromkeys(option.wording.all()))


_YES_NO: Final = (("true", ("Yes", "Sí")), ("false", ("No", "No, para nada")))


def form_of(item: Item, encoder: Encoder) -> Form | None:
    """An item's question and options as vectors; None where the encoder does not work."""
    boolean = item.type == "boolean"
    options = _YES_NO if boolean else tuple((option.key, said_for(option)) for option in item.options)
    questions = tuple(dict.fromkeys(item.wording.all()))
    near = [(place, text) for place, (_, texts) in enumerate(options) for text in texts]
    joined = [(place, f"{asked} {text}") for place, text in near for asked in questions]
    encoded = encoder.encode([*questions, *(text for _, text in near), *(text for _, text in joined)])
    if encoded is None:
        return None
    rows = unit(encoded)
    wordings = rows[len(questions) : len(questions) + len(near)]
    holder = np.array([place for place, _ in near], dtype=np.int64)
    vectors = [wordings[holder == place].mean(axis=0) for place in range(len(options))]
    polar: list[int] = []
    for key, texts in options:
        reading = read_yes_no(texts[0], "en") if not boolean else None
        sign = {"true": 1, "false": -1}.get(key, 0) if boolean else 0
        polar.append((1 if reading.value else -1) if reading is not None and reading.sure else sign)
    return Form(
        keys=tuple(key for key, _ in options),
        vectors=unit(np.array(vectors, dtype=np.float32).reshape(-1, DIMENSIONS)),
        near=wordings,
        near_holder=holder,
        joined=rows[len(questions) + len(near) :],
        joined_holder=np.array([place for place, _ in joined], dtype=np.int64),
        grams=np.array([hashed(text) for _, text in near], dtype=np.float32).reshape(-1, BUCKETS),
        question=rows[: len(questions)],
        asked=np.array([hashed(text) for text in questions], dtype=np.float32),
        polar=tuple(polar),
    )


def features(item: Item, form: Form, text: str, language: str, vector: Floats, outcome: Outcome) -> Features:
    """An answer in numbers; `outcome` is what the other readers made of it, `vector` its unit vector."""
    count = len(form.keys)
    grams = hashed(text)
    near = _most(form.near @ vector, form.near_holder, count)
    joined = _most(form.joined @ vector, form.joined_holder, count)
    alike = _most(form.grams @ grams, form.near_holder, count)
    chosen = set(keys_of(item, outcome))
    taken = isinstance(outcome, Taken)
    placed = taken and not is_by_words(item, outcome)
    polarity = read_yes_no(text, language)
    spoken = 0.0 if polarity is None else polarity.confidence * (1 if polarity.value else -1)
    hints = _hints(form, text, vector, grams)
    paired = np.zeros((count, PAIRED), dtype=np.float32)
    for place, key in enumerate(form.keys):
        rivals = np.delete(near, place)
        paired[place] = (
            near[place],
            joined[place],
            near[place] - (rivals.max() if len(rivals) else 0.0),
            alike[place],
            key in chosen and taken and placed,
            key in chosen and taken and not placed,
            key in chosen and not taken,
            form.polar[place] * spoken,
            item.type == "boolean",
            *(form.polar[place] * hint for hint in hints),
        )
    ranked = np.sort(near)[::-1]
    length = len(words(text))
    around = np.array(
        (
            1.0,
            ranked[0] if count else 0.0,
            ranked[0] - ranked[1] if count > 1 else 0.0,
            alike.max() if count else 0.0,
            float((form.question @ vector).max()),
            math.log1p(length),
            length == 1,
            "?" in text,
            bool(chosen) and taken and placed,
            bool(chosen) and taken and not placed,
            bool(chosen) and not taken,
            isinstance(outcome, NothingToSay),
            abs(spoken),
            item.type == "boolean",
            item.type == "open-choice",
            math.log1p(count),
        ),
        dtype=np.float32,
    )
    said = np.concatenate([2 * vector, grams]).astype(np.float32)
    return Features(said, form.vectors, paired, around, item.type == "boolean", item.type != "boolean")


def _hints(form: Form, text: str, vector: Floats, grams: Floats) -> tuple[float, ...]:
    """For a yes (or against a no): whether an answer denies, says the question's words, is about the same; together."""
    denies = any(word in _NEGATORS for word in words(text))
    says = float((form.asked @ grams).max())
    same = float((form.question @ vector).max())
    return (1.0 if denies else 0.0, says, says if denies else 0.0, same, same if denies else 0.0)


def about(form_vectors: Floats, boolean: bool, centre: Floats, directions: Floats) -> Floats:
    """What is known of each option: (options, ABOUT)."""
    rows = np.zeros((len(form_vectors), ABOUT), dtype=np.float32)
    if boolean:
        rows[0, PROJECTED] = rows[1, PROJECTED + 1] = 1
    else:
        rows[:, :PROJECTED] = (form_vectors - centre) @ directions
    return rows


def scores(weights: Weights, found: Features) -> Floats:
    """One score an option, then those of asking again and of own words."""
    known = about(found.vectors, found.boolean, weights.centre, weights.directions)
    options = known @ (found.said @ weights.said) + found.paired @ weights.paired
    asides = found.said @ weights.aside + found.around @ weights.around
    if not found.own:
        asides[1] = -30.0
    return np.concatenate([options, asides]).astype(np.float32)


def probabilities(weights: Weights, found: Features) -> Floats:
    """The scores as probabilities, in the same order."""
    return softmax(scores(weights, found))


def unit(rows: Floats) -> Floats:
    return np.asarray(rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-9), dtype=np.float32)


def hashed(text: str) -> Floats:
    """Words, pairs and triples of words, and letters in threes, as one unit row of `BUCKETS` numbers."""
    row = np.zeros(BUCKETS, dtype=np.float32)
    for gram in _grams(text):
        row[zlib.crc32(gram.encode()) % BUCKETS] += 1
    row = np.sqrt(row)
    return row / np.float32(np.linalg.norm(row) + 1e-9)


def _grams(text: str) -> Iterator[str]:
    spoken = words(text)[:MOST_WORDS]
    line = ("<", *spoken, ">")
    yield from (f"1 {word}" for word in spoken)
    yield from (f"2 {' '.join(pair)}" for pair in pairwise(line))
    yield from (f"3 {' '.join(three)}" for three in zip(line, line[1:], line[2:], strict=False))
    yield from (f"f {word}" for word in spoken[:1])
    for word in spoken:
        framed = f"<{word}>"
        yield from (f"c {framed[place : place + 3]}" for place in range(len(framed) - 2))
    if "?" in text:
        yield "?"


def _most(values: Floats, holder: NDArray[np.int64], count: int) -> Floats:
    """The most any wording of each option reaches."""
    found = np.full(count, -1.0, dtype=np.float32)
    np.maximum.at(found, holder, values)
    return found
