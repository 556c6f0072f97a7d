"""Chart facts as the sandbox EHR has them, and with an EHR that is slow, lacks a type, or is down."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from carethread.ehr.chart import NOTHING, chart_facts
from carethread.ehr.client import Ehr
from sandbox.ehr.testing import Sandbox, start_sandbox

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    sandbox = start_sandbox(tmp_path_factory.mktemp("ehr"), faults=True)
    yield sandbox
    sandbox.stop()


@pytest.fixture
async def ehr(sandbox: Sandbox) -> AsyncIterator[Ehr]:
    ehr = Ehr(sandbox.base_url)
    yield ehr
    await ehr.close()


@pytest.fixture(autouse=True)
def no_faults(sandbox: Sandbox) -> Iterator[None]:
    yield
    httpx.delete(f"{sandbox.root_url}/_sandbox/faults")


def fault(sandbox: Sandbox, **what: Any) -> None:
    httpx.post(f"{sandbox.root_url}/_sandbox/faults", json=what).raise_for_status()


@pytest.mark.parametrize(
    ("patient", "true"),
    [
        ("maria-lopez", {"diabetes"}),
        ("james-carter", {"heart_failure", "recent_hospital"}),
        ("rosa-delgado", {"recent_hospital", "recent_surgery", "blood_thinner"}),
        ("emily-novak", {"recent_hospital", "recent_surgery", "recent_birth"}),
        ("priya-nair", {"pregnant"}),
        ("walter-grant", {"blood_thinner", "heart_failure"}),
        ("teresa-aguilar", {"immune_weak"}),
        ("dorothy-jenkins", {"copd", "recent_hospital", "immune_weak"}),
        ("sandra-whitfield", {"heart_failure", "recent_hospital"}),
        ("aisha-rahman", set()),
    ],
)
async def test_what_the_chart_says(ehr: Ehr, patient: str, true: set[str]) -> None:
    facts = await chart_facts(ehr, patient, datetime.now(UTC))
    assert {name for name, holds in facts.flags.items() if holds} >= true
    if not true:
        assert not any(facts.flags.values())
    assert facts.age_years
    assert facts.sex


async def test_a_baby_is_a_fraction_of_a_year_old(ehr: Ehr) -> None:
    facts = await chart_facts(ehr, "noah-fischer", datetime.now(UTC))
    assert facts.age_years is not None
    assert 0.2 < facts.age_years < 1
    assert facts.flag("pregnant") is False


async def test_vitals_of_today(ehr: Ehr) -> None:
    now = datetime.now(UTC)
    quantity = {"value": 38.9, "unit": "Cel", "system": "http://unitsofmeasure.org", "code": "Cel"}
    await ehr.create(
        {
            "resourceType": "Observation",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "8310-5"}]},
            "subject": {"reference": "Patient/kevin-murphy"},
            "effectiveDateTime": (now - timedelta(hours=3)).isoformat(),
            "valueQuantity": quantity,
        }
    )
    facts = await chart_facts(ehr, "kevin-murphy", now)
    assert facts.vitals["temperature"].value == 102.0
    assert set((await chart_facts(ehr, "omar-farouk", now)).vitals) == set()


async def test_a_slow_type_is_unknown_and_costs_no_more_than_the_wait(ehr: Ehr, sandbox: Sandbox) -> None:
    fault(sandbox, match="/Condition", delay_s=4)
    began = time.monotonic()
    facts = await chart_facts(ehr, "walter-grant", datetime.now(UTC), wait_s=1.5)
    assert time.monotonic() - began < 2
    assert (facts.flag("blood_thinner"), facts.flag("diabetes")) == (True, None)


async def test_a_type_the_ehr_does_not_have_is_unknown(ehr: Ehr, sandbox: Sandbox) -> None:
    fault(sandbox, match="/MedicationStatement", status=404)
    fault(sandbox, match="/Procedure", status=403)
    facts = await chart_facts(ehr, "walter-grant", datetime.now(UTC))
    assert (facts.flag("blood_thinner"), facts.flag("heart_failure")) == (True, True)


async def test_an_ehr_that_is_down_knows_nothing(ehr: Ehr) -> None:
    nowhere = Ehr("http://127.0.0.1:9/fhir")
    began = time.monotonic()
    assert await chart_facts(nowhere, "walter-grant", datetime.now(UTC)) == NOTHING
    assert time.monotonic() - began < 2.5
    await nowhere.close()
