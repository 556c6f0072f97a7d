"""A process that changes visits dies, or the EHR does, at every step there is; another goes on, and nothing is wrong.

What must hold at the end: a slot is busy if and only if exactly one live appointment has it, each wish is done once or
not at all, and the ledger says which.

Run as a program this file is the process that is killed: `python test_ehr_booking_crash.py URL DATABASE TENANT …`.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen
from zoneinfo import ZoneInfo

import pytest

from carethread.ehr import writes
from carethread.ehr.client import Ehr
from carethread.ehr.server import Answer
from carethread.scheduling import booking, holding
from carethread.scheduling.appointments import LIVE, find
from carethread.scheduling.slots import offer
from carethread.storage.database import Database
from sandbox.ehr.testing import Sandbox, start_sandbox

pytestmark = pytest.mark.server

ZONE = ZoneInfo("America/Chicago")
PATIENT, SOMEBODY_ELSE = "kevin-murphy", "omar-farouk"
KINDS = ("book", "cancel", "reschedule", "confirm")
MOST_STEPS = 12  # calls to the EHR in the longest of the four
DONE = {"book": booking.Booked, "cancel": booking.Cancelled, "reschedule": booking.Moved, "confirm": booking.Confirmed}


class Killed(BaseException):
    """Nothing below catches it, as nothing catches a SIGKILL."""


class Mortal(Ehr):
    """An EHR client whose process dies just before or just after the `step`th call."""

    def __init__(self, url: str, step: int, when: str, *, really: bool = False) -> None:
        super().__init__(url, zone=ZONE)
        self.calls = 0
        call = self._server.call

        def count(*args: Any, **options: Any) -> Any:
            self.calls += 1
            if self.calls == step and when == "before":
                die()
            answer = call(*args, **options)
            if self.calls == step and when == "after":
                die()
            return answer

        def die() -> None:
            if really:
                os.kill(os.getpid(), signal.SIGKILL)
            raise Killed

        self._server.call = count


@dataclass
class Scene:
    """A patient with a wish."""

    database: Database
    ehr: Ehr
    tenant: str
    kind: str
    key: str
    slot: str  # that is wanted; for `cancel` and `confirm` the one they have
    appointment: str | None
    old_slot: str | None
    now: datetime

    async def act(self, ehr: Ehr) -> booking.Outcome:
        return await act(self.database, ehr, self.tenant, self.kind, self.key, self.slot, self.appointment, self.now)

    async def resume(self, *, after: timedelta = timedelta(minutes=1), ehr: Ehr | None = None) -> booking.Outcome:
        """What the worker's sweeper does."""
        later = self.now + after
        rows = await writes.pending(self.database, self.tenant, now=later)
        [row] = [row for row in rows if row.key == self.key]
        return await booking.resume(self.database, ehr or self.ehr, self.tenant, row, now=later)

    async def state(self) -> str:
        row = await writes.load(self.database, self.tenant, self.key)
        assert row is not None
        return row.state

    async def live(self, slot_id: str) -> list[str]:
        found = await self.ehr.search("Appointment", {"slot": f"Slot/{slot_id}", "status": ",".join(LIVE)})
        return [record.id for record in found]

    async def consistent(self) -> None:
        """Every slot of the story is busy for exactly one live appointment, or free for none."""
        for slot_id in {self.slot, self.old_slot} - {None}:
            slot = await self.ehr.read("Slot", str(slot_id))
            assert slot is not None
            live = await self.live(str(slot_id))
            assert (slot.raw["status"], len(live)) in {("busy", 1), ("free", 0)}, (slot_id, slot.raw["status"], live)
            if slot.raw["status"] == "free":
                assert "identifier" not in slot.raw

    async def granted(self) -> None:
        """The wish came true, once."""
        await self.consistent()
        assert await self.state() == "done"
        if self.kind == "cancel":
            assert await self.live(self.slot) == []
            return
        [appointment_id] = await self.live(self.slot)
        visit = await find(self.ehr, appointment_id)
        assert visit is not None
        assert visit.patient_id == PATIENT
        assert self.appointment in (None, appointment_id)
        assert visit.slot_ids == (self.slot,)
        if self.kind == "reschedule":
            assert await self.live(str(self.old_slot)) == []
        if self.kind == "confirm":
            assert visit.confirmed_at is not None


async def act(
    database: Database, ehr: Ehr, tenant: str, kind: str, key: str, slot: str, appointment: str | None, now: datetime
) -> booking.Outcome:
    common = {"key": key, "patient_id": PATIENT, "conversation_id": None, "now": now}
    match kind:
        case "book":
            return await booking.book(database, ehr, tenant, slot_id=slot, reason="cough", **common)  # type: ignore[arg-type]
        case "cancel":
            return await booking.cancel(
                database,
                ehr,
                tenant,
                appointment_id=str(appointment),
                reason="no ride",
                **common,  # type: ignore[arg-type]
            )
        case "reschedule":
            return await booking.reschedule(
                database,
                ehr,
                tenant,
                appointment_id=str(appointment),
                slot_id=slot,
                **common,  # type: ignore[arg-type]
            )
        case _:
            return await booking.confirm(database, ehr, tenant, appointment_id=str(appointment), **common)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    sandbox = start_sandbox(tmp_path_factory.mktemp("ehr"), faults=True)
    yield sandbox
    sandbox.stop()


@pytest.fixture
async def ehr(sandbox: Sandbox) -> AsyncIterator[Ehr]:
    ehr = Ehr(sandbox.base_url, zone=ZONE)
    yield ehr
    faults(sandbox, "DELETE")
    await ehr.close()


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def scene(database: Database, ehr: Ehr, tenant: str, now: datetime) -> Any:
    async def make(kind: str) -> Scene:
        """A patient who has what the wish needs."""
        free = [one.slot_id for one in await offer(ehr, specialty="endocrinology", now=now, count=2)]
        key = f"{kind}-{uuid.uuid4()}"
        if kind == "book":
            return Scene(database, ehr, tenant, kind, key, free[0], None, None, now)
        has = await act(database, ehr, tenant, "book", f"first-{key}", free[0], None, now)
        assert isinstance(has, booking.Booked)
        wanted = free[1] if kind == "reschedule" else free[0]
        return Scene(database, ehr, tenant, kind, key, wanted, has.appointment_id, free[0], now)

    return make


def faults(sandbox: Sandbox, verb: str, /, **fault: Any) -> None:
    body = json.dumps(fault).encode() if verb == "POST" else None
    urlopen(Request(f"{sandbox.root_url}/_sandbox/faults", data=body, method=verb)).close()  # noqa: S310


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("kind", KINDS)
async def test_killed_at_every_call(scene: Any, sandbox: Sandbox, kind: str, when: str) -> None:
    for step in range(1, MOST_STEPS + 1):
        story = await scene(kind)
        dying = Mortal(sandbox.base_url, step, when)
        try:
            outcome = await story.act(dying)
        except Killed:
            assert await story.state() == "pending"
            outcome = await story.resume()
            assert isinstance(outcome, DONE[kind]), (step, outcome)
            await story.granted()
            # The patient's message is delivered again as well: the same outcome, and no second change.
            assert await story.act(story.ehr) == outcome
            await story.granted()
        else:
            assert isinstance(outcome, DONE[kind])
            assert step > dying.calls, "every call was died at"
            break
        finally:
            await dying.close()
    else:
        pytest.fail(f"{kind} has more than {MOST_STEPS} steps")


@pytest.mark.parametrize("when", ["before", "after"])
async def test_somebody_else_comes_while_a_booking_lies_dead(scene: Any, sandbox: Sandbox, when: str) -> None:
    outcomes = set()
    for step in range(1, MOST_STEPS + 1):
        story = await scene("book")
        dying = Mortal(sandbox.base_url, step, when)
        try:
            await story.act(dying)
        except Killed:
            other = await booking.book(
                story.database,
                story.ehr,
                story.tenant,
                key=f"other-{story.key}",
                slot_id=story.slot,
                patient_id=SOMEBODY_ELSE,
                reason="",
                conversation_id=None,
                now=story.now,
            )
            ours = await story.resume()
            assert {type(ours), type(other)} == {booking.Booked, booking.SlotTaken}, step
            outcomes.add(type(ours))
            await story.consistent()
        else:
            break
        finally:
            await dying.close()
    assert outcomes == {booking.Booked, booking.SlotTaken}


@pytest.mark.parametrize("kind", KINDS)
async def test_two_processes_go_on_with_one_row_at_once(scene: Any, sandbox: Sandbox, kind: str) -> None:
    story = await scene(kind)
    dying = Mortal(sandbox.base_url, 2, "before")
    with pytest.raises(Killed):
        await story.act(dying)
    await dying.close()
    rows = [await writes.load(story.database, story.tenant, story.key) for _ in range(4)]
    later = story.now + timedelta(minutes=1)
    found = await asyncio.gather(
        *(booking.resume(story.database, story.ehr, story.tenant, row, now=later) for row in rows if row)
    )
    assert len(found) == 4
    assert all(isinstance(one, DONE[kind]) for one in found), found
    await story.granted()


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        ("book", {"match": "Slot", "method": "PATCH"}),
        ("book", {"match": "Appointment", "method": "POST"}),
        ("cancel", {"match": "Appointment", "method": "PATCH"}),
        ("cancel", {"match": "Slot", "method": "PATCH"}),
        ("reschedule", {"match": "Slot", "method": "PATCH"}),
        ("reschedule", {"match": "Appointment", "method": "PATCH"}),
        ("confirm", {"match": "Appointment", "method": "PATCH"}),
    ],
)
@pytest.mark.parametrize("lost", ["request", "answer", "connection"])
async def test_a_write_that_gets_no_answer(
    scene: Any, sandbox: Sandbox, kind: str, fault: dict[str, Any], lost: str
) -> None:
    """Whether it took effect cannot be known from here, so it is looked up and neither lost nor done twice."""
    story = await scene(kind)
    how: dict[str, Any] = {
        "request": {"status": 503},
        "answer": {"status": 504, "when": "after"},
        "connection": {"drop": True, "when": "after"},
    }[lost]
    faults(sandbox, "POST", **fault, **how, count=1)
    assert await story.act(story.ehr) == writes.Waiting(story.key)
    assert await story.state() == "pending"
    assert isinstance(await story.resume(), DONE[kind])
    await story.granted()


@pytest.mark.parametrize("kind", KINDS)
async def test_the_ehr_is_down_all_along(scene: Any, sandbox: Sandbox, kind: str) -> None:
    story = await scene(kind)
    faults(sandbox, "POST", status=503)
    hurried = Ehr(sandbox.base_url, zone=ZONE, timeout=0.3)
    assert await story.act(hurried) == writes.Waiting(story.key)
    assert await story.resume(ehr=hurried) == writes.Waiting(story.key)
    await hurried.close()
    faults(sandbox, "DELETE")
    assert isinstance(await story.resume(after=timedelta(minutes=5)), DONE[kind])
    await story.granted()


@pytest.mark.parametrize("step", range(1, 6))
async def test_a_wish_too_old_is_undone_not_done(scene: Any, sandbox: Sandbox, step: int) -> None:
    story = await scene("book")
    dying = Mortal(sandbox.base_url, step, "after")
    with pytest.raises(Killed):
        await story.act(dying)
    await dying.close()
    outcome = await story.resume(after=booking.STANDS + timedelta(minutes=1))
    # An appointment that was made stands: the patient may have seen it by now.
    assert isinstance(outcome, booking.Booked if step >= 4 else booking.Refused), step
    await story.consistent()
    assert len(await story.live(story.slot)) == (1 if step >= 4 else 0)


async def test_undoing_survives_the_ehr_going_down(scene: Any, sandbox: Sandbox, tenant: str) -> None:
    """The EHR takes the slot, refuses the appointment, and is gone before the slot can be given back."""
    story = await scene("book")
    faults(sandbox, "POST", match="Appointment", method="POST", status=422)
    faults(sandbox, "POST", match="Appointment", method="GET", status=503)
    waiting = await story.act(story.ehr)
    assert waiting == writes.Waiting(story.key)
    faults(sandbox, "DELETE")
    assert isinstance(await story.resume(), writes.Refused)
    slot = await story.ehr.read("Slot", story.slot)
    assert slot is not None
    assert slot.raw["status"] == "free"
    assert await holding.take(story.ehr, story.slot, writes.identifier(tenant, "another")) is not None


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        ("book", {"match": "Slot", "method": "PATCH"}),
        ("book", {"match": "Appointment", "method": "POST"}),
        ("cancel", {"match": "Appointment", "method": "PATCH"}),
        ("reschedule", {"match": "Slot", "method": "PATCH"}),
        ("reschedule", {"match": "Appointment", "method": "PATCH"}),
        ("confirm", {"match": "Appointment", "method": "PATCH"}),
    ],
)
async def test_an_ehr_that_says_no_changes_nothing_and_is_not_asked_for_ever(
    scene: Any, sandbox: Sandbox, kind: str, fault: dict[str, Any]
) -> None:
    story = await scene(kind)
    faults(sandbox, "POST", **fault, status=422)
    refused = await story.act(story.ehr)
    assert isinstance(refused, writes.Refused)
    faults(sandbox, "DELETE")
    assert await story.state() == "refused"
    assert await story.act(story.ehr) == refused
    await story.consistent()
    if story.appointment:
        assert await story.live(str(story.old_slot)) == [story.appointment]


async def test_a_slot_that_the_ehr_will_not_free_is_kept_for_somebody_to_do(scene: Any, sandbox: Sandbox) -> None:
    story = await scene("cancel")
    faults(sandbox, "POST", match="Slot", method="PATCH", status=422)
    assert isinstance(await story.act(story.ehr), booking.Cancelled)
    row = await writes.load(story.database, story.tenant, story.key)
    assert row is not None
    assert row.state == "done"
    assert row.progress["not_freed"] == [story.slot]


@pytest.mark.parametrize("kind", KINDS)
async def test_an_answer_that_cannot_be_understood_is_looked_up(scene: Any, sandbox: Sandbox, kind: str) -> None:
    """A proxy's page with status 200 in place of the answer: the write has happened, or not."""
    story = await scene(kind)
    call = story.ehr._server.call
    broken = False

    def garbled(method: str, path: str, **options: Any) -> Any:
        nonlocal broken
        answer = call(method, path, **options)
        if method in ("POST", "PATCH") and path.startswith("Appointment") and not broken:
            broken = True
            return Answer(200, {}, b"<html>please wait</html>")
        return answer

    story.ehr._server.call = garbled
    assert await story.act(story.ehr) == writes.Waiting(story.key)
    assert isinstance(await story.resume(), DONE[kind])
    await story.granted()


@pytest.mark.slow  # starts a Python a step
@pytest.mark.parametrize(
    ("kind", "step"), [("book", 2), ("book", 4), ("cancel", 2), ("reschedule", 3), ("reschedule", 5)]
)
async def test_a_real_process_killed_with_signal_9(
    scene: Any, sandbox: Sandbox, database: Database, kind: str, step: int
) -> None:
    """After the slot is taken, after the appointment is written, after each of the writes that move one."""
    story = await scene(kind)
    words = [
        sandbox.base_url,
        database.url,
        story.tenant,
        kind,
        story.key,
        story.slot,
        story.appointment or "",
        str(step),
    ]
    died = await asyncio.to_thread(
        subprocess.run, [sys.executable, str(Path(__file__)), *words], timeout=60, check=False, capture_output=True
    )
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()[-2000:]
    assert await story.state() == "pending"
    assert isinstance(await story.resume(), DONE[kind])
    await story.granted()


async def test_the_ehr_is_killed_and_comes_back(database: Database, tenant: str, now: datetime, tmp_path: Path) -> None:
    own = start_sandbox(tmp_path)
    ehr = Ehr(own.base_url, zone=ZONE, timeout=2)
    try:
        [wanted] = await offer(ehr, specialty="endocrinology", now=now, count=1)
        own.kill()
        waiting = await act(database, ehr, tenant, "book", "k", wanted.slot_id, None, now)
        assert waiting == writes.Waiting("k")
        own = start_sandbox(tmp_path, port=int(own.base_url.split(":")[2].split("/")[0]))
        story = Scene(database, ehr, tenant, "book", "k", wanted.slot_id, None, None, now)
        assert isinstance(await story.resume(), booking.Booked)
        await story.granted()
    finally:
        await ehr.close()
        own.stop()


async def _be_killed(
    url: str, database: str, tenant: str, kind: str, key: str, slot: str, appointment: str, step: str
) -> None:
    mortal = Mortal(url, int(step), "after", really=True)
    await act(Database(database), mortal, tenant, kind, key, slot, appointment or None, datetime.now(UTC))


if __name__ == "__main__":
    asyncio.run(_be_killed(*sys.argv[1:]))
