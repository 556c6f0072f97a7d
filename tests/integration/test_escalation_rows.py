"""Escalations in a real database: one row a problem, first writer wins, nothing lost, nothing lowered."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from carethread.clinic import Clinic, load_clinic
from carethread.escalation.errors import Held, Missing, Resolved
from carethread.escalation.escalations import climb_overdue, open_escalation, release, resolve, take
from carethread.storage.database import Database
from carethread.storage.models import Audit, Conversation, Escalation, Staff

pytestmark = pytest.mark.server

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)


@pytest.fixture
def clinic(tenant: str) -> Clinic:
    base = load_clinic(Path(__file__).parents[2] / "clinics/riverbend/clinic.yml")
    return base.model_copy(update={"id": tenant})


@pytest.fixture
async def conversation_id(database: Database, tenant: str) -> uuid.UUID:
    async with database.begin(tenant) as session:
        row = Conversation(channel="sms", account="+13125550150", address="+13125550101")
        session.add(row)
        await session.flush()
        return row.id


@pytest.fixture
async def nurses(database: Database, tenant: str) -> tuple[Staff, Staff]:
    async with database.begin(tenant) as session:
        rows = [Staff(email=f"{name}@example.test", name=name, password_hash="-", teams=[]) for name in ("Ana", "Sam")]
        session.add_all(rows)
        await session.flush()
        return rows[0], rows[1]


Open = Callable[..., Awaitable[Escalation]]


@pytest.fixture
def opened(database: Database, clinic: Clinic, conversation_id: uuid.UUID) -> Open:
    async def open_(key: str = "inbox:1", severity: Any = "soon", **values: Any) -> Escalation:
        async with database.begin(clinic.id) as session:
            return await open_escalation(
                session,
                clinic,
                **{"conversation_id": conversation_id, "reason": "symptoms", "now": NOW, **values},
                key=key,
                severity=severity,
            )

    return open_


async def _all(database: Database, tenant: str) -> list[Escalation]:
    async with database.begin(tenant) as session:
        return list(await session.scalars(select(Escalation)))


async def test_team_and_deadline_come_from_the_clinic(opened: Open) -> None:
    row = await opened(severity="urgent", reason="checkin", details={"summary": "Pain 9 of 10"}, rule="pain-high")
    assert (row.team, row.deadline - NOW, row.state) == ("care-coordination", timedelta(minutes=30), "open")
    assert row.details["summary"] == "Pain 9 of 10"
    assert row.rule == "pain-high"


async def test_the_same_key_is_the_same_row(database: Database, clinic: Clinic, opened: Open) -> None:
    first = await opened(details={"summary": "one"})
    again = await opened(severity="emergency", details={"summary": "two"}, now=NOW + timedelta(hours=1))
    assert (again.id, again.severity, again.details) == (first.id, "soon", first.details)
    assert len(await _all(database, clinic.id)) == 1


async def test_a_key_that_was_added_to_a_row_does_not_reopen_it(
    database: Database, clinic: Clinic, opened: Open, nurses: tuple[Staff, Staff]
) -> None:
    first = await opened("inbox:1")
    await opened("inbox:2")
    async with database.begin(clinic.id) as session:
        await resolve(session, clinic, first.id, nurses[0], NOW, "Called, all well")
    assert (await opened("inbox:2")).id == first.id
    (row,) = await _all(database, clinic.id)
    assert row.state == "resolved"
    assert [entry["key"] for entry in row.details["history"]] == ["inbox:1", "inbox:2"]


async def test_reports_of_one_problem_are_one_line(database: Database, clinic: Clinic, opened: Open) -> None:
    await opened("a", "soon", details={"summary": "sore knee"}, rule="r1")
    await opened("b", "urgent", details={"summary": "cannot walk"}, rule="r2", now=NOW + timedelta(minutes=3))
    await opened("c", "routine", details={"summary": "wants a form"}, rule="r3", patient_id="p1")
    (row,) = await _all(database, clinic.id)
    assert (row.severity, row.rule, row.patient_id) == ("urgent", "r2", "p1")
    assert row.deadline == NOW + timedelta(minutes=18)
    assert row.details["summary"] == "cannot walk"
    assert [entry["details"]["summary"] for entry in row.details["history"]] == [
        "sore knee",
        "cannot walk",
        "wants a form",
    ]


async def test_another_problem_is_another_line(database: Database, clinic: Clinic, opened: Open) -> None:
    await opened("a", reason="symptoms")
    await opened("b", reason="billing")
    assert {row.team for row in await _all(database, clinic.id)} == {"nurse-line", "front-desk"}


async def test_after_it_is_resolved_the_problem_is_new(
    database: Database, clinic: Clinic, opened: Open, nurses: tuple[Staff, Staff]
) -> None:
    first = await opened("a")
    async with database.begin(clinic.id) as session:
        await resolve(session, clinic, first.id, nurses[0], NOW, "Called")
    assert (await opened("b")).id != first.id


async def test_what_a_nurse_has_comes_back_when_it_gets_worse(
    database: Database, clinic: Clinic, opened: Open, nurses: tuple[Staff, Staff]
) -> None:
    row = await opened("a", "routine")
    async with database.begin(clinic.id) as session:
        await take(session, clinic, row.id, nurses[0], NOW)
    same = await opened("b", "routine")
    assert (same.state, same.owner_id) == ("taken", nurses[0].id)
    worse = await opened("c", "urgent", now=NOW + timedelta(hours=9))
    assert (worse.state, worse.owner_id) == ("open", None)
    assert worse.deadline == NOW + timedelta(hours=9, minutes=15)
    assert worse.details["history"][-1]["taken_from"] == str(nurses[0].id)


async def test_many_reports_at_once_make_one_row(database: Database, clinic: Clinic, opened: Open) -> None:
    severities = ["routine", "soon", "emergency", "urgent"]
    rows = await asyncio.gather(*(opened(f"k{n}", severities[n % 4]) for n in range(8)))
    assert len({row.id for row in rows}) == 1
    (row,) = await _all(database, clinic.id)
    assert row.severity == "emergency"
    assert {entry["key"] for entry in row.details["history"]} == {f"k{n}" for n in range(8)}


async def test_a_conversation_of_another_tenant_is_missing(database: Database, clinic: Clinic, opened: Open) -> None:
    row = await opened()
    other = clinic.model_copy(update={"id": clinic.id + "x"})
    async with database.begin(other.id) as session:
        with pytest.raises(Missing):
            await open_escalation(
                session, other, conversation_id=row.conversation_id, key="k", severity="soon", reason="x", now=NOW
            )


async def test_of_two_nurses_one_takes_it(
    database: Database, clinic: Clinic, opened: Open, nurses: tuple[Staff, Staff]
) -> None:
    row = await opened()

    async def try_(staff: Staff) -> str:
        try:
            async with database.begin(clinic.id) as session:
                await take(session, clinic, row.id, staff, NOW)
                await asyncio.sleep(0.05)
        except Held as held:
            return f"held by {held.holder}"
        return f"taken by {staff.name}"

    outcomes = sorted(await asyncio.gather(*(try_(staff) for staff in nurses)))
    assert outcomes in (["held by Ana", "taken by Ana"], ["held by Sam", "taken by Sam"])
    async with database.begin(clinic.id) as session:
        trail = (await session.scalars(select(Audit).where(Audit.action == "escalation.take"))).all()
    assert [entry.subject for entry in trail] == [f"escalation:{row.id}"]


async def test_a_colleague_is_relieved_by_name_only(
    database: Database, clinic: Clinic, opened: Open, nurses: tuple[Staff, Staff]
) -> None:
    ana, sam = nurses
    row = await opened()
    async with database.begin(clinic.id) as session:
        await take(session, clinic, row.id, ana, NOW)
    async with database.begin(clinic.id) as session:
        with pytest.raises(Held) as held:
            await take(session, clinic, row.id, sam, NOW, instead_of=uuid.uuid4())
        assert (held.value.holder, held.value.since) == ("Ana", NOW)
        assert (await take(session, clinic, row.id, sam, NOW, instead_of=ana.id)).owner_id == sam.id
    async with database.begin(clinic.id) as session:
        last = (await session.scalars(select(Audit).order_by(Audit.id.desc()).limit(1))).one()
    assert last.details == {"relieved": str(ana.id)}


async def test_released_is_back_on_the_full_clock(
    database: Database, clinic: Clinic, opened: Open, nurses: tuple[Staff, Staff]
) -> None:
    ana, sam = nurses
    row = await opened(severity="urgent")
    later = NOW + timedelta(hours=2)
    async with database.begin(clinic.id) as session:
        await take(session, clinic, row.id, ana, NOW)
        with pytest.raises(Held):
            await release(session, clinic, row.id, sam, later)
        back = await release(session, clinic, row.id, ana, later)
    assert (back.state, back.owner_id, back.deadline) == ("open", None, later + timedelta(minutes=15))


async def test_resolving_needs_a_word_and_is_final(
    database: Database, clinic: Clinic, opened: Open, nurses: tuple[Staff, Staff]
) -> None:
    ana, sam = nurses
    row = await opened()
    async with database.begin(clinic.id) as session:
        with pytest.raises(ValueError, match="cannot be empty"):
            await resolve(session, clinic, row.id, ana, NOW, "  ")
        done = await resolve(session, clinic, row.id, ana, NOW, " Called the patient. ")
        assert (done.state, done.owner_id, done.resolution) == ("resolved", ana.id, "Called the patient.")
        await resolve(session, clinic, row.id, ana, NOW, "Called the patient.")  # a double click
        for deed in (
            resolve(session, clinic, row.id, sam, NOW, "Me too"),
            take(session, clinic, row.id, sam, NOW),
            release(session, clinic, row.id, ana, NOW),
        ):
            with pytest.raises(Resolved) as closed:
                await deed
            assert closed.value.by == "Ana"


async def test_what_a_colleague_has_cannot_be_resolved(
    database: Database, clinic: Clinic, opened: Open, nurses: tuple[Staff, Staff]
) -> None:
    row = await opened()
    async with database.begin(clinic.id) as session:
        await take(session, clinic, row.id, nurses[0], NOW)
        with pytest.raises(Held, match="held by staff"):
            await resolve(session, clinic, row.id, nurses[1], NOW, "Done")


async def test_what_nobody_takes_climbs_until_somebody_does(
    database: Database, clinic: Clinic, opened: Open, nurses: tuple[Staff, Staff]
) -> None:
    row = await opened(severity="soon", reason="billing")  # front desk: 60 minutes, then 15

    async def sweep(minutes: float) -> list[int]:
        async with database.begin(clinic.id) as session:
            return [row.climbs for row in await climb_overdue(session, clinic, NOW + timedelta(minutes=minutes))]

    assert await sweep(59) == []
    assert await sweep(60) == [1]
    assert await sweep(61) == []
    assert await sweep(75) == [2]
    async with database.begin(clinic.id) as session:
        await take(session, clinic, row.id, nurses[0], NOW + timedelta(minutes=76))
    assert await sweep(600) == []


async def test_two_sweeps_at_once_climb_once(database: Database, clinic: Clinic, opened: Open) -> None:
    await opened(severity="emergency", reason="emergency")

    async def sweep() -> int:
        async with database.begin(clinic.id) as session:
            rows = await climb_overdue(session, clinic, NOW + timedelta(minutes=5))
            await asyncio.sleep(0.05)
            return len(rows)

    assert sorted(await asyncio.gather(sweep(), sweep())) == [0, 1]
