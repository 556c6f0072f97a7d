"""The report of `carethread nlu evaluate` in Markdown, its plots, and the figures it prints.

`measured` is always one model, or one and the model before it: then every figure has a second column, "before".
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from carethread.cli.plots import Curve, square_plot
from carethread.dialogue.evaluation import BOOKING, CLINICAL, OUTCOMES, Case, Evaluation, Overall, Score, changes

CONFUSIONS = 20  # shown in the report
TEXTS = 2  # examples of each
WEAKEST = 5  # intents that are printed
NAMES = ("model", "before")
LONGEST = 160  # characters of a text that are shown
_MARKDOWN = re.compile(r"([\\`*_\[\]<>|#&~])")

Rows = Iterable[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Measured:
    """One model on the texts: its file, the file's SHA-256, what it said, and the figures of that."""

    model: str
    digest: str
    cases: Sequence[Case]
    figures: Evaluation


@dataclass(frozen=True, slots=True)
class Beside:
    """Rasa's default pipeline on the same texts: its figures, and how it was trained."""

    measured: Measured
    epochs: int
    seconds: float

    @property
    def how(self) -> str:
        trained = f"{self.epochs} epochs, {self.seconds:.0f} s"
        return f"Rasa's default pipeline was trained on the same data in this run: {trained}."


def beside(ours: Measured, other: Beside) -> str:
    """Our model and Rasa's default pipeline side by side, for a terminal."""
    return "\n".join([_lines([["", "ours", "Rasa's default"], *beside_rows(ours, other)]), "", other.how])


def beside_rows(ours: Measured, other: Beside) -> Iterator[list[str]]:
    """A figure a row: its name, ours, and that of Rasa's default pipeline."""
    models = [ours.figures, other.measured.figures]
    yield ["macro-F1", *(_number(one.overall.macro_f1) for one in models)]
    for value in models[0].slices.get("language", {}):
        yield [f"macro-F1, {_plain(value)}", *(_number(one.slices["language"][value].macro_f1) for one in models)]
    if models[0].scope.outside:
        yield ["out of scope: AUROC", *(_number(one.scope.auroc) for one in models)]
        yield from _set_going(models)
    yield ["expected calibration error", *(_number(one.calibration.error) for one in models)]
    if models[0].entities_overall:
        yield ["entities: F1", *(_number((one.entities_overall or Score("", 0, 0, 0)).f1) for one in models)]
    yield ["parse p50, ms", *(_number(one.latency.p50, 1) for one in models)]


def _beside_section(ours: Measured, other: Beside) -> Iterator[str]:
    yield from _table(["", "ours", "Rasa's default"], beside_rows(ours, other))
    yield from ["", other.how, "Both answer through the same program, one text at a time."]


def summary(measured: Sequence[Measured]) -> str:
    """The figures that matter most, for a terminal."""
    models = [one.figures for one in measured]
    weakest = [score.name for score in _worst_first(models[0])[:WEAKEST]]
    parts = [
        _lines([["", "texts", *_heads(models, "accuracy", "macro-F1")], *_overall(models)]),
        _lines([["", *_heads(models, "value")], *_headline(models)]),
        _lines([["weakest intents", *_heads(models, *_SCORE)], *([name, *_scored(models, name)] for name in weakest)]),
    ]
    if len(measured) > 1:
        parts.append(f"Taken for another intent than before: {_outcomes(measured)}.")
    return "\n\n".join(parts)


def plots(measured: Sequence[Measured]) -> dict[str, str]:
    """SVG documents by the file names that the report shows."""
    reliability = [
        Curve(
            name,
            [
                (part.confidence, part.accuracy)
                for part in one.figures.calibration.bins
                if part.confidence is not None and part.accuracy is not None
            ],
            dots=True,
        )
        for name, one in zip(NAMES, measured, strict=False)
    ]
    drawn = {"reliability.svg": square_plot("Reliability", "confidence", "share that is right", reliability)}
    if measured[0].figures.scope.curve:
        roc = [Curve(name, one.figures.scope.curve) for name, one in zip(NAMES, measured, strict=False)]
        drawn["roc.svg"] = square_plot("Out of scope", "in scope, refused", "out of scope, refused", roc)
    return drawn


def markdown(files: Sequence[str], measured: Sequence[Measured], other: Beside | None = None) -> str:
    """The whole report; `files` are the names of the files that the texts came from, `other` is Rasa's default."""
    models = [one.figures for one in measured]
    parts = [
        *_opening(files, measured),
        *_section("Overall", _overall_section(models)),
        *(_section("Beside Rasa's default pipeline", _beside_section(measured[0], other)) if other else ()),
        *_section("Out of scope", _scope_section(models)),
        *_section("Calibration", _calibration_section(models)),
        *_section("Intents", _intents_section(models)),
        *_section("Confusions", _confusions_section(models)),
    ]
    if models[0].entities_overall:
        parts += _section("Entities", _entities_section(models))
    if len(measured) > 1:
        parts += _section("What changed", _changes_section(measured))
    return "\n".join(parts) + "\n"


def _section(title: str, lines: Iterable[str]) -> list[str]:
    return ["", f"## {title}", "", *lines]


def _opening(files: Sequence[str], measured: Sequence[Measured]) -> Iterator[str]:
    yield from ["# What the model understands", "", f"- texts: {', '.join(map(_code, files))}"]
    for name, one in zip(NAMES, measured, strict=False):
        yield f"- {name}: {_code(one.model)}, SHA-256 {one.digest[:12]}"
    yield from ["", "Words of these texts stand below. Once they were used to mend the assistant, they prove nothing."]


def _overall_section(models: Sequence[Evaluation]) -> Iterator[str]:
    yield from _table(["", "texts", *_heads(models, "accuracy", "macro-F1")], _overall(models))
    yield from ["", "Right is the intent that a turn would go by; the fallback, which asks again, is never right."]
    yield from ["Macro-F1 is the mean over the intents that are expected among the texts of a line.", ""]
    yield from _table(["", *_heads(models, "value")], _headline(models))
    yield from ["", "Latency is the round trip to the engine's process, one text at a time, after one to warm up."]


def _overall(models: Sequence[Evaluation]) -> Iterator[list[str]]:
    yield ["all", *_parts([one.overall for one in models])]
    for dimension, values in models[0].slices.items():
        for value in values:
            yield [f"{dimension}: {_plain(value)}", *_parts([one.slices[dimension][value] for one in models])]


def _parts(parts: Sequence[Overall]) -> list[str]:
    accuracies, means = [_number(one.accuracy) for one in parts], [_number(one.macro_f1) for one in parts]
    return [str(parts[0].count), *accuracies, *means]


def _headline(models: Sequence[Evaluation]) -> Iterator[list[str]]:
    if models[0].scope.outside:
        yield ["out of scope: AUROC", *(_number(one.scope.auroc) for one in models)]
        yield from _set_going(models)
    if models[0].entities_overall:
        scores = [one.entities_overall for one in models]
        yield ["entities: precision", *(_number(score.precision if score else None) for score in scores)]
        yield ["entities: recall", *(_number(score.recall if score else None) for score in scores)]
    yield ["expected calibration error", *(_number(one.calibration.error) for one in models)]
    yield ["latency p50, ms", *(_number(one.latency.p50, 1) for one in models)]
    yield ["latency p95, ms", *(_number(one.latency.p95, 1) for one in models)]


def _set_going(models: Sequence[Evaluation]) -> Iterator[list[str]]:
    yield ["out of scope: taken as clinical", *(_of(one.scope.clinical, one.scope.outside) for one in models)]
    yield ["out of scope: taken as booking", *(_of(one.scope.booking, one.scope.outside) for one in models)]


def _scope_section(models: Sequence[Evaluation]) -> Iterator[str]:
    scopes = [one.scope for one in models]
    if not scopes[0].outside:
        yield "No text is out of scope."
        return
    others = [sum(one.taken.values()) - one.clinical - one.booking for one in scopes]
    rows = [
        ["out of scope: refused", *(_of(one.refused, one.outside) for one in scopes)],
        ["out of scope: asked again", *(_of(one.asked_again, one.outside) for one in scopes)],
        *_set_going(models),
        ["out of scope: taken otherwise", *(_of(n, one.outside) for n, one in zip(others, scopes, strict=True))],
        ["in scope: refused", *(_of(one.inside_refused, one.inside) for one in scopes)],
        ["in scope: asked again", *(_of(one.inside_asked_again, one.inside) for one in scopes)],
        ["AUROC", *(_number(one.auroc) for one in scopes)],
    ]
    yield from _table(["", *_heads(models, "texts")], rows)
    if scopes[0].curve:
        yield from ["", "AUROC and curve go by 1 less the confidence of the best intent that is in scope."]
        yield from ["", "![ROC curve](roc.svg)"]
    taken = Counter(scopes[0].taken)
    names = sorted({name for one in scopes for name in one.taken}, key=lambda name: (-taken[name], name))
    if names:
        yield from ["", "What texts out of scope were taken for:", ""]
        rows = [[_code(name), _kind(name), *(str(one.taken.get(name, 0)) for one in scopes)] for name in names]
        yield from _table(["intent", "kind", *_heads(models, "texts")], rows, words=2)


def _calibration_section(models: Sequence[Evaluation]) -> Iterator[str]:
    yield "The confidence in the classifier's best intent, before the fallback, and how often that intent is right."
    yield from ["", "![Reliability](reliability.svg)", ""]
    rows = []
    for bins in zip(*(one.calibration.bins for one in models), strict=True):
        counts = [str(one.count) for one in bins]
        means, rights = [_number(one.confidence) for one in bins], [_number(one.accuracy) for one in bins]
        rows.append([f"{bins[0].lower:.1f}–{bins[0].upper:.1f}", *counts, *means, *rights])
    yield from _table(["confidence", *_heads(models, "texts", "mean confidence", "right")], rows)
    errors = [_number(one.calibration.error) for one in models]
    yield from ["", f"Expected calibration error: {errors[0]}" + "".join(f", before {one}" for one in errors[1:]) + "."]


_SCORE = ("precision", "recall", "F1")


def _intents_section(models: Sequence[Evaluation]) -> Iterator[str]:
    known = _worst_first(models[0])
    names = [score.name for score in known]
    names += [score.name for one in models[1:] for score in one.intents if score.name not in names]
    support = {score.name: score.support for score in known}
    rows = [[_code(name), str(support.get(name, 0)), *_scored(models, name)] for name in names]
    yield from _table(["intent", "texts", *_heads(models, *_SCORE)], rows)


def _worst_first(figures: Evaluation) -> list[Score]:
    """By F1; intents that no text expects stand last."""
    return sorted(figures.intents, key=lambda score: (not score.support, score.f1 or 0.0, score.name))


def _scored(models: Sequence[Evaluation], name: str) -> list[str]:
    """Precision, recall and F1 of an intent, each for each model."""
    return _score_cells([_named(one.intents, name) for one in models])


def _named(scores: Iterable[Score], name: str) -> Score:
    return next((score for score in scores if score.name == name), Score(name, 0, 0, 0))


def _score_cells(scores: Sequence[Score]) -> list[str]:
    shares = ([score.precision, score.recall, score.f1] for score in scores)
    return [_number(share) for figure in zip(*shares, strict=True) for share in figure]


def _confusions_section(models: Sequence[Evaluation]) -> Iterator[str]:
    found = models[0].confusions
    counts = [{(one.expected, one.got): one.count for one in model.confusions} for model in models]
    if not found:
        yield "None."
        return
    rows = [
        [
            _code(one.expected),
            _code(one.got),
            _separate([_text(text) for text in one.texts[:TEXTS]]),
            *(str(count.get((one.expected, one.got), 0)) for count in counts),
        ]
        for one in found[:CONFUSIONS]
    ]
    yield from _table(["expected", "taken for", "such as", *_heads(models, "texts")], rows, words=3)
    if rest := found[CONFUSIONS:]:
        yield from ["", f"{len(rest)} more pairs, with {sum(one.count for one in rest)} texts, are not shown."]


def _entities_section(models: Sequence[Evaluation]) -> Iterator[str]:
    known = {score.name: score.support for score in models[0].entities}
    names = sorted({score.name for one in models for score in one.entities})
    rows = [
        [_code(name), str(known.get(name, 0)), *_score_cells([_named(one.entities, name) for one in models])]
        for name in names
    ]
    together = [one.entities_overall or Score("all", 0, 0, 0) for one in models]
    rows.append(["all", str(together[0].support), *_score_cells(together)])
    yield from _table(["entity", "expected", *_heads(models, *_SCORE)], rows)
    yield from ["", "Over the texts that name their entities. Right is the kind and the value."]


def _changes_section(measured: Sequence[Measured]) -> Iterator[str]:
    yield f"Taken for another intent than before: {_outcomes(measured)}."
    found = changes(measured[1].cases, measured[0].cases)
    if not found:
        return
    rows = [
        [one.outcome, _code(one.example.intent), _code(one.before), _code(one.now), _text(one.example.text)]
        for one in found
    ]
    yield from ["", *_table(["outcome", "expected", "before", "now", "text"], rows, words=5)]


def _outcomes(measured: Sequence[Measured]) -> str:
    counts = Counter(one.outcome for one in changes(measured[1].cases, measured[0].cases))
    return ", ".join(f"{counts[outcome]} {outcome}" for outcome in OUTCOMES)


def _kind(intent: str) -> str:
    return "clinical" if intent in CLINICAL else "booking" if intent in BOOKING else ""


def _heads(models: Sequence[Evaluation], *names: str) -> list[str]:
    """A column for each figure, and behind it one for the model before."""
    return [head for name in names for head in (name, "before")[: len(models)]]


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _of(part: int, whole: int) -> str:
    return f"{part} of {whole} ({part / whole:.1%})" if whole else "–"


def _code(name: str) -> str:
    """A name of intent, entity or file as it is, in a cell of a table too."""
    return f"`{name.replace('`', ' ').replace('|', ' ')}`"


def _plain(words: str) -> str:
    return _MARKDOWN.sub(r"\\\1", " ".join(words.split()))


def _text(said: str) -> str:
    """A message in one line that is no Markdown, cut where it is very long."""
    said = " ".join(said.split())
    return _plain(said if len(said) <= LONGEST else said[: LONGEST - 1] + "…")


def _separate(texts: Sequence[str]) -> str:
    return "<br>".join(texts)


def _table(heads: Sequence[str], rows: Rows, words: int = 1) -> Iterator[str]:
    """A Markdown table; the first `words` columns hold words, the others figures."""
    yield f"| {' | '.join(heads)} |"
    yield f"|{'|'.join('---' if number < words else '---:' for number in range(len(heads)))}|"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _lines(rows: Rows) -> str:
    """The rows in columns of a terminal: the first to the left, the others to the right."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows
    )
