"""Nothing hard to read is published: every text that patients read is measured where it is loaded, and refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from carethread.clinic import Clinic, ConfigError
from carethread.safety.reading import Reading


@dataclass(frozen=True, slots=True)
class Text:
    """One text in one language: what it is, and the `file:line` where it stands."""

    place: str
    what: str
    language: str
    text: str


def troubles(texts: Iterable[Text], reading: Reading) -> list[str]:
    """What may not be published, each with place, grade and mend."""
    return [
        f"{text.place}: {text.what} ({text.language}) {trouble}"
        for text in texts
        if (trouble := reading.trouble(text.text, text.language))
    ]


def refuse_hard(texts: Iterable[Text], reading: Reading | None) -> None:
    """Raise `ConfigError` for the first text that is too hard to read. Without a measure nothing is looked at."""
    if reading is not None and (found := troubles(texts, reading)):
        more = f" ({len(found) - 1} more: `carethread content check` lists them)" if len(found) > 1 else ""
        raise ConfigError(found[0] + more)


def clinic_texts(clinics: Mapping[str, Clinic]) -> Iterator[Text]:
    """What the clinics' own files say to patients: facts and the names of specialties."""
    for clinic in clinics.values():
        for name, wordings in clinic.facts.items():
            for language, text in wordings.items():
                yield Text(clinic.place("facts", name, language), f"fact '{name}'", language, text)
        for number, specialty in enumerate(clinic.specialties):
            for language, text in specialty.display.items():
                yield Text(clinic.place("specialties", number), f"specialty '{specialty.code}'", language, text)
