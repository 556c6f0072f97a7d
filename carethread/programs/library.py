"""Care programs as data: `programs/<name>/program.yml` with its questionnaires, checked at start."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time, timedelta
from pathlib import Path
from typing import Any, Literal

import fhirpathpy
import yaml
from fhirpathpy.models import models
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from carethread.clinic import Clinic, ConfigError, Severity, line_of
from carethread.questionnaires import Questionnaire, QuestionnaireRefused, load

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

    @field_validator("after", "expires", mode="before")
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
    _compiled: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.definition.name

    def touchpoint(self, step: str) -> TouchpointPlan:
        return next(plan for plan in self.definition.touchpoints if plan.step == step)

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


def load_programs(directory: Path, clinics: Mapping[str, Clinic]) -> Programs:
    """Read every `*/program.yml`; raises `ConfigError` with file, line and mend."""
    programs = Programs()
    for path in sorted(directory.glob("*/program.yml")):
        program = load_program(path)
        _check_teams(path, program, clinics)
        programs[program.name] = program
    for clinic in clinics.values():
        for name in clinic.programs:
            if name not in programs:
                known = ", ".join(sorted(programs)) or "none"
                raise ConfigError(
                    f"clinics/{clinic.id}/clinic.yml: programs names '{name}', which is not in {directory} ({known})"
                )
    return programs


def load_program(path: Path) -> Program:
    """One program with everything it names; raises `ConfigError`."""
    text = path.read_text(encoding="utf-8")
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise ConfigError(
            f"{path}:{mark.line + 1 if mark else 1}: not YAML ({getattr(error, 'problem', '')})"
        ) from error
    try:
        definition = Definition.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        line = line_of(text, [part for part in first["loc"] if isinstance(part, str)])
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{path}:{line}: {where}: {first['msg']}") from error
    if definition.name != path.parent.name:
        raise ConfigError(
            f"{path}:1: name '{definition.name}' differs from its folder '{path.parent.name}'; make them one"
        )
    resources = {plan.questionnaire: _resource(path, plan.questionnaire) for plan in definition.touchpoints}
    questionnaires = {}
    for name, resource in resources.items():
        try:
            questionnaires[name] = load(dict(resource))
        except QuestionnaireRefused as error:
            raise ConfigError(f"{path.parent / name}: {error}") from error
    compiled = {rule.id: _compile(path, text, rule) for rule in definition.rules}
    return Program(definition, questionnaires, resources, compiled)


def _resource(path: Path, name: str) -> Mapping[str, Any]:
    file = path.parent / name
    try:
        resource: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: names {name}, which is not beside it; add it or mend the name") from error
    except json.JSONDecodeError as error:
        raise ConfigError(f"{file}:{error.lineno}: not JSON ({error.msg})") from error
    return resource


def _compile(path: Path, text: str, rule: Rule) -> Any:
    try:
        return fhirpathpy.compile(rule.when, models["r4"])
    except Exception as error:  # the parser raises many kinds
        lines = text.splitlines()
        line = next((number for number, content in enumerate(lines, 1) if rule.id in content), 1)
        raise ConfigError(f"{path}:{line}: rule '{rule.id}': '{rule.when}' is not FHIRPath ({error})") from error


def _check_teams(path: Path, program: Program, clinics: Mapping[str, Clinic]) -> None:
    for clinic in clinics.values():
        if program.name not in clinic.programs:
            continue
        for rule in program.definition.rules:
            if rule.team and rule.team not in clinic.teams:
                lines = path.read_text(encoding="utf-8").splitlines()
                line = next((number for number, content in enumerate(lines, 1) if rule.id in content), 1)
                raise ConfigError(
                    f"{path}:{line}: rule '{rule.id}' names team '{rule.team}', which clinics/{clinic.id}/clinic.yml "
                    f"does not define (teams: {', '.join(sorted(clinic.teams))})"
                )
