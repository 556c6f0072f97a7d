"""Fits the model of meanings to answers that people wrote, and finds from which probability on its word may count.

    learn(read_answers(ANSWERS), SentenceEncoder()).meaning.save(MODEL)

Held out are whole items, never some answers of an item: a new questionnaire asks what no training data asked.
Deterministic: the same answers give the same file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from carethread.questionnaires.definition import Item, Questionnaire
from carethread.questionnaires.loading import load
from carethread.questionnaires.meaning import (
    ABOUT,
    AROUND,
    BUCKETS,
    DIMENSIONS,
    PAIRED,
    PROJECTED,
    TYPES,
    Chances,
    Encoder,
    Features,
    Floats,
    Form,
    Limits,
    Meaning,
    Weights,
    about,
    counts,
    decide,
    features,
    form_of,
    has_a_say,
    is_own,
    keys_of,
    may_be_doubted,
    probabilities,
    unit,
)
from carethread.questionnaires.outcomes import NotUnderstood, Outcome, Taken
from carethread.questionnaires.readings import read_control
from carethread.questionnaires.understanding import exactly_an_option, understand
from carethread.yamls import parse

ANSWERS: Final = Path(__file__).with_name("answers")
FOLDS: Final = 6
SEED: Final = 20261130
DECAY: Final = 3e-4  # of the many weights, of sentence vectors and n-grams
DECAY_FEW: Final = 1e-5  # of the few
STEPS: Final = 80
WRONG: Final = 0.005  # share of all answers that meaning may take for what they are not, at most
WRONG_OWN: Final = 0.0075  # the same of open choices, where what is not taken for an option is kept as it stands
PRECISION: Final = 0.9  # of what meaning takes, how much at least is right
HIGHEST: Final = 0.97  # where no limit is good enough
LOST_OWN: Final = 0.12  # share of them about which it may be asked which option they mean
LOST: Final = 0.05  # share of own words that may be asked about although they are an answer
BETWEEN: Final = 0.85
THEN: Final = datetime(2026, 11, 30, 12, tzinfo=UTC)  # of dates said in answers; no answer here says any
_TRANSLATION: Final = "http://hl7.org/fhir/StructureDefinition/translation"


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody wrote to an item.

    `keys` are the options it means, `ask` where a nurse would ask again, `request` what is wished instead.
    """

    item: str
    language: str
    text: str
    keys: tuple[str, ...] = ()
    ask: bool = False
    request: str = ""


@dataclass(frozen=True, slots=True)
class Answers:
    questionnaire: Questionnaire
    answers: tuple[Answer, ...]
    made_of: str


@dataclass(frozen=True, slots=True)
class Tally:
    """Of the answers to some items: how many are taken rightly, taken wrongly, asked about; before and with meaning."""

    name: str
    answers: int
    right_before: int
    wrong_before: int
    right: int
    wrong: int

    def __str__(self) -> str:
        shares = [f"{count / max(1, self.answers):.1%}" for count in (self.right_before, self.right)]
        errors = [f"{count / max(1, self.answers):.1%}" for count in (self.wrong_before, self.wrong)]
        return f"{self.name} ({self.answers}): right {' → '.join(shares)}, wrong {' → '.join(errors)}"


@dataclass(frozen=True, slots=True)
class Learned:
    meaning: Meaning
    tallies: tuple[Tally, ...]


def digest(directory: Path) -> str:
    """What a model was made of: changes when an item or an answer does."""
    parts = [(directory / name).read_bytes() for name in ("items.yml", "corpus.jsonl")]
    return sha256(b"\n".join(parts)).hexdigest()[:16]


def read_answers(directory: Path) -> Answers:
    """The items and answers of a directory; see its README for the two files."""
    items = parse((directory / "items.yml").read_text(encoding="utf-8"))
    resource = {
        "resourceType": "Questionnaire", "status": "active", "language": "en", "url": "urn:carethread:answers",
        "item": [item_resource(item) for item in items],
    }  # fmt: skip
    questionnaire = load(resource)
    lines = (directory / "corpus.jsonl").read_text(encoding="utf-8").splitlines()
    answers = tuple(_answer(questionnaire, json.loads(line)) for line in lines)
    return Answers(questionnaire, answers, digest(directory))


def item_resource(item: dict[str, Any]) -> dict[str, Any]:
    """An entry of `items.yml` as a FHIR item."""
    found = {
        "linkId": item["id"], "type": item["type"], "repeats": bool(item.get("repeats")),
        "text": item["text"]["en"], "_text": _translated(item["text"]["es"]),
    }  # fmt: skip
    if "options" in item:
        found["answerOption"] = [
            {"valueCoding": {"code": str(one["code"]), "display": one["en"], "_display": _translated(one["es"])}}
            for one in item["options"]
        ]
    return found


def _translated(text: str) -> dict[str, Any]:
    parts = [{"url": "lang", "valueCode": "es"}, {"url": "content", "valueString": text}]
    return {"extension": [{"url": _TRANSLATION, "extension": parts}]}


def _answer(questionnaire: Questionnaire, line: dict[str, Any]) -> Answer:
    item, value = questionnaire.item(line["item"]), line["value"]
    if item is None:
        raise ValueError(f"corpus.jsonl: {line['item']!r} is no item of items.yml")
    keys: tuple[str, ...] = ()
    if isinstance(value, bool):
        keys = ("true" if value else "false",)
    elif isinstance(value, list):
        keys = tuple(option.key for option in item.options if getattr(option.value.value, "code", "") in value)
    ask = isinstance(value, dict) and "other" not in value
    request = value.get("request", "") if isinstance(value, dict) else ""
    return Answer(line["item"], line["language"], line["text"], keys, ask, request)


# --- fitting --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rows:
    """All answers in numbers, options padded to the most any item has."""

    found: tuple[Features, ...]
    said: Floats
    vectors: Floats  # (rows, options, DIMENSIONS)
    paired: Floats
    around: Floats
    open: NDArray[np.bool_]  # (rows, options + 2): what is there
    targets: Floats  # (rows, options + 2), adds up to one
    boolean: NDArray[np.bool_]
    fold: NDArray[np.int64]

    def about(self, centre: Floats, directions: Floats) -> Floats:
        rows = [about(v, bool(b), centre, directions) for v, b in zip(self.vectors, self.boolean, strict=True)]
        return np.stack(rows)


@dataclass(frozen=True, slots=True)
class Said:
    """An answer with what the other readers make of it. `control` is a request, which they hear before."""

    answer: Answer
    item: Item
    outcome: Outcome
    control: bool


def heard(material: Answers) -> list[Said]:
    found = []
    for answer in material.answers:
        item = material.questionnaire.item(answer.item)
        if item is None or item.type not in TYPES:
            continue
        exact = exactly_an_option(item, answer.text, answer.language)
        control = read_control(answer.text, answer.language) if exact is None else None
        outcome = exact or understand(item, answer.text, answer.language, THEN)
        found.append(Said(answer, item, outcome, control is not None and control.sure))
    return found


def rows_of(spoken: Sequence[Said], encoder: Encoder) -> tuple[Rows, list[Form]]:
    forms: dict[str, Form] = {}
    for said in spoken:
        if said.item.link_id not in forms:
            form = form_of(said.item, encoder)
            if form is None:
                raise RuntimeError("the sentence encoder does not work here, and the model is fitted to what it says")
            forms[said.item.link_id] = form
    encoded = encoder.encode([said.answer.text for said in spoken])
    if encoded is None:
        raise RuntimeError("the sentence encoder does not work here, and the model is fitted to what it says")
    found = [
        features(said.item, forms[said.item.link_id], said.answer.text, said.answer.language, vector, said.outcome)
        for said, vector in zip(spoken, unit(encoded), strict=True)
    ]
    most = max(len(one.vectors) for one in found)
    count = len(found)
    vectors = np.zeros((count, most, DIMENSIONS), dtype=np.float32)
    paired = np.zeros((count, most, PAIRED), dtype=np.float32)
    there = np.zeros((count, most + 2), dtype=bool)
    targets = np.zeros((count, most + 2), dtype=np.float32)
    for place, (one, said) in enumerate(zip(found, spoken, strict=True)):
        options = len(one.vectors)
        vectors[place, :options] = one.vectors
        paired[place, :options] = one.paired
        there[place, :options] = there[place, -2] = True
        there[place, -1] = one.own
        keys = forms[said.item.link_id].keys
        for key in said.answer.keys:
            targets[place, keys.index(key)] = 1 / len(said.answer.keys)
        if not said.answer.keys:
            targets[place, -2 if said.answer.ask or not one.own else -1] = 1
    items = sorted({said.item.link_id for said in spoken})
    order = np.random.default_rng(SEED).permutation(len(items))
    fold = {item: int(place) % FOLDS for item, place in zip(items, order, strict=True)}
    rows = Rows(
        tuple(found), np.stack([one.said for one in found]), vectors, paired,
        np.stack([one.around for one in found]), there, targets,
        np.array([one.boolean for one in found]), np.array([fold[said.item.link_id] for said in spoken]),
    )  # fmt: skip
    return rows, [forms[said.item.link_id] for said in spoken]


def fit(rows: Rows, among: NDArray[np.bool_]) -> Weights:
    """Multinomial logistic regression with a penalty on the squares, by L-BFGS."""
    options = np.unique(rows.vectors[among & ~rows.boolean].reshape(-1, DIMENSIONS), axis=0)
    options = options[np.abs(options).sum(axis=1) > 0]
    centre = options.mean(axis=0)
    _, spread, axes = np.linalg.svd(options - centre, full_matrices=False)
    directions = np.zeros((DIMENSIONS, PROJECTED), dtype=np.float32)
    kept = min(PROJECTED, len(spread))
    directions[:, :kept] = axes[:kept].T * (np.sqrt(len(options)) / (spread[:kept] + spread[0] / 10)) / 2
    known = rows.about(centre, directions)[among] * rows.open[among, :-2, None]
    said, paired, around = rows.said[among], rows.paired[among], rows.around[among]
    there, targets = rows.open[among], rows.targets[among]
    shapes = ((DIMENSIONS + BUCKETS, ABOUT), (PAIRED,), (DIMENSIONS + BUCKETS, 2), (AROUND, 2))
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    decays = (DECAY, DECAY_FEW, DECAY, DECAY_FEW)

    def slope(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        parts = np.split(flat.astype(np.float32), ends[:-1])
        said_w, paired_w, aside_w, around_w = (part.reshape(shape) for part, shape in zip(parts, shapes, strict=True))
        scores = np.full(there.shape, -30.0, dtype=np.float32)
        scores[:, :-2] = np.einsum("nkf,nf->nk", known, said @ said_w) + paired @ paired_w
        scores[:, -2:] = said @ aside_w + around @ around_w
        scores = np.where(there, scores, -30.0)
        scores -= scores.max(axis=1, keepdims=True)
        odds = np.exp(scores)
        odds /= odds.sum(axis=1, keepdims=True)
        loss = -float((targets * np.log(odds + 1e-9)).sum()) / len(said)
        error = np.where(there, odds - targets, 0.0).astype(np.float32) / len(said)
        pulled = np.einsum("nk,nkf->nf", error[:, :-2], known)
        slopes = (
            said.T @ pulled, np.einsum("nk,nkf->f", error[:, :-2], paired),
            said.T @ error[:, -2:], around.T @ error[:, -2:],
        )  # fmt: skip
        weights = (said_w, paired_w, aside_w, around_w)
        loss += sum(decay * float((w**2).sum()) / 2 for w, decay in zip(weights, decays, strict=True))
        steps = [(s + decay * w).ravel() for s, w, decay in zip(slopes, weights, decays, strict=True)]
        return loss, np.concatenate(steps).astype(np.float64)

    found = minimize(slope, np.zeros(ends[-1]), jac=True, method="L-BFGS-B", options={"maxiter": STEPS}).x
    parts = np.split(found.astype(np.float32), ends[:-1])
    said_w, paired_w, aside_w, around_w = (part.reshape(shape) for part, shape in zip(parts, shapes, strict=True))
    return Weights(said_w, paired_w, aside_w, around_w, centre.astype(np.float32), directions)


# --- how well it reads what it was not fitted to --------------------------------------------------------------


def learn(material: Answers, encoder: Encoder) -> Learned:
    """Fit the model. `encoder` must work."""
    spoken = heard(material)
    rows, forms = rows_of(spoken, encoder)
    unseen: list[Chances] = [Chances((), 0.0, 0.0)] * len(spoken)
    for fold in range(FOLDS):
        weights = fit(rows, rows.fold != fold)
        for place in np.flatnonzero(rows.fold == fold):
            unseen[place] = chances_of(weights, rows.found[place], forms[place].keys)
    limits = limits_of(spoken, unseen)
    weights = fit(rows, np.ones(len(spoken), dtype=bool))
    return Learned(Meaning(weights, limits, material.made_of, encoder), tuple(_tallies(spoken, unseen, limits)))


def limits_of(spoken: Sequence[Said], unseen: Sequence[Chances]) -> Limits:
    """From the probabilities of answers that the model was not fitted to, the lowest limits that err seldom enough."""
    pairs = [(said, chances) for said, chances in zip(spoken, unseen, strict=True) if not said.control]

    def take(types: tuple[str, ...], own: bool, share: float) -> float:
        count = sum(said.item.type in types for said in spoken)
        left = [
            (chances.options[0][1], said.answer.keys == (chances.options[0][0],))
            for said, chances in pairs
            if said.item.type in types and _left(said, own) and not counts(said.item)
        ]
        return _lowest(left, int(share * count))

    def doubt(types: tuple[str, ...]) -> float:
        taken = [
            (chances.of(keys[0]), said.answer.keys == keys)
            for said, chances in pairs
            for keys in [keys_of(said.item, said.outcome)]
            if said.item.type in types and may_be_doubted(said.item, said.outcome) and len(keys) == 1
        ]
        return _highest(taken)

    own = [(said, chances) for said, chances in pairs if is_own(said.item, said.outcome)]
    texts = [(said, chances) for said, chances in pairs if said.item.type in ("string", "text")]
    return Limits(
        take=take(("choice", "open-choice"), False, WRONG),
        take_boolean=take(("boolean",), False, WRONG),
        take_own=take(("open-choice",), True, WRONG_OWN),
        doubt=doubt(("choice", "open-choice")),
        doubt_boolean=doubt(("boolean",)),
        between=BETWEEN,
        ask=_seldom([chances.ask for said, chances in own if not said.answer.ask and not said.answer.keys]),
        ask_text=_seldom([chances.ask for said, chances in texts if not said.answer.ask]),
        own=round(
            1 - _seldom([1 - c.own for said, c in own if not said.answer.ask and not said.answer.keys], LOST_OWN), 3
        ),
    )


def chances_of(weights: Weights, found: Features, keys: tuple[str, ...]) -> Chances:
    odds = probabilities(weights, found)
    ranked = sorted(zip(keys, map(float, odds[:-2]), strict=True), key=lambda pair: -pair[1])
    return Chances(tuple(ranked), float(odds[-2]), float(odds[-1]))


def _left(said: Said, own: bool) -> bool:
    return is_own(said.item, said.outcome) if own else isinstance(said.outcome, NotUnderstood)


def _lowest(left: Sequence[tuple[float, bool]], most: int) -> float:
    """The lowest limit at which no more than `most` are taken wrongly, and of what is taken few enough."""
    limit, right, wrong = HIGHEST, 0, 0
    for chance, fits in sorted(left, reverse=True):
        right, wrong = right + fits, wrong + (not fits)
        if wrong > most:
            break
        if right >= PRECISION * (right + wrong) and chance < limit:
            limit = chance
    return round(max(limit, 0.5), 3)


def _highest(taken: Sequence[tuple[float, bool]]) -> float:
    """The highest limit, up to a half, below which at least as many are wrong as right."""
    limit, right, wrong = 0.0, 0, 0
    for chance, fits in sorted(taken):
        if chance >= 0.5:
            break
        right, wrong = right + fits, wrong + (not fits)
        if wrong >= right:
            limit = chance
    return round(limit + 0.001, 3)


def _seldom(chances: Sequence[float], share: float = LOST) -> float:
    """The limit that no more than a share reaches."""
    ranked = sorted(chances, reverse=True)
    return round(ranked[int(share * len(ranked))] + 0.001, 3) if ranked else 1.0


def _tallies(spoken: Sequence[Said], unseen: Sequence[Chances], limits: Limits) -> Iterator[Tally]:
    after = [
        decide(said.item, chances, said.outcome, limits) if has_a_say(said.item, said.answer.text, said.outcome)
        else said.outcome
        for said, chances in zip(spoken, unseen, strict=True)
    ]  # fmt: skip
    for name, types in (("all", TYPES), *((one, (one,)) for one in TYPES)):
        places = [place for place, said in enumerate(spoken) if said.item.type in types]
        before = [_judged(spoken[place], spoken[place].outcome) for place in places]
        now = [_judged(spoken[place], after[place]) for place in places]
        yield Tally(
            name, len(places), before.count("right"), before.count("wrong"), now.count("right"), now.count("wrong")
        )


def _judged(said: Said, outcome: Outcome) -> str:
    if said.control:
        return "request"
    if not isinstance(outcome, Taken):
        return "asked"
    if said.item.type in ("string", "text") or is_own(said.item, outcome):
        return "right" if not said.answer.ask and not said.answer.keys else "wrong"
    keys = keys_of(said.item, outcome)
    fits = set(keys) == set(said.answer.keys) and len(keys) > 0
    return "right" if fits else "wrong"
