"""Care programs as data: `programs/<name>/program.yml` with its questionnaires, checked at start."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import time, timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from carethread.clinic import Clinic, ConfigError, Severity, line_of, read_text, read_yaml, refusal
from carethread.dialogue.plain import Text, refuse_hard
from carethread.programs.fhirpath import Compiled, NotFhirPath, compiled, link_ids
from carethread.questionnaires import Questionnaire, QuestionnaireRefused, load
from carethread.questionnaires.definition import Wording
from carethread.safety.reading import Reading
from carethread.safety.tables import LANGUAGES

_DURATION = re.compile(r"^(\d+)([hd])$")


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Trigger(_Model):
    """What puts a patient into the program."""

    kind: Literal["discharge"]
    # Only events at most this old count, so that switching a program on does not reach back for months.
    within: timedelta

    @field_validator("within", mode="before")
    @classmethod
    def _within(cls, value: Any) -> timedelta:
        return duration(value)


class TouchpointPlan(_Model):
    """Something done at a time after the triggering event, at an hour of the patient's day."""

    step: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    after: timedelta
    at: time
    # How long after it is due it still makes sense.
    expires: timedelta
    questionnaire: str
    invitation: str = "utter_checkin_invitation"
    # Whether the answers are read back at the end, to be confirmed or changed.
    confirm: bool = False
    # A patient who leaves it unfinished is reminded after so long, so many times.
    remind_after: timedelta = timedelta(hours=24)
    reminders: int = Field(default=1, ge=0, le=3)

    @field_validator("after", "expires", "remind_after", mode="before")
    @classmethod
    def _durations(cls, value: Any) -> timedelta:
        return duration(value)


class Rule(_Model):
    """An answer that a human must see: FHIRPath over the QuestionnaireResponse, and how urgent it is."""

    id: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    when: str
    severity: Severity
    team: str | None = None
    why: str
    source: str


class Definition(_Model):
    """One `program.yml`."""

    name: str
    version: str
    status: Literal["draft", "review", "published", "retired"]
    title: dict[str, str]
    trigger: Trigger
    touchpoints: tuple[TouchpointPlan, ...] = Field(min_length=1)
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Program:
    """A definition with its questionnaires loaded and its rules compiled."""

    definition: Definition
    questionnaires: Mapping[str, Questionnaire]
    resources: Mapping[str, Mapping[str, Any]]
    _compiled: Mapping[str, Compiled]

    @property
    def name(self) -> str:
        return self.definition.name

    def touchpoint(self, step: str) -> TouchpointPlan:
        return next(plan for plan in self.definition.touchpoints if plan.step == step)

    def plan_of(self, questionnaire: str) -> TouchpointPlan:
        """The first touchpoint that asks it."""
        return next(plan for plan in self.definition.touchpoints if plan.questionnaire == questionnaire)

    def alarms(self, response: Mapping[str, Any]) -> list[Rule]:
        """The rules that an answered questionnaire meets, most urgent first."""
        order = ("emergency", "urgent", "soon", "routine")
        met = [rule for rule in self.definition.rules if self._compiled[rule.id](response) == [True]]
        return sorted(met, key=lambda rule: order.index(rule.severity))


class Programs(dict[str, Program]):
    """Every program of an installation, by name."""


def duration(value: Any) -> timedelta:
    """`36h` or `2d` as a timedelta; raises `ValueError` for anything else."""
    if isinstance(value, timedelta):
        return value
    if not (match := _DURATION.match(str(value))):
        raise ValueError(f"'{value}' is no duration (like 36h or 2d)")
    number = int(match[1])
    return timedelta(hours=number) if match[2] == "h" else timedelta(days=number)


def load_programs(directory: Path, clinics: Mapping[str, Clinic], reading: Reading | None = None) -> Programs:
    """Read every `*/program.yml`; raises `ConfigError` with file, line and mend.

    With a measure no text of a published program may be hard to read; a draft may still be.
    """
    programs = Programs()
    for path in sorted(directory.glob("*/program.yml")):
        program = load_program(path)
        _check_teams(path, program, clinics)
        if program.definition.status == "published":
            refuse_hard(program_texts(path.parent, program), reading)
        programs[program.name] = program
    for clinic in clinics.values():
        for name in clinic.programs:
            if name not in programs:
                known = ", ".join(sorted(programs)) or "none"
                raise ConfigError(
                    f"{clinic.place('programs')}: programs: '{name}' is not in {directory} (there: {known})"
                )
    return programs


def load_program(path: Path) -> Program:
    """One program with everything it names; raises `ConfigError`."""
    text = read_text(path)
    raw = read_yaml(path, text)
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}:1: a program is a mapping of settings; programs/post_discharge is an example")
    try:
        definition = Definition.model_validate(raw)
    except ValidationError as error:
        raise refusal(path, text, error) from None
    if definition.name != path.parent.name:
        raise ConfigError(
            f"{path}:{line_of(text, ['name'])}: name '{definition.name}' differs from its folder "
            f"'{path.parent.name}'; make them one"
        )
    resources = {plan.questionnaire: _resource(path, plan.questionnaire) for plan in definition.touchpoints}
    questionnaires = {}
    for name, resource in resources.items():
        try:
            questionnaires[name] = load(dict(resource))
        except QuestionnaireRefused as error:
            raise ConfigError(f"{path.parent / name}: {error}") from error
    asked = {item.link_id for form in questionnaires.values() for item in form.walk()}
    rules = {
        rule.id: _compile(f"{path}:{line_of(text, ['rules', number])}", rule, asked)
        for number, rule in enumerate(definition.rules)
    }
    return Program(definition, questionnaires, resources, rules)


def program_texts(folder: Path, program: Program) -> Iterator[Text]:
    """Everything that patients read of a program: questions, their other words and helps, answers to choose."""
    for name, questionnaire in program.questionnaires.items():
        file = folder / name
        lines = read_text(file).splitlines()
        own = str(program.resources[name].get("language") or "en")
        for item in questionnaire.walk():
            if item.silent:
                continue
            answers = [(f"an answer to '{item.link_id}'", option.wording) for option in item.options]
            asked = [(f"'{item.link_id}'", words) for words in (item.wording, item.other_words, item.help) if words]
            for what, wording in (*asked, *answers):
                for tag, text in _tongues(wording, own):
                    yield Text(f"{file}:{_line(lines, text)}", what, tag, text)


def _tongues(wording: Wording, own: str) -> Iterator[tuple[str, str]]:
    """A text in each language that can be measured; a tag like `es-MX` is its language."""
    for tag, text in ((own, wording.text), *wording.translations.items()):
        if (language := tag.split("-")[0].lower()) in LANGUAGES and text:
            yield language, text


def _line(lines: list[str], text: str) -> int:
    """The line of a JSON file that holds a text."""
    written = (json.dumps(text, ensure_ascii=False), json.dumps(text))
    return next((number for number, line in enumerate(lines, 1) if any(words in line for words in written)), 1)


def _resource(path: Path, name: str) -> Mapping[str, Any]:
    file = path.parent / name
    if not file.exists():
        raise ConfigError(f"{path}: names {name}, which is not beside it; add it or mend the name")
    try:
        resource: dict[str, Any] = json.loads(read_text(file))
    except json.JSONDecodeError as error:
        raise ConfigError(f"{file}:{error.lineno}: not JSON ({error.msg})") from error
    return resource


def _compile(place: str, rule: Rule, asked: set[str]) -> Compiled:
    try:
        path = compiled(rule.when)
    except NotFhirPath as error:
        raise ConfigError(f"{place}: rule '{rule.id}': '{rule.when}' is not FHIRPath ({error})") from error
    if unknown := sorted(link_ids(rule.when) - asked):
        raise ConfigError(
            f"{place}: rule '{rule.id}' looks at linkId '{unknown[0]}', which no questionnaire of the program asks "
            f"(asked: {', '.join(sorted(asked))})"
        )
    return path


def _check_teams(path: Path, program: Program, clinics: Mapping[str, Clinic]) -> None:
    for clinic in clinics.values():
        if program.name not in clinic.programs:
            continue
        for number, rule in enumerate(program.definition.rules):
            if rule.team and rule.team not in clinic.teams:
                raise ConfigError(
                    f"{path}:{line_of(read_text(path), ['rules', number])}: rule '{rule.id}' names team "
                    f"'{rule.team}', which {clinic.place('teams')} does not define "
                    f"(teams: {', '.join(sorted(clinic.teams))})"
                )
