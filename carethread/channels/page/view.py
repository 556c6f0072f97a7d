"""A question as a form shows it: which control, its choices, what was wrong with the last answer, and what was sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from carethread.questionnaires import Question
from carethread.questionnaires.readings import Control

OTHER: Final = "-other-"  # the choice that goes with words of the patient's own
_SCALE_WIDTH: Final = 20  # numbers that are shown side by side; further apart one is typed

# The kind of a question → its control; what has options is chosen, whatever its kind.
_CONTROLS: Final = {
    "scale": "scale",
    "integer": "number",
    "decimal": "number",
    "quantity": "number",
    "date": "date",
    "dateTime": "datetime-local",
    "time": "time",
    "url": "url",
    "text": "textarea",
}
# Framing → the text that says what was wrong; `range` without both limits says less.
_TROUBLES: Final = {
    "retry": "retry",
    "choices": "retry",
    "too_long": "too_long",
    "too_short": "too_short",
    "required": "required",
    "which": "which",
    "too_many": "beyond",
    "format": "beyond",
}
_REQUESTS: Final = {"back": Control.BACK, "skip": Control.SKIP, "later": Control.LATER}


@dataclass(frozen=True, slots=True)
class Choice:
    key: str
    label: str


@dataclass(frozen=True, slots=True)
class Shown:
    """What the template needs of a question."""

    question: Question
    control: str
    choices: tuple[Choice, ...]
    trouble: str
    step: str
    first: bool

    @property
    def other(self) -> bool:
        """Whether words of one's own may be written beside the choices."""
        return self.question.kind == "open-choice" or self.question.unlisted > 0


@dataclass(frozen=True, slots=True)
class Sent:
    """An answer as the form sent it: keys that were ticked, words, or a request."""

    text: str
    selected: str | None = None
    chosen: tuple[str, ...] = ()
    request: Control | None = None

    @property
    def has_words(self) -> bool:
        """Whether the patient wrote words that are not one of our choices; numbers and dates are none."""
        ours = self.selected is not None or self.chosen or self.request is not None
        return not ours and any(char.isalpha() for char in self.text)


def shown(question: Question, words: Mapping[str, str], *, step: str, first: bool) -> Shown:
    choices = _choices(question, words)
    control = ("several" if question.several else "choice") if choices else _CONTROLS.get(question.kind, "text")
    if control == "scale":  # no slider: it stands somewhere before anybody has moved it
        choices = tuple(Choice(str(number), str(number)) for number in _numbers(question))
        control = "scale" if choices else "number"
    return Shown(question, control, choices, _trouble(question, words), step, first)


def sent(shown: Shown, form: Mapping[str, list[str]]) -> Sent:
    """What a form says; an empty one is no answer."""
    if (request := _REQUESTS.get(_one(form, "do"))) is not None:
        return Sent("", request=request)
    own = _one(form, "words")
    if (line := _one(form, "change")).isdigit():
        return Sent(line)
    labels = {choice.key: choice.label for choice in shown.choices}
    ticked = tuple(key for key in form.get("choice", []) if key in labels)
    if own and (not ticked or OTHER in form.get("choice", [])):
        return Sent(own)
    if shown.control == "several" and ticked:
        return Sent(", ".join(labels[key] for key in ticked), chosen=ticked)
    if ticked:
        return Sent(labels[ticked[0]], selected=ticked[0])
    return Sent(own)


def _choices(question: Question, words: Mapping[str, str]) -> tuple[Choice, ...]:
    if question.kind == "summary":
        return ()
    yes_no = {"true": words["yes"], "false": words["no"]}
    return tuple(Choice(option.key, option.label or yes_no.get(option.key, option.key)) for option in question.options)


def _trouble(question: Question, words: Mapping[str, str]) -> str:
    if question.framing == "range":
        limits = {"low": question.low, "high": question.high}
        return words["range"].format(**limits) if all(limits.values()) else words["beyond"]
    if question.framing == "constraint":
        return question.human or words["beyond"]
    return words[_TROUBLES[question.framing]] if question.framing in _TROUBLES else ""


def _numbers(question: Question) -> range:
    """The numbers of a scale; none where they are too many to be shown."""
    try:
        numbers = range(int(question.low), int(question.high) + 1)
    except ValueError:
        return range(0)
    return numbers if 1 < len(numbers) <= _SCALE_WIDTH else range(0)


def _one(form: Mapping[str, list[str]], name: str) -> str:
    return next(iter(form.get(name, [])), "").strip()
