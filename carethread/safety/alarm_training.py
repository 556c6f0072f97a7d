"""Fits the learned alarm and the judge to the examples, and finds by cross-validation from where on they may alarm.

    texts = example_texts(Path("content/safety")) + rule_texts(rules) + ordinary_texts(Path("data/nlu"))
    learned = learn(texts, rules.find, SentenceEncoder())
    learned.judge.save(Path("content/safety/judge.npz"))

Deterministic on one machine: the same texts and rules give the same files.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_matrix, diags

from carethread.fitted import softmax
from carethread.safety.alarm import BUCKETS, FEW, LEVELS, LearnedAlarm, Limits, features, words_of
from carethread.safety.encoder import DIMENSIONS
from carethread.safety.examples import Example, digest
from carethread.safety.findings import Findings
from carethread.safety.judge import COLUMNS, Encoder, Judge, counts, mixed
from carethread.safety.judge_training import fit
from carethread.safety.levels import RANK, Level
from carethread.safety.rules import Rule
from carethread.safety.tables import TableError
from carethread.yamls import parse

FOLDS: Final = 3
SPARED: Final = 3  # of the texts written in other ways, the judge, which takes longest, reads one in so many
SEED: Final = 20261129
PENALTY: Final = 0.05
ROUNDS: Final = 60
# Of examples that must not alarm, how many may in cross-validation.
FALSE_ALARMS: Final = 0.02
ORDINARY_FALSE_ALARMS: Final = 0.003  # the same of everyday messages
FALSE_URGENT: Final = 0.02  # of messages that need nobody today, how many may be taken for urgent
ORDINARY_FALSE_URGENT: Final = 0.004
# A limit lies between, of both together and of the alarm alone. Lower, one everyday message in a hundred was an alarm.
LOWEST, LOWEST_ALONE, HIGHEST = 0.92, 0.98, 0.985
# From which probability of needing anybody at all a message seconds a rule. Of 477 alarms that a rule found, written by
# somebody who knew neither, one had less than 0.8 of both together; of look-alikes that a rule took for one, most have.
# Alone, the alarm gave 1 in 250 such alarms less.
SECOND, SECOND_ALONE = 0.3, 0.02
AT_ONCE: Final = 64  # texts that are encoded together
FEWEST: Final = 2  # texts that an n-gram must be met in

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

_NOT_EVERYDAY: Final = frozenset({"emergency"})
# Fragments of answers and words about dying, which mean nothing alone: learned, but not counted as false alarms.
# Of symptoms, which triage asks about, some are for today.
_UNCLEAR: Final = frozenset({"report_symptom", "inform", "ask_prognosis", "grief", "never_mind"})
_ENTITY = re.compile(r"\[([^\]]+)\][({][^)}]*[)}]")


@dataclass(frozen=True, slots=True)
class Hearing:
    """In cross-validation: of the alarms, how many were heard; of the rest, how many alarmed."""

    recall: dict[Level, float]
    false_alarms: float
    ordinary: float  # of everyday messages, how many alarmed
    false_urgent: float  # of the rest, how many were taken for urgent or more
    urgent_alarmed: float  # of what is urgent, how many were taken for more


@dataclass(frozen=True, slots=True)
class Learned:
    """What was fitted, and how well the alarm hears alone and both together."""

    alarm: LearnedAlarm
    judge: Judge
    alone: Hearing
    together: Hearing


def _silent(_text: str) -> None:
    """Nobody waits to hear how far it is."""


def ordinary_texts(directory: Path) -> list[Example]:
    """Everyday messages: the training texts of every intent that is about no complaint."""
    found: list[Example] = []
    for path in sorted(directory.rglob("*.yml")):
        for block in parse(path.read_text(encoding="utf-8")).get("nlu", ()):
            intent = block.get("intent")
            if intent is None or intent in _NOT_EVERYDAY:
                continue
            lines = (line.strip("- ").strip() for line in block["examples"].splitlines())
            found += [
                Example(_ENTITY.sub(r"\1", line), "none", ordinary=True, unclear=intent in _UNCLEAR)
                for line in lines
                if line
            ]
    return found


def rule_texts(rules: Iterable[Rule]) -> list[Example]:
    """What the rules themselves say must alarm and must not. A sign alone (level `none`) must not."""
    return [
        Example(text, level)
        for rule in rules
        if rule.level in LEVELS
        for said in rule.texts.values()
        for texts, level in ((said.examples, rule.level), (said.counter_examples, LEVELS[0]))
        for text in texts
    ]


def learn(
    examples: Sequence[Example],
    find: Callable[[str], Findings],
    encoder: Encoder,
    report: Callable[[str], None] = _silent,
) -> Learned:
    """Fit the alarm and the judge; `find` is what the rules find in a text, `report` hears how far it is.

    A text that stands there twice counts once; with two levels, the more alarming one. Raises `TableError` when nothing
    can be encoded.
    """
    known: dict[str, Example] = {}
    for example in examples:
        before = known.get(example.text.casefold())
        if before is None or LEVELS.index(example.level) > LEVELS.index(before.level):
            known[example.text.casefold()] = example
    texts = sorted(known.values(), key=lambda example: (example.level, example.text))
    chance = random.Random(SEED)  # noqa: S311
    chance.shuffle(texts)
    written = _written(texts, chance)
    row_of = np.array([at for at, _ in written])
    targets = np.array([LEVELS.index(example.level) for example in texts])[row_of]
    judged = np.flatnonzero((np.arange(len(written)) < len(texts)) | (np.arange(len(written)) % SPARED == 0))
    report(f"{len(texts)} texts, written in {len(written)} ways")
    counted = _count([text for _, text in written])
    rows = _rows([written[at][1] for at in judged], find, encoder, report)

    fold_of = np.arange(len(texts)) % FOLDS
    by_words, both = (np.zeros((len(texts), len(LEVELS)), dtype=np.float32) for _ in range(2))
    for fold in range(FOLDS):
        report(f"part {fold + 1} of {FOLDS}")
        rest = np.flatnonzero(fold_of[row_of] != fold)
        held_out = np.flatnonzero(fold_of == fold)
        model = _fit(counted[rest], targets[rest])
        by_words[held_out] = softmax(_weighed(counted[held_out], model.idf) @ model.weights + model.bias)
        part = np.flatnonzero(fold_of[row_of[judged]] != fold)
        sense = fit(rows[part], targets[judged[part]], len(LEVELS), SEED, networks=1)
        both[held_out] = mixed(softmax(sense.scores(rows[held_out])), by_words[held_out])
    report("the whole")
    sizes = np.array([len(words_of(example.text)) for example in texts])
    limits = _limits(texts, both, sizes, LOWEST, SECOND)
    model, made_of = _fit(counted, targets), digest(examples)
    alone = _limits(texts, by_words, sizes, LOWEST_ALONE, SECOND_ALONE)
    alarm = LearnedAlarm(model.idf, model.weights, model.bias, alone, made_of)
    judge = Judge(fit(rows, targets[judged], len(LEVELS), SEED), limits, made_of)
    return Learned(alarm, judge, _heard(texts, by_words, sizes, alone), _heard(texts, both, sizes, limits))


def _written(texts: Sequence[Example], chance: random.Random) -> list[tuple[int, str]]:
    """Every text as it is and in other ways, with its place in `texts`; the texts as they are come first.

    Patients in danger mistype, and say other things around what matters: whatever is not background is learned
    misspelt as well, alarms among everyday words, and everyday messages in pairs, as long as a story of danger.
    """
    everyday = [at for at, example in enumerate(texts) if example.ordinary] or [0]
    special = [at for at, example in enumerate(texts) if not example.ordinary]
    alarms = [at for at in special if texts[at].level != LEVELS[0]]
    written = [(at, texts[at].text) for at in range(len(texts))]
    written += [(at, _mistyped(texts[at].text, chance)) for at in special]
    written += [(at, _together(texts[at].text, texts[chance.choice(everyday)].text, chance)) for at in alarms]
    written += [(at, _together(texts[at].text, texts[chance.choice(everyday)].text, chance)) for at in everyday]
    return written


def _rows(
    texts: Sequence[str], find: Callable[[str], Findings], encoder: Encoder, report: Callable[[str], None]
) -> NDArray[np.float32]:
    """What the judge reads of each text: (texts, DIMENSIONS + COLUMNS)."""
    rows = np.zeros((len(texts), DIMENSIONS + COLUMNS), dtype=np.float32)
    order = sorted(range(len(texts)), key=lambda at: len(texts[at]))  # those of a length are encoded faster together
    for start in range(0, len(order), AT_ONCE):
        if start % (100 * AT_ONCE) == 0:
            report(f"{start} of {len(order)} read")
        batch = order[start : start + AT_ONCE]
        vectors = encoder.encode([texts[at] for at in batch])
        if vectors is None:
            raise TableError("the sentence encoder does not work (see the log), so the judge cannot be fitted")
        rows[batch, :DIMENSIONS] = vectors
        rows[batch, DIMENSIONS:] = [counts(find(texts[at])) for at in batch]
    return rows


def _heard(texts: Sequence[Example], chances: Floats, sizes: NDArray[np.int64], limits: Limits) -> Hearing:
    heard = np.array([RANK[limits.level(row, size)[0]] for row, size in zip(chances, sizes, strict=True)])
    levels = np.array([example.level for example in texts])
    ordinary = np.array([example.ordinary and not example.unclear for example in texts])
    quiet = np.array([example.level == LEVELS[0] and not example.ordinary for example in texts])

    def share(of: Bools, least: Level) -> float:
        return float((heard[of] >= RANK[least]).mean()) if of.any() else 0.0

    return Hearing(
        {level: share(levels == level, "urgent" if level == "urgent" else "crisis") for level in LEVELS[1:]},
        share(quiet, "crisis"),
        share(ordinary, "crisis"),
        share(quiet, "urgent"),
        share(levels == "urgent", "crisis"),
    )


def _limits(
    texts: Sequence[Example], chances: Floats, sizes: NDArray[np.int64], lowest: float, second: float
) -> Limits:
    """For each level the lowest probability at which few enough of the look-alikes alarm."""
    quiet = np.array([example.level == LEVELS[0] and not example.ordinary for example in texts])
    ordinary = np.array([example.ordinary and not example.unclear for example in texts])
    alarm, needed = chances[:, 1:3].sum(axis=1), chances[:, 1:].sum(axis=1)
    emergency = chances[:, 1] >= chances[:, 2]
    everything = np.ones(len(texts), dtype=bool)

    def limit(score: Floats, among: Bools, of: Bools, share: float, ordinary_share: float) -> float:
        limits = [lowest]
        for kind, allowed in ((quiet, share), (ordinary, ordinary_share)):
            wrong = np.sort(score[kind & among])[::-1]
            most = int(allowed * (kind & of).sum())
            limits += [float(wrong[most]) + 0.005] if len(wrong) > most else []
        return round(min(HIGHEST, max(limits)), 3)

    # Both levels of alarm share what may be false.
    share, ordinary_share = FALSE_ALARMS / 2, ORDINARY_FALSE_ALARMS / 2
    short = sizes <= FEW
    return Limits(
        limit(alarm, emergency, everything, share, ordinary_share),
        limit(alarm, ~emergency, everything, share, ordinary_share),
        limit(needed, everything, everything, FALSE_URGENT, ORDINARY_FALSE_URGENT),
        limit(alarm, short, short, FALSE_ALARMS, ORDINARY_FALSE_ALARMS),
        second,
    )


@dataclass(frozen=True, slots=True)
class _Fitted:
    idf: Floats
    weights: Floats
    bias: Floats


def _fit(counted: csr_matrix, targets: NDArray[np.int64]) -> _Fitted:
    seen = np.bincount(counted.indices, minlength=BUCKETS)
    idf = (np.log((1 + counted.shape[0]) / (1 + seen)) + 1).astype(np.float32)
    idf[seen < FEWEST] = 0.0
    return _Fitted(idf, *_regression(_weighed(counted, idf), targets))


def _count(texts: Sequence[str]) -> csr_matrix:
    """How often each bucket is met in each text, as 1 + log(count)."""
    rows = [features(words_of(text)) for text in texts]
    starts = np.cumsum([0, *map(len, rows)])
    columns = np.fromiter((bucket for row in rows for bucket in row), dtype=np.int32, count=starts[-1])
    counts = np.fromiter((count for row in rows for count in row.values()), dtype=np.float32, count=starts[-1])
    return csr_matrix((1 + np.log(counts), columns, starts), shape=(len(texts), BUCKETS))


def _weighed(counted: csr_matrix, idf: Floats) -> csr_matrix:
    """Each row times idf, at length one: what `alarm.vector` makes of one text."""
    weighed = counted.multiply(idf[None, :]).tocsr()
    lengths = np.sqrt(np.asarray(weighed.multiply(weighed).sum(axis=1)).ravel())
    return diags(1 / np.maximum(lengths, 1e-9)) @ weighed


def _together(text: str, other: str, chance: random.Random) -> str:
    first, second = (text, other) if chance.random() < 0.5 else (other, text)
    return f"{first.rstrip('.!')}{chance.choice(('. ', ', ', ' ', '. '))}{second}"


def _mistyped(text: str, chance: random.Random) -> str:
    """One slip in about every fifth word: a letter left out, doubled, or swapped with its neighbour."""
    words = text.split(" ")
    for at, word in enumerate(words):
        if len(word) < 4 or chance.random() > 0.2:
            continue
        place = chance.randrange(1, len(word) - 1)
        match chance.randrange(3):
            case 0:
                words[at] = word[:place] + word[place + 1 :]
            case 1:
                words[at] = word[:place] + word[place] + word[place:]
            case _:
                words[at] = word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    return " ".join(words)


def _regression(counted: csr_matrix, targets: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Multinomial logistic regression with an L2 penalty, every level weighing the same in sum."""
    classes, texts = len(LEVELS), len(targets)
    hot = np.eye(classes)[targets]
    weight = (hot @ (1 / (classes * np.maximum(hot.sum(axis=0), 1))))[:, None]
    used = np.flatnonzero(np.asarray(counted.sum(axis=0)).ravel())
    small = counted[:, used].astype(np.float64)
    turned = small.T.tocsr()

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        w = flat.reshape(len(used) + 1, classes)
        chances = softmax(small @ w[:-1] + w[-1])
        error = (chances - hot) * weight
        slope = np.vstack([turned @ error + PENALTY / texts * w[:-1], error.sum(axis=0)])
        value = -float((weight * hot * np.log(np.maximum(chances, 1e-12))).sum())
        return value + PENALTY / texts / 2 * float((w[:-1] ** 2).sum()), slope.ravel()

    start = np.zeros((len(used) + 1) * classes)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": ROUNDS})
    solved = found.x.reshape(len(used) + 1, classes)
    weights = np.zeros((BUCKETS, classes), dtype=np.float32)
    weights[used] = solved[:-1]
    return weights, solved[-1].astype(np.float32)
