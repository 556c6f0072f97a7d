"""What an EHR can do, from its own statement."""

from __future__ import annotations

from typing import Any

import pytest

from carethread.ehr.capabilities import capabilities_of
from carethread.ehr.errors import EhrMalformed


def statement(resources: list[Any], **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "CapabilityStatement",
        "fhirVersion": "4.0.1",
        "software": {"name": "Some EHR"},
        "rest": [{"mode": "client", "resource": [{"type": "Task"}]}, {"mode": "server", "resource": resources}],
        **more,
    }


def kind(name: str, *interactions: str, params: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    return {
        "type": name,
        "interaction": [{"code": code} for code in interactions],
        "searchParam": [{"name": param, "type": "token"} for param in params],
        **more,
    }


BOOKABLE = [
    kind("Appointment", "read", "search-type", "create", "patch", params=("patient", "date"), conditionalCreate=True),
    kind("Slot", "search-type", "patch"),
    kind("Schedule", "search-type", versioning="versioned-update"),
]


def test_what_is_said_is_known_and_what_is_not_is_not_assumed() -> None:
    found = capabilities_of(statement(BOOKABLE))
    assert found.software == "Some EHR"
    assert found.can("Appointment", "create")
    assert not found.can("Appointment", "delete")
    assert not found.can("Task", "read"), "what a client of theirs can do is not what they can"
    assert found.can_search("Appointment", "patient", "date")
    assert not found.can_search("Appointment", "patient", "slot")
    assert not found.can_search("Flag")
    assert found.of("Appointment").conditional_create
    assert not found.of("Slot").conditional_create
    assert found.of("Schedule").versioned


def test_what_booking_lacks_is_named() -> None:
    assert capabilities_of(statement(BOOKABLE)).missing_for_scheduling == ()
    reads_only = [kind("Appointment", "read", "search-type"), kind("Slot", "search-type")]
    assert capabilities_of(statement(reads_only)).missing_for_scheduling == (
        "Schedule search-type",
        "Appointment create",
        "Appointment patch",
        "Slot patch",
    )
    xml_only = statement(BOOKABLE, patchFormat=["application/xml-patch+xml"])
    assert capabilities_of(xml_only).missing_for_scheduling == ("patch format application/json-patch+json",)


@pytest.mark.parametrize("dirt", [None, "x", [None, 3, {"type": "Slot", "interaction": "read"}, {"no": "type"}]])
def test_dirt_is_survived(dirt: Any) -> None:
    assert not capabilities_of(statement(dirt)).can("Slot", "read")
    assert capabilities_of({"resourceType": "CapabilityStatement", "rest": dirt}).types == {}


def test_another_resource_is_refused() -> None:
    with pytest.raises(EhrMalformed):
        capabilities_of({"resourceType": "Bundle"})
