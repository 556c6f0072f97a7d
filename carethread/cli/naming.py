"""What a text names, for `carethread nlu` and its `evaluate`: our reader, and what the model found besides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from carethread.clinic import Clinic, load_clinics
from carethread.config import PROJECT, Settings
from carethread.dialogue.entities import read_entities

LOOKUPS = PROJECT / "data" / "nlu" / "lookups.yml"


def clinic_of(settings: Settings, name: str | None) -> Clinic:
    """The clinic of this name, or the first of the folder; raises `ValueError` naming those that there are."""
    clinics = load_clinics(settings.clinics_dir)
    if name is not None and name not in clinics:
        raise ValueError(f"no clinic '{name}' (clinics: {', '.join(clinics)})")
    return clinics[name] if name else next(iter(clinics.values()))


def entities_of(
    text: str, language: str, now: datetime, from_model: Iterable[Mapping[str, Any]] = ()
) -> list[dict[str, Any]]:
    """`{"entity", "start", "end", "value"}` in their order; `now` is aware, in the clinic's zone.

    The model's own count where the reader has nothing of the kind at their place: a name that only the model knows.
    """
    read = [one.as_json() for one in read_entities(text, language=language, now=now, lookups=LOOKUPS)]
    for one in from_model:
        if not any(one["start"] < other["end"] and other["start"] < one["end"] for other in read):
            read.append({name: one[name] for name in ("entity", "start", "end", "value")})
    return sorted(read, key=lambda one: (one["start"], one["end"]))
