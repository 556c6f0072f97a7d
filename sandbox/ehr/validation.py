"""Refuses what is not FHIR R4: structure by fhirkit, then the codes, reference targets and invariants it leaves out.

`problems(resource, exists)` is pure but for `exists(type, id)`, which answers whether a referenced resource is there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import fhirkit

from sandbox.ehr import r4_table

Exists = Callable[[str, str], bool]
Rule = Callable[[dict[str, Any]], bool]


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason to refuse a resource, with the element it is about (`Appointment.participant[0].actor`)."""

    path: str
    message: str


def problems(resource: dict[str, Any], exists: Exists | None = None) -> list[Problem]:
    """Everything wrong with `resource`, structure first; with `exists`, dangling references too."""
    found = [Problem(i.path, i.message) for i in fhirkit.validate(resource) if i.severity == "error"]
    if found:
        return found
    found.extend(_walk(resource, resource["resourceType"], resource["resourceType"]))
    found.extend(
        Problem(rule.path, f"{rule.key}: {rule.says}")
        for rule in INVARIANTS.get(resource["resourceType"], ())
        if not rule.holds(resource)
    )
    if exists is not None:
        found.extend(
            Problem(path, f"{kind}/{ref_id} is not on this server")
            for path, kind, ref_id in local_references(resource, resource["resourceType"])
            if not exists(kind, ref_id)
        )
    return found


_LITERAL = re.compile(
    r"^(?P<base>https?://\S+/)?(?P<type>[A-Z][A-Za-z]+)/(?P<id>[A-Za-z0-9\-.]{1,64})(/_history/\S+)?$"
)


def local_references(node: Any, path: str) -> Iterator[tuple[str, str, str]]:
    """Every relative reference below `node` as (path, type, id); absolute and contained ones are not ours to check."""
    if isinstance(node, dict):
        literal = _LITERAL.match(node["reference"]) if isinstance(node.get("reference"), str) else None
        if literal and not literal["base"]:
            yield path, literal["type"], literal["id"]
        for key, value in node.items():
            yield from local_references(value, f"{path}.{key}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from local_references(value, f"{path}[{index}]")


@cache
def _table() -> tuple[dict[str, dict[str, Any]], list[frozenset[str]]]:
    table = r4_table.load()
    return table["types"], [frozenset(codes) for codes in table["codes"]]


def _walk(node: dict[str, Any], kind: str, path: str) -> Iterator[Problem]:
    types, code_sets = _table()
    rules = types.get(kind, {})
    if kind == "Period":
        yield from _period(node, path)
    for key, value in node.items():
        if key == "contained":
            for index, inner in enumerate(value):
                yield from _walk(inner, inner["resourceType"], f"{path}.contained[{index}]")
            continue
        rule = rules.get(key)
        if rule is None:
            continue
        for index, item in enumerate(value if isinstance(value, list) else [value]):
            where = f"{path}.{key}[{index}]" if isinstance(value, list) else f"{path}.{key}"
            if "codes" in rule:
                yield from _binding(item, code_sets[rule["codes"]], where)
            if "targets" in rule:
                yield from _target(item, rule["targets"], where)
            if "type" in rule and isinstance(item, dict):
                yield from _walk(item, rule["type"], where)


def _binding(value: Any, codes: frozenset[str], path: str) -> Iterator[Problem]:
    if isinstance(value, dict):  # CodeableConcept, Coding
        codings = value.get("coding", [value] if "code" in value else [])
        if not codings or any(c.get("code") in codes for c in codings):
            return
        given = ", ".join(str(c.get("code")) for c in codings)
    elif value is None or value in codes:  # null holds the place of a primitive extension in a list
        return
    else:
        given = str(value)
    few = ", ".join(sorted(codes)[:12]) + (" …" if len(codes) > 12 else "")
    yield Problem(path, f"'{given}' is not in the required value set ({few})")


def _target(value: Any, targets: list[str], path: str) -> Iterator[Problem]:
    reference = value.get("reference") if isinstance(value, dict) else None
    literal = _LITERAL.match(reference) if isinstance(reference, str) else None
    kind = literal["type"] if literal else (value.get("type") if isinstance(value, dict) else None)
    if kind and kind not in targets:
        yield Problem(path, f"may refer to {', '.join(targets)}, not {kind}")


def _period(node: dict[str, Any], path: str) -> Iterator[Problem]:
    start, end = node.get("start"), node.get("end")
    if start and end and not _in_order(start, end):
        yield Problem(path, "per-1: start is after end")


def _in_order(start: str, end: str) -> bool:
    """False only when `start` is certainly after `end`; dates of different precision compare on what they share."""
    if "T" in start and "T" in end:
        try:
            return datetime.fromisoformat(start) <= datetime.fromisoformat(end)
        except (TypeError, ValueError):  # one with a time zone, one without
            pass
    shared = min(len(start.split("T")[0]), len(end.split("T")[0]))
    return start[:shared] <= end[:shared]


@dataclass(frozen=True, slots=True)
class Invariant:
    """A rule of the R4 specification by its own key, with the words of the refusal."""

    key: str
    path: str
    says: str
    holds: Rule


def _unique_link_ids(questionnaire: dict[str, Any]) -> bool:
    seen: list[str] = []

    def collect(items: list[dict[str, Any]]) -> None:
        for item in items:
            seen.append(item.get("linkId", ""))
            collect(item.get("item", []))

    collect(questionnaire.get("item", []))
    return len(seen) == len(set(seen))


# http://hl7.org/fhir/R4/appointment.html, observation.html, condition.html, questionnaire.html, immunization.html
INVARIANTS: dict[str, tuple[Invariant, ...]] = {
    "Appointment": (
        Invariant(
            "app-1",
            "Appointment.participant",
            "a participant needs a type or an actor",
            lambda r: all("type" in p or "actor" in p for p in r.get("participant", [])),
        ),
        Invariant(
            "app-2",
            "Appointment.start",
            "start and end are both given or neither",
            lambda r: ("start" in r) == ("end" in r),
        ),
        Invariant(
            "app-3",
            "Appointment.start",
            "only proposed, cancelled or wait-listed appointments may lack start and end",
            lambda r: "start" in r or r.get("status") in ("proposed", "cancelled", "waitlist"),
        ),
        Invariant(
            "app-4",
            "Appointment.cancelationReason",
            "only a cancelled or missed appointment has a cancelation reason",
            lambda r: "cancelationReason" not in r or r.get("status") in ("cancelled", "noshow"),
        ),
    ),
    "Observation": (
        Invariant(
            "obs-6",
            "Observation.dataAbsentReason",
            "dataAbsentReason is only for an observation without a value",
            lambda r: "dataAbsentReason" not in r or not any(k.startswith("value") for k in r),
        ),
    ),
    "Condition": (
        Invariant(
            "con-4",
            "Condition.clinicalStatus",
            "a condition that has abated cannot be active",
            lambda r: (
                not any(k.startswith("abatement") for k in r)
                or any(
                    c.get("code") in ("resolved", "remission", "inactive")
                    for c in r.get("clinicalStatus", {}).get("coding", [])
                )
            ),
        ),
    ),
    "Questionnaire": (Invariant("que-2", "Questionnaire.item", "every linkId is used once", _unique_link_ids),),
}
