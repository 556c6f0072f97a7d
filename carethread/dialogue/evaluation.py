"""How well a model understands labelled texts: pure figures over what was expected and what the model said.

Confidences and shares are between 0 and 1, times in milliseconds. A share of nothing is None, never 0.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from carethread.dialogue.labelled import DIMENSIONS, OUT_OF_SCOPE, UNSAID, Entity, Example

FALLBACK = "nlu_fallback"  # Rasa's own name for "not sure enough": the assistant asks again
BINS = 10

# What a text that has nothing to do with a clinic must not set going: each of these starts a form or tells a nurse.
CLINICAL = frozenset(
    {
        "emergency", "report_symptom", "start_checkin", "ask_dosing", "ask_diagnosis", "ask_test_results",
        "ask_prognosis", "medication_question", "medication_refill",
    }
)  # fmt: skip
BOOKING = frozenset(
    {
        "book_appointment", "list_appointments", "confirm_appointment", "reschedule_appointment", "cancel_appointment",
        "appointment_preparation", "video_link",
    }
)  # fmt: skip

Outcome = Literal["right→wrong", "wrong→right", "wrong→wrong"]
OUTCOMES: tuple[Outcome, ...] = ("right→wrong", "wrong→right", "wrong→wrong")


@dataclass(frozen=True, slots=True)
class Parse:
    """What a model made of a text.

    `intent` is what a turn would go by, so it may be the fallback. `ranking` is the classifier's own, (intent,
    confidence) best first, without the fallback; it may be cut off after some. `milliseconds` is how long it took.
    """

    intent: str
    ranking: tuple[tuple[str, float], ...]
    entities: tuple[Entity, ...] = ()
    milliseconds: float = 0.0

    @property
    def strangeness(self) -> float:
        """How surely the text is out of scope: 1 less the confidence of the best intent that is in scope."""
        return 1 - max((confidence for intent, confidence in self.ranking if intent != OUT_OF_SCOPE), default=0.0)


@dataclass(frozen=True, slots=True)
class Case:
    """One text, expected and understood."""

    example: Example
    parse: Parse

    @property
    def right(self) -> bool:
        return self.parse.intent == self.example.intent


@dataclass(frozen=True, slots=True)
class Score:
    """Of one intent or kind of entity: how often it was expected (`support`), predicted, and both (`right`)."""

    name: str
    right: int
    predicted: int
    support: int

    @property
    def precision(self) -> float | None:
        return _share(self.right, self.predicted)

    @property
    def recall(self) -> float | None:
        return _share(self.right, self.support)

    @property
    def f1(self) -> float | None:
        return _share(2 * self.right, self.predicted + self.support)


@dataclass(frozen=True, slots=True)
class Overall:
    """Over some texts. `macro_f1` is the plain mean over the intents that are expected among them."""

    count: int
    accuracy: float | None
    macro_f1: float | None


@dataclass(frozen=True, slots=True)
class Confusion:
    """`count` texts of `expected` were taken for `got`; `texts` are all of them."""

    expected: str
    got: str
    texts: tuple[str, ...]

    @property
    def count(self) -> int:
        return len(self.texts)


@dataclass(frozen=True, slots=True)
class Bin:
    """Texts with a confidence in [lower, upper), in the last bin 1.0 too. Both means are None where there are none."""

    lower: float
    upper: float
    count: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True, slots=True)
class Calibration:
    """Whether a confidence of 0.8 is right in 8 of 10. `error` is the expected calibration error over the bins.

    The confidence is the classifier's in its best intent, and right is that intent: the fallback has none of its own.
    """

    bins: tuple[Bin, ...]
    error: float | None


@dataclass(frozen=True, slots=True)
class Scope:
    """Telling texts that are out of scope from the others, by `Parse.strangeness`.

    `curve` is the ROC curve: (share of texts in scope, share of texts out of scope) that are called out of scope, from
    (0, 0) to (1, 1). It is empty, and `auroc` None, unless there are texts of both kinds. Of those out of scope,
    `refused` were taken for out of scope, `asked_again` fell back, and `taken` were taken for an intent (name → count).
    """

    outside: int
    inside: int
    auroc: float | None
    curve: tuple[tuple[float, float], ...]
    refused: int
    asked_again: int
    taken: Mapping[str, int]
    inside_refused: int
    inside_asked_again: int

    @property
    def clinical(self) -> int:
        return sum(count for intent, count in self.taken.items() if intent in CLINICAL)

    @property
    def booking(self) -> int:
        return sum(count for intent, count in self.taken.items() if intent in BOOKING)


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds a text."""

    p50: float | None
    p95: float | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Every figure of one model. `slices` are dimension → value → figures; `entities` and `entities_overall` are over
    the lines that name their entities, and empty and None where no line does."""

    overall: Overall
    slices: Mapping[str, Mapping[str, Overall]]
    intents: tuple[Score, ...]
    confusions: tuple[Confusion, ...]
    entities: tuple[Score, ...]
    entities_overall: Score | None
    calibration: Calibration
    scope: Scope
    latency: Latency


@dataclass(frozen=True, slots=True)
class Change:
    """A text that another model took for something else."""

    example: Example
    before: str
    now: str

    @property
    def outcome(self) -> Outcome:
        if self.before == self.example.intent:
            return "right→wrong"
        return "wrong→right" if self.now == self.example.intent else "wrong→wrong"


def evaluate(cases: Sequence[Case]) -> Evaluation:
    """Every figure over these texts: those of intents over the ones whose intent is said."""
    labelled, everything = entity_scores(cases), cases
    cases = [case for case in everything if case.example.intent != UNSAID]
    return Evaluation(
        overall=overall(cases),
        slices=slices(cases),
        intents=intent_scores(cases),
        confusions=confusions(cases),
        entities=labelled,
        entities_overall=_together(labelled) if any(case.example.entities is not None for case in everything) else None,
        calibration=calibration(cases),
        scope=scope(cases),
        latency=latency([case.parse.milliseconds for case in everything]),
    )


def intent_scores(cases: Iterable[Case]) -> tuple[Score, ...]:
    """One for each intent that was expected or predicted, by name."""
    return _scores(([case.example.intent], [case.parse.intent]) for case in cases)


def entity_scores(cases: Iterable[Case]) -> tuple[Score, ...]:
    """One for each kind of entity, over the lines that name their entities. Right is the kind and the value.

    Each that was read answers one label at most.
    """
    right: Counter[str] = Counter()
    predicted: Counter[str] = Counter()
    support: Counter[str] = Counter()
    for case in cases:
        if case.example.entities is None:
            continue
        left = list(case.parse.entities)
        predicted.update(one.kind for one in left)
        for label in case.example.entities:
            support[label.kind] += 1
            answer = next((one for one in left if label.is_found_in(one)), None)
            if answer is not None:
                left.remove(answer)
                right[label.kind] += 1
    return tuple(Score(kind, right[kind], predicted[kind], support[kind]) for kind in sorted({*support, *predicted}))


def _scores(pairs: Iterable[tuple[Sequence[str], Sequence[str]]]) -> tuple[Score, ...]:
    """For each name, from (expected, got) of each text; a name that stands twice in both is right twice."""
    support: Counter[str] = Counter()
    predicted: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for expected, got in pairs:
        support.update(expected)
        predicted.update(got)
        right.update(Counter(expected) & Counter(got))
    return tuple(Score(name, right[name], predicted[name], support[name]) for name in sorted({*support, *predicted}))


def _together(scores: Iterable[Score], name: str = "all") -> Score:
    scores = tuple(scores)
    return Score(
        name,
        sum(score.right for score in scores),
        sum(score.predicted for score in scores),
        sum(score.support for score in scores),
    )


def overall(cases: Sequence[Case]) -> Overall:
    """Accuracy and macro-F1 over these texts."""
    values = [score.f1 for score in intent_scores(cases) if score.support]
    return Overall(
        len(cases),
        _share(sum(case.right for case in cases), len(cases)),
        _share(sum(value for value in values if value is not None), len(values)),
    )


def slices(cases: Sequence[Case]) -> dict[str, dict[str, Overall]]:
    """By language, channel and noise, where a text names one; a text that names none is in no slice of it."""
    found: dict[str, dict[str, Overall]] = {}
    for dimension in DIMENSIONS:
        parts: dict[str, list[Case]] = defaultdict(list)
        for case in cases:
            if (value := getattr(case.example, dimension)) is not None:
                parts[value].append(case)
        if parts:
            found[dimension] = {value: overall(parts[value]) for value in sorted(parts)}
    return found


def confusions(cases: Iterable[Case]) -> tuple[Confusion, ...]:
    """Every pair of intents that was confused, the most frequent first."""
    texts: dict[tuple[str, str], list[str]] = defaultdict(list)
    for case in cases:
        if not case.right:
            texts[case.example.intent, case.parse.intent].append(case.example.text)
    found = (Confusion(expected, got, tuple(said)) for (expected, got), said in texts.items())
    return tuple(sorted(found, key=lambda one: (-one.count, one.expected, one.got)))


def calibration(cases: Iterable[Case]) -> Calibration:
    """Confidence against accuracy in ten bins of the same width; texts without a ranking are left out."""
    bins: list[list[tuple[float, bool]]] = [[] for _ in range(BINS)]
    for case in cases:
        if case.parse.ranking:
            intent, confidence = case.parse.ranking[0]
            bins[min(int(confidence * BINS), BINS - 1)].append((confidence, intent == case.example.intent))
    total = sum(map(len, bins))
    made = tuple(
        Bin(
            number / BINS,
            (number + 1) / BINS,
            len(inside),
            _share(sum(confidence for confidence, _ in inside), len(inside)),
            _share(sum(right for _, right in inside), len(inside)),
        )
        for number, inside in enumerate(bins)
    )
    gaps = sum(
        one.count * abs(one.accuracy - one.confidence)
        for one in made
        if one.accuracy is not None and one.confidence is not None
    )
    return Calibration(made, _share(gaps, total))


def scope(cases: Sequence[Case]) -> Scope:
    """How texts out of scope fare, and those in scope that are refused."""
    outside = [case.parse for case in cases if case.example.intent == OUT_OF_SCOPE]
    inside = [case.parse for case in cases if case.example.intent != OUT_OF_SCOPE]
    curve = roc([parse.strangeness for parse in outside], [parse.strangeness for parse in inside])
    said = Counter(parse.intent for parse in outside)
    wrongly = Counter(parse.intent for parse in inside)
    return Scope(
        outside=len(outside),
        inside=len(inside),
        auroc=area(curve) if curve else None,
        curve=curve,
        refused=said.pop(OUT_OF_SCOPE, 0),
        asked_again=said.pop(FALLBACK, 0),
        taken=dict(sorted(said.items(), key=lambda item: (-item[1], item[0]))),
        inside_refused=wrongly[OUT_OF_SCOPE],
        inside_asked_again=wrongly[FALLBACK],
    )


def roc(positive: Sequence[float], negative: Sequence[float]) -> tuple[tuple[float, float], ...]:
    """The ROC curve of two sets of scores, where more means positive: its corners as (false, true) positive rate.

    Equal scores make one slope, so that the area counts a tie as half. Empty if either set is.
    """
    if not positive or not negative:
        return ()
    counts: dict[float, list[int]] = defaultdict(lambda: [0, 0])
    for kind, scores in enumerate((negative, positive)):
        for score in scores:
            counts[score][kind] += 1
    corners: list[tuple[int, int]] = [(0, 0)]
    for score in sorted(counts, reverse=True):
        step = counts[score]
        corner = (corners[-1][0] + step[0], corners[-1][1] + step[1])
        if len(corners) > 1 and _in_line(corners[-2], corners[-1], corner):
            corners.pop()
        corners.append(corner)
    return tuple((false / len(negative), true / len(positive)) for false, true in corners)


def _in_line(first: tuple[int, int], second: tuple[int, int], third: tuple[int, int]) -> bool:
    rise, run = second[1] - first[1], second[0] - first[0]
    return rise * (third[0] - second[0]) == run * (third[1] - second[1])


def area(curve: Sequence[tuple[float, float]]) -> float:
    """The area under a curve given by its corners, from left to right."""
    return sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairwise(curve))


def latency(milliseconds: Sequence[float]) -> Latency:
    """The middle one and the 95th of a hundred."""
    return Latency(percentile(milliseconds, 0.5), percentile(milliseconds, 0.95))


def percentile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that at least `share` of them do not exceed; None for no values."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


def changes(before: Sequence[Case], now: Sequence[Case]) -> tuple[Change, ...]:
    """The texts that two models take for different intents: right→wrong first, then wrong→right, then the others.

    Both are the same examples in the same order; raises `ValueError` if they are not.
    """
    if [case.example for case in before] != [case.example for case in now]:
        raise ValueError("two models can only be compared on the same texts")
    found = [
        Change(after.example, earlier.parse.intent, after.parse.intent)
        for earlier, after in zip(before, now, strict=True)
        if earlier.parse.intent != after.parse.intent and after.example.intent != UNSAID
    ]
    return tuple(sorted(found, key=lambda change: OUTCOMES.index(change.outcome)))


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None
