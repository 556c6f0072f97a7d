"""The codes of a value set: contained in the form, handed in by the caller, or one of the common ones we know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from carethread.questionnaires.normalising import entries
from carethread.questionnaires.values import Coding
from carethread.yamls import parse

_TABLE = Path(__file__).with_name("valuesets.yml")
_MOST_CODES = 20_000
_DEEPEST = 12  # value sets that include value sets
_KEYS = {"urls", "source", "system", "systems", "codes", "score", "es"}

ValueSets = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Concept:
    """One code, with its translations by language and the element it came from."""

    coding: Coding
    translations: Mapping[str, str] = field(default_factory=dict)
    score: Decimal | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


class UnknownValueSet(LookupError):
    """It is neither in the form nor handed in, or it is written as a rule that only a terminology server can apply."""


def expanded(reference: str, contained: object, known: ValueSets) -> tuple[Concept, ...]:
    """The concepts of a value set, in its order; raises `UnknownValueSet` with the reason.

    `contained` are the form's contained resources, `known` ValueSet resources by url.
    """
    return _Expansion(contained, known).of(reference, 0)


class _Expansion:
    def __init__(self, contained: object, known: ValueSets) -> None:
        self._contained = list(entries(contained))
        self._known = known

    def of(self, reference: str, depth: int) -> tuple[Concept, ...]:
        if depth > _DEEPEST:
            raise UnknownValueSet(f"'{reference}' includes itself")
        value_set = self._find(reference)
        if value_set is None:
            common = _common().get(reference.split("|")[0])
            if common is None:
                raise UnknownValueSet(f"'{reference}' is not in the file")
            return common
        found = tuple(self._concepts(value_set, depth))
        if not found:
            raise UnknownValueSet(f"'{reference}' lists no codes")
        return found[:_MOST_CODES]

    def _find(self, reference: str) -> Mapping[str, Any] | None:
        wanted = reference.removeprefix("#")
        url = wanted.split("|")[0]
        for raw in self._contained:
            if (
                raw.get("resourceType") == "ValueSet"
                and raw.get("id") == wanted.rsplit("/", 1)[-1]
                and "#" in reference
            ):
                return raw
        for raw in self._contained:
            if raw.get("resourceType") == "ValueSet" and (raw.get("url") == url or raw.get("id") == wanted):
                return raw
        return self._known.get(reference) or self._known.get(url)

    def _concepts(self, value_set: Mapping[str, Any], depth: int) -> Iterator[Concept]:
        expansion = value_set.get("expansion")
        if isinstance(expansion, Mapping) and expansion.get("contains"):
            yield from _contains(expansion["contains"], 0)
            return
        compose = value_set.get("compose")
        compose = compose if isinstance(compose, Mapping) else {}
        left_out = {
            (str(exclude.get("system") or ""), str(concept.get("code")))
            for exclude in entries(compose.get("exclude"))
            for concept in entries(exclude.get("concept"))
        }
        seen: set[tuple[str, str]] = set()
        for include in entries(compose.get("include")):
            for concept in self._included(include, depth):
                key = (concept.coding.system, concept.coding.code)
                if key not in left_out and key not in seen:
                    seen.add(key)
                    yield concept

    def _included(self, include: Mapping[str, Any], depth: int) -> Iterator[Concept]:
        system = str(include.get("system") or "")
        others = include.get("valueSet") or []
        if include.get("concept"):
            yield from (_concept(system, raw) for raw in entries(include["concept"]))
        elif include.get("filter"):
            raise UnknownValueSet("it is chosen by a filter, which only a terminology server can apply")
        elif others:
            for other in [others] if isinstance(others, str) else others:
                yield from self.of(str(other), depth + 1)
        elif system:
            yield from self._whole_system(system)

    def _whole_system(self, system: str) -> Iterator[Concept]:
        for raw in (*self._contained, *self._known.values()):
            if raw.get("resourceType") == "CodeSystem" and raw.get("url") == system and raw.get("concept"):
                yield from _contains(raw["concept"], 0, system)
                return
        common = _common().get(system)
        if common is None:
            raise UnknownValueSet(f"it takes all of the code system '{system}', which is not in the file")
        yield from common


def _contains(raws: object, depth: int, system: str = "") -> Iterator[Concept]:
    """An expansion's or a code system's tree, what is there only for order left out."""
    for raw in entries(raws):
        if raw.get("code") and not raw.get("abstract"):
            yield _concept(str(raw.get("system") or system), raw)
        if depth < _DEEPEST:
            yield from _contains(raw.get("contains") or raw.get("concept"), depth + 1, system)


def _concept(system: str, raw: Mapping[str, Any]) -> Concept:
    translations = {
        str(designation["language"]): str(designation["value"])
        for designation in entries(raw.get("designation"))
        if designation.get("language") and designation.get("value")
    }
    return Concept(Coding(str(raw.get("code") or ""), system, str(raw.get("display") or "")), translations, None, raw)


@cache
def _common() -> Mapping[str, tuple[Concept, ...]]:
    """The table of common value sets, by url; raises `ValueError` naming the entry that is wrong."""
    found: dict[str, tuple[Concept, ...]] = {}
    for entry in parse(_TABLE.read_text(encoding="utf-8")):
        name = entry.get("source") or entry.get("urls")
        if set(entry) - _KEYS or not entry.get("source") or not entry.get("codes"):
            raise ValueError(f"{_TABLE.name}: '{name}' needs urls, source, system and codes, and knows {sorted(_KEYS)}")
        systems, spanish, scores = entry.get("systems") or {}, entry.get("es") or {}, entry.get("score") or {}
        if {*systems, *spanish, *scores} - set(entry["codes"]):
            raise ValueError(f"{_TABLE.name}: '{name}' says something of a code it does not list")
        concepts = tuple(
            Concept(
                Coding(str(code), systems.get(code, entry["system"]), display),
                {"es": spanish[code]} if code in spanish else {},
                Decimal(scores[code]) if code in scores else None,
            )
            for code, display in entry["codes"].items()
        )
        found |= dict.fromkeys(entry["urls"], concepts)
    return found


def common() -> Mapping[str, tuple[Concept, ...]]:
    """The value sets that are known without being handed in, by url."""
    return _common()
