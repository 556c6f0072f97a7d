"""Boils the published FHIR R4 definitions down to the small table that validation reads (`r4.json.gz`).

Run it only to rebuild the table: `python -m sandbox.ehr.r4_table FOLDER`, where FOLDER holds HL7's own
`profiles-types.json`, `profiles-resources.json`, `valuesets.json` and `v3-codesystems.json` of version 4.0.1.

Per type and element the table keeps what a structural parser cannot know: the codes of a required binding, the
resource types a reference may point at, and the type to descend into.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_name("r4.json.gz")
CORE = "http://hl7.org/fhir/StructureDefinition/"
SOURCES = ("profiles-types.json", "profiles-resources.json", "valuesets.json", "v3-codesystems.json")
BACKBONES = {"BackboneElement", "Element"}


def build(folder: Path) -> dict[str, Any]:
    """The table for the definitions in `folder`; raises FileNotFoundError naming the file that is missing."""
    resources = [r for name in SOURCES for r in _resources(folder / name)]
    terms = _Terminology(resources)
    types: dict[str, dict[str, Any]] = {}
    for definition in resources:
        if definition["resourceType"] == "StructureDefinition" and definition["kind"] in (
            "resource",
            "complex-type",
        ):
            if definition.get("derivation") == "constraint" or definition.get("abstract"):
                continue
            _add_elements(definition, terms, types)
    return {"fhirVersion": "4.0.1", "codes": terms.shared, "types": _useful(types)}


def load() -> dict[str, Any]:
    """The shipped table."""
    table: dict[str, Any] = json.loads(gzip.decompress(TABLE.read_bytes()))
    return table


def _resources(path: Path) -> Iterator[dict[str, Any]]:
    for entry in json.loads(path.read_text("utf-8"))["entry"]:
        yield entry["resource"]


class _Terminology:
    """Expands the value sets of required bindings; one that needs a terminology server expands to None."""

    def __init__(self, resources: list[dict[str, Any]]) -> None:
        self._systems = {r["url"]: r for r in resources if r["resourceType"] == "CodeSystem"}
        self._sets = {r["url"]: r for r in resources if r["resourceType"] == "ValueSet"}
        self.shared: list[list[str]] = []
        self._index: dict[tuple[str, ...], int] = {}

    def codes(self, canonical: str) -> int | None:
        """Index into `shared` of the codes of a value set, or None when it cannot be expanded here."""
        codes = self._expand(canonical.split("|")[0])
        if not codes:
            return None
        key = tuple(sorted(codes))
        if key not in self._index:
            self._index[key] = len(self.shared)
            self.shared.append(list(key))
        return self._index[key]

    def _expand(self, url: str) -> set[str] | None:
        value_set = self._sets.get(url)
        compose = (value_set or {}).get("compose", {})
        if not compose or compose.get("exclude"):
            return None
        found: set[str] = set()
        for include in compose["include"]:
            codes = self._include(include)
            if codes is None:
                return None
            found |= codes
        return found

    def _include(self, include: dict[str, Any]) -> set[str] | None:
        if include.get("filter"):
            return None
        if "concept" in include:
            return {c["code"] for c in include["concept"]}
        if "system" in include:
            system = self._systems.get(include["system"])
            if not system or system.get("content") != "complete":
                return None
            return set(_concepts(system.get("concept", [])))
        found: set[str] = set()
        for url in include.get("valueSet", []):
            codes = self._expand(url.split("|")[0])
            if codes is None:
                return None
            found |= codes
        return found


def _concepts(concepts: list[dict[str, Any]]) -> Iterator[str]:
    for concept in concepts:
        yield concept["code"]
        yield from _concepts(concept.get("concept", []))


def _add_elements(definition: dict[str, Any], terms: _Terminology, types: dict[str, dict[str, Any]]) -> None:
    types.setdefault(definition["type"], {})
    for element in definition["snapshot"]["element"][1:]:
        parent, _, name = element["path"].rpartition(".")
        for key, rule in _rules(element, name, terms):
            if rule:
                types.setdefault(parent, {})[key] = rule


def _rules(element: dict[str, Any], name: str, terms: _Terminology) -> Iterator[tuple[str, dict[str, Any]]]:
    if "contentReference" in element:
        yield name, {"type": element["contentReference"].rsplit("#", 1)[-1]}
        return
    for kind in element.get("type", []):
        code: str = kind["code"]
        key = name.removesuffix("[x]") + code[0].upper() + code[1:] if name.endswith("[x]") else name
        rule: dict[str, Any] = {}
        if code in BACKBONES:
            rule["type"] = element["path"]
        elif code[0].isupper():
            rule["type"] = code
        if code == "Reference":
            targets = sorted(p.removeprefix(CORE) for p in kind.get("targetProfile", []))
            if targets and "Resource" not in targets:
                rule["targets"] = targets
        binding = element.get("binding", {})
        if binding.get("strength") == "required" and code in ("code", "Coding", "CodeableConcept"):
            codes = terms.codes(binding.get("valueSet", ""))
            if codes is not None:
                rule["codes"] = codes
        yield key, rule


def _useful(types: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Drops elements that lead to nothing to check, until nothing more can be dropped."""
    while True:
        empty = {name for name, elements in types.items() if not elements}
        before = sum(len(e) for e in types.values())
        for elements in types.values():
            for key in [k for k, r in elements.items() if r.keys() == {"type"} and r["type"] in empty | {"Resource"}]:
                # contained resources are walked by their own resourceType
                del elements[key]
        if sum(len(e) for e in types.values()) == before:
            return {name: elements for name, elements in sorted(types.items()) if elements}


def main() -> None:
    """Rebuild the shipped table from a folder of definitions."""
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m sandbox.ehr.r4_table FOLDER-OF-R4-DEFINITIONS")
    text = json.dumps(build(Path(sys.argv[1])), separators=(",", ":"), sort_keys=True)
    TABLE.write_bytes(gzip.compress(text.encode(), mtime=0))
    print(f"{TABLE.name}: {TABLE.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main()
