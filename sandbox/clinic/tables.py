"""The YAML tables that describe the synthetic clinic, and the few FHIR shapes that every builder needs."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from carethread.yamls import parse

Resource = dict[str, Any]

TIME_ZONE = "America/Chicago"
ZONE = ZoneInfo(TIME_ZONE)
SYSTEM = "https://riverbend.example.org/fhir"  # of the clinic's own identifiers and codes
SNOMED = "http://snomed.info/sct"
LOINC = "http://loinc.org"
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
LANGUAGES = {"en": "English", "es": "Spanish"}


@cache
def table(name: str) -> dict[str, Any]:
    """One of the YAML files beside this module, by its name without `.yml`."""
    loaded: dict[str, Any] = parse(Path(__file__).with_name(f"{name}.yml").read_text("utf-8"))
    return loaded


def by_id(rows: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Rows of a table by their `id`."""
    return {row["id"]: row for row in rows}


def ref(resource_type: str, resource_id: str, display: str | None = None) -> dict[str, str]:
    """A Reference."""
    found = {"reference": f"{resource_type}/{resource_id}"}
    return {**found, "display": display} if display else found


def concept(system: str, code: str, display: str) -> dict[str, Any]:
    """A CodeableConcept with one coding and its text."""
    return {"coding": [{"system": system, "code": code, "display": display}], "text": display}


def at(day: date, clock: str) -> datetime:
    """The moment the clinic's clock shows `clock` (HH:MM) on `day`."""
    return datetime.combine(day, time.fromisoformat(clock), ZONE)


def human_name(person: dict[str, Any], prefix: str | None = None) -> dict[str, Any]:
    """The HumanName of a row with `given` and `family`."""
    text = " ".join([*([prefix] if prefix else []), *person["given"], person["family"]])
    name = {"use": "official", "family": person["family"], "given": person["given"], "text": text}
    return {**name, "prefix": [prefix]} if prefix else name
