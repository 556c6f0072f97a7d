"""What an EHR can do, read from its CapabilityStatement: asked once, never assumed from a vendor's name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from carethread.ehr.client import Ehr, Json
from carethread.ehr.errors import EhrMalformed
from carethread.ehr.server import JSON_PATCH

_NONE: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class TypeCapability:
    """What one resource type supports."""

    interactions: frozenset[str] = _NONE  # read, search-type, create, update, patch, …
    search_params: frozenset[str] = _NONE
    conditional_create: bool = False
    versioned: bool = False  # keeps versions and minds If-Match


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the EHR says it can do. A server that says nothing of a type does not have it."""

    software: str
    fhir_version: str
    types: Mapping[str, TypeCapability]
    patch_formats: frozenset[str] = _NONE

    def of(self, kind: str) -> TypeCapability:
        return self.types.get(kind, TypeCapability())

    def can(self, kind: str, interaction: str) -> bool:
        """Whether `kind` supports `interaction` (R4's codes: read, search-type, create, update, patch)."""
        return interaction in self.of(kind).interactions

    def can_search(self, kind: str, *params: str) -> bool:
        """Whether `kind` can be searched by all of `params`."""
        return self.can(kind, "search-type") and set(params) <= self.of(kind).search_params

    @property
    def missing_for_scheduling(self) -> tuple[str, ...]:
        """What self-service booking needs and this EHR lacks; empty when patients can book here."""
        needed = [
            *((kind, "search-type") for kind in ("Appointment", "Slot", "Schedule")),
            ("Appointment", "create"),
            ("Appointment", "patch"),
            ("Slot", "patch"),
        ]
        lacking = [f"{kind} {interaction}" for kind, interaction in needed if not self.can(kind, interaction)]
        if not lacking and self.patch_formats and JSON_PATCH not in self.patch_formats:
            lacking.append(f"patch format {JSON_PATCH}")
        return tuple(lacking)


async def read_capabilities(ehr: Ehr) -> Capabilities:
    """Ask `/metadata`; raises `EhrMalformed` when the answer is no CapabilityStatement of R4."""
    found = capabilities_of(await ehr.metadata())
    if not found.fhir_version.startswith("4."):
        raise EhrMalformed(f"the server speaks FHIR {found.fhir_version or 'of no version'}; R4 (4.0.1) is needed")
    return found


def capabilities_of(raw: Json) -> Capabilities:
    """Read leniently: vendors' statements are large and seldom quite valid."""
    if raw.get("resourceType") != "CapabilityStatement":
        raise EhrMalformed("/metadata is not a CapabilityStatement")
    servers = [rest for rest in _dicts(raw.get("rest")) if rest.get("mode", "server") == "server"]
    software = raw.get("software")
    return Capabilities(
        software=str(software.get("name", "")) if isinstance(software, dict) else "",
        fhir_version=str(raw.get("fhirVersion", "")),
        types={str(r["type"]): _type(r) for rest in servers for r in _dicts(rest.get("resource")) if r.get("type")},
        patch_formats=frozenset(str(name) for name in raw.get("patchFormat") or ()),
    )


def _type(raw: Json) -> TypeCapability:
    return TypeCapability(
        interactions=frozenset(str(i.get("code")) for i in _dicts(raw.get("interaction"))),
        search_params=frozenset(str(p.get("name")) for p in _dicts(raw.get("searchParam"))),
        conditional_create=raw.get("conditionalCreate") is True,
        versioned=raw.get("versioning") in ("versioned", "versioned-update"),
    )


def _dicts(value: Any) -> list[Json]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
