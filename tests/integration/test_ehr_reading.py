"""Patients, visits, slots, discharges and capabilities as the sandbox EHR has them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from carethread.ehr.capabilities import read_capabilities
from carethread.ehr.client import Ehr
from carethread.ehr.discharges import recent_discharges
from carethread.ehr.errors import EhrRefused
from carethread.ehr.identity import Matched, match_identity
from carethread.ehr.patients import find_by_name_and_birth_date, find_by_phone, get
from carethread.scheduling import slots
from carethread.scheduling.appointments import find, upcoming
from sandbox.ehr.testing import running_sandbox

pytestmark = pytest.mark.server

ZONE = ZoneInfo("America/Chicago")


@pytest.fixture(scope="module")
def sandbox_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_sandbox(tmp_path_factory.mktemp("ehr")) as url:
        yield url


@pytest.fixture
async def ehr(sandbox_url: str) -> AsyncIterator[Ehr]:
    ehr = Ehr(sandbox_url, zone=ZONE)
    yield ehr
    await ehr.close()


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def today(now: datetime) -> date:
    return now.astimezone(ZONE).date()


@pytest.mark.parametrize(
    ("phone", "ids"),
    [
        ("+13125550101", ["maria-lopez"]),
        ("+13125550110", ["hoa-nguyen", "linh-nguyen", "minh-nguyen"]),
        ("+13125550123", ["grace-kowalski"]),
        ("+13125550124", ["omar-farouk"]),
        ("+13125550125", ["ines-castillo"]),
        ("+13125550199", []),
        ("+442079460101", []),
        ("not a phone", []),
    ],
)
async def test_patients_by_phone_however_it_is_stored(ehr: Ehr, today: date, phone: str, ids: list[str]) -> None:
    found = await find_by_phone(ehr, phone, today=today)
    assert [patient.id for patient in found] == ids
    assert not any(patient.via_guardian for patient in found)


async def test_children_by_their_mothers_phone(ehr: Ehr, today: date) -> None:
    found = await find_by_phone(ehr, "+13125550112", today=today)
    assert [(p.id, p.via_guardian, p.guardian_name) for p in found] == [
        ("mateo-ramirez", True, "Elena Ramírez"),
        ("sofia-ramirez", True, "Elena Ramírez"),
    ]
    [zoe] = await find_by_phone(ehr, "+13125550116", today=today)
    assert (zoe.id, zoe.via_guardian) == ("zoe-adams", True)


async def test_a_grown_childs_mother_no_longer_leads_to_them(ehr: Ehr, today: date) -> None:
    made = await ehr.create(
        {
            "resourceType": "RelatedPerson",
            "patient": {"reference": "Patient/kevin-murphy"},
            "relationship": [{"coding": [{"code": "MTH"}]}],
            "telecom": [{"system": "phone", "value": "(312) 555-0195"}],
        }
    )
    assert await find_by_phone(ehr, "+13125550195", today=today) == []
    await ehr.patch(made.raw, [{"op": "add", "path": "/relationship/-", "value": {"coding": [{"code": "HPOWATT"}]}}])
    [kevin] = await find_by_phone(ehr, "+13125550195", today=today)
    assert (kevin.id, kevin.via_guardian) == ("kevin-murphy", True)


async def test_the_dead_are_found_and_never_matched(ehr: Ehr, today: date) -> None:
    [harold] = await find_by_phone(ehr, "+13125550109", today=today)
    assert harold.deceased
    assert not isinstance(match_identity([harold], {date(1938, 12, 2)}), Matched)


async def test_a_patient_as_a_whole(ehr: Ehr) -> None:
    maria = await get(ehr, "maria-lopez")
    assert maria is not None
    assert (maria.given, maria.family, maria.full_name) == ("María", "López", "María López")
    assert (maria.birth_date, maria.language, maria.postal_code) == (date(1968, 4, 12), "es", "60608")
    assert maria.phones == ("+13125550101",)
    assert maria.mrn
    assert await get(ehr, "nobody") is None


@pytest.mark.parametrize(
    ("name", "births", "ids"),
    [
        ("maria lopez", {date(1968, 4, 12)}, ["maria-lopez"]),
        ("LOPEZ MARIA", {date(1968, 4, 12), date(1968, 12, 4)}, ["maria-lopez"]),
        ("Miguel Pena", {date(1971, 2, 14)}, ["miguel-pena"]),
        ("John Smith", {date(1961, 5, 5)}, ["john-smith-1961"]),
        ("John Smith", {date(1961, 5, 5), date(1987, 10, 12)}, ["john-smith-1961", "john-smith-1987"]),
        ("John Smith", {date(1961, 5, 6)}, []),
        ("John", {date(1961, 5, 5)}, []),
        ("maria lopez", set(), []),
    ],
)
async def test_patients_by_name_and_birth_date(ehr: Ehr, name: str, births: set[date], ids: list[str]) -> None:
    assert [patient.id for patient in await find_by_name_and_birth_date(ehr, name, births)] == ids


async def test_an_ehr_that_wants_a_name_beside_the_date_gets_one(ehr: Ehr) -> None:
    search = ehr.search

    async def picky(kind: str, params: dict[str, str], **more: int) -> object:
        if "family" not in params:
            raise EhrRefused("GET Patient: 400")
        return await search(kind, params, **more)

    ehr.search = picky  # type: ignore[method-assign, assignment]
    [maria] = await find_by_name_and_birth_date(ehr, "maria lopez", {date(1968, 4, 12)})
    assert maria.id == "maria-lopez"


async def test_visits_in_order_with_place_people_and_preparation(ehr: Ehr, now: datetime) -> None:
    first, second = await upcoming(ehr, "maria-lopez", now)
    assert (first.id, second.id) == ("maria-endocrinology", "maria-eye-check")
    assert first.start < second.start
    assert first.start.tzinfo is ZONE
    assert (first.start.hour, first.start.minute) == (9, 0)
    assert first.practitioner == "Dr. Ngozi Okafor"
    assert first.specialty == "endocrinology"
    assert first.address.startswith("200 River Street, Chicago")
    assert "8 horas" in first.preparation
    assert not first.virtual
    assert first.slot_id


async def test_a_video_visit(ehr: Ehr, now: datetime) -> None:
    [visit] = await upcoming(ehr, "aisha-rahman", now)
    assert visit.virtual
    assert visit.video_url == "https://video.example.org/visit/aisha-video"
    assert visit.location == ""


async def test_past_missed_and_cancelled_visits_are_not_coming(ehr: Ehr, now: datetime) -> None:
    assert await upcoming(ehr, "kevin-murphy", now) == []
    assert {visit.id for visit in await upcoming(ehr, "chloe-martin", now)} == {
        "chloe-check-up",
        "chloe-skin-video",
        "chloe-heart",
    }
    assert await find(ehr, "no-such-visit") is None


async def test_a_visit_that_has_begun_is_still_there(ehr: Ehr) -> None:
    visit = await find(ehr, "aisha-video")
    assert visit is not None
    during = visit.start + timedelta(minutes=10)
    assert [v.id for v in await upcoming(ehr, "aisha-rahman", during)] == ["aisha-video"]
    assert await upcoming(ehr, "aisha-rahman", visit.end) == []


async def test_everybody_with_a_calendar_is_asked_for_once(ehr: Ehr) -> None:
    people = await slots.practitioners(ehr)
    assert len(people) == 13
    chen = next(person for person in people if person.id == "dr-chen")
    assert (chen.name, chen.specialty, chen.location) == ("Dr. Grace Chen", "family-medicine", "Riverbend Clinic")
    assert chen.schedule_ids == ("dr-chen",)
    assert next(p for p in people if p.id == "dr-alvarez").languages == ("en", "es")
    ehr.search = None  # type: ignore[method-assign, assignment]
    assert await slots.practitioners(ehr) is people


async def test_offers_are_free_ahead_and_of_the_specialty(ehr: Ehr, now: datetime) -> None:
    offers = await slots.offer(ehr, specialty="cardiology", now=now)
    assert len(offers) == 3
    assert len({one.start.date() for one in offers}) == 3
    for one in offers:
        assert one.practitioner.specialty == "cardiology"
        assert one.start >= now + slots.SOONEST
        assert one.matches_wish
        slot = await ehr.read("Slot", one.slot_id)
        assert slot is not None
        assert slot.raw["status"] == "free"


async def test_offers_of_one_doctor_without_what_was_declined_or_clashes(ehr: Ehr, now: datetime) -> None:
    first, *_ = await slots.offer(ehr, practitioner_id="dr-kim", now=now)
    assert first.practitioner.id == "dr-kim"
    others = await slots.offer(ehr, practitioner_id="dr-kim", now=now, exclude={first.slot_id})
    assert first.slot_id not in {one.slot_id for one in others}
    visit = await find(ehr, "aisha-video")
    assert visit is not None
    everything = await slots.offer(ehr, now=now, count=5000, busy=[visit])
    assert len(everything) > 1000
    assert not any(visit.start < one.end and one.start < visit.end for one in everything)


async def test_offers_of_nobody(ehr: Ehr, now: datetime) -> None:
    assert await slots.offer(ehr, specialty="astrology", now=now) == []
    assert await slots.offer(ehr, practitioner_id="nobody", now=now) == []


async def test_who_left_hospital(ehr: Ehr, now: datetime) -> None:
    found = await recent_discharges(ehr, now - timedelta(days=4), now)
    by_id = {discharge.encounter_id: discharge for discharge in found}
    assert set(by_id) == {
        "james-heart-failure",
        "rosa-knee-replacement",
        "carlos-pneumonia",
        "emily-c-section",
        "tyler-appendectomy",
        "dorothy-copd",
        "george-copd",
    }
    assert [d.discharged_at for d in found] == sorted(d.discharged_at for d in found)
    assert by_id["james-heart-failure"].patient_id == "james-carter"
    assert by_id["james-heart-failure"].reason == "Heart failure"
    assert by_id["james-heart-failure"].went_home
    assert not by_id["george-copd"].went_home
    assert await recent_discharges(ehr, now - timedelta(hours=1), now - timedelta(minutes=59)) == []


async def test_what_the_sandbox_can_do(ehr: Ehr) -> None:
    found = await read_capabilities(ehr)
    assert found.fhir_version == "4.0.1"
    assert found.missing_for_scheduling == ()
    assert found.of("Appointment").conditional_create
    assert found.can_search("Slot", "schedule", "status", "start")
