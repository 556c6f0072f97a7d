"""The ledger of writes on a real database and a real EHR: nothing lost, nothing twice, refusals kept with reasons."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog

from carethread.ehr import writes
from carethread.ehr.client import Ehr
from carethread.storage.database import Database
from carethread.storage.models import EhrWrite
from sandbox.ehr.testing import running_sandbox

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def sandbox_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_sandbox(tmp_path_factory.mktemp("ehr")) as url:
        yield url


@pytest.fixture
async def ehr(sandbox_url: str) -> AsyncIterator[Ehr]:
    ehr = Ehr(sandbox_url)
    yield ehr
    await ehr.close()


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def key() -> str:
    return f"message-{uuid.uuid4()}"


def flag(patient: str = "maria-lopez") -> dict[str, Any]:
    return {
        "resourceType": "Flag",
        "status": "active",
        "code": {"text": "Needs a ride"},
        "subject": {"reference": f"Patient/{patient}"},
    }


def response() -> dict[str, Any]:
    return {
        "resourceType": "QuestionnaireResponse",
        "status": "completed",
        "subject": {"reference": "Patient/maria-lopez"},
        "item": [{"linkId": "1", "answer": [{"valueString": "bien"}]}],
    }


def communication() -> dict[str, Any]:
    return {
        "resourceType": "Communication",
        "status": "completed",
        "subject": {"reference": "Patient/maria-lopez"},
        "payload": [{"contentString": "called back"}],
    }


async def recorded(database: Database, tenant: str, key: str, resource: dict[str, Any], now: datetime) -> EhrWrite:
    async with database.begin(tenant) as session:
        assert await writes.record(session, key, writes.CREATE, {"resource": resource}, now=now)
    row = await writes.load(database, tenant, key)
    assert row is not None
    return row


def provenance() -> dict[str, Any]:
    return {
        "resourceType": "Provenance",
        "target": [{"reference": "Patient/maria-lopez"}],
        "recorded": "2026-01-01T10:00:00Z",
        "agent": [{"who": {"display": "the assistant"}}],
    }


@pytest.mark.parametrize(
    "resource", [flag(), response(), communication(), provenance()], ids=lambda r: r["resourceType"]
)
async def test_what_is_recorded_is_delivered_once(
    database: Database, ehr: Ehr, tenant: str, key: str, now: datetime, resource: dict[str, Any]
) -> None:
    row = await recorded(database, tenant, key, resource, now)
    first = await writes.deliver(database, ehr, tenant, row, now)
    assert isinstance(first, writes.Delivered)
    stored = await ehr.read(first.resource_type, first.resource_id)
    assert stored is not None
    assert {k: v for k, v in stored.raw.items() if k not in ("id", "meta", "identifier")} == resource
    assert writes.written_ids(stored.raw) == {writes.write_id(tenant, key)}
    # The process that delivered it died before it closed the row; two others find it at once.
    again = await asyncio.gather(*(writes.deliver(database, ehr, tenant, row, now) for _ in range(2)))
    assert again == [first, first]
    closed = await writes.load(database, tenant, key)
    assert closed is not None
    assert (closed.state, closed.resource_type, closed.resource_id) == ("done", *_target(first))
    assert await writes.deliver(database, ehr, tenant, closed, now) == first


def _target(delivered: writes.Delivered) -> tuple[str, str]:
    return delivered.resource_type, delivered.resource_id


async def test_a_key_is_recorded_once_and_the_first_stands(database: Database, tenant: str, key: str) -> None:
    now = datetime.now(UTC)
    await recorded(database, tenant, key, flag(), now)
    async with database.begin(tenant) as session:
        assert not await writes.record(session, key, writes.CREATE, {"resource": response()}, now=now)
    row = await writes.load(database, tenant, key)
    assert row is not None
    assert row.payload["resource"]["resourceType"] == "Flag"


async def test_a_write_belongs_to_the_transaction_that_records_it(database: Database, tenant: str, key: str) -> None:
    async def record_and_fail() -> None:
        async with database.begin(tenant) as session:
            await writes.record(session, key, writes.CREATE, {"resource": flag()}, now=datetime.now(UTC))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await record_and_fail()
    assert await writes.load(database, tenant, key) is None


async def test_two_tenants_with_one_key_are_two_writes(
    database: Database, ehr: Ehr, tenant: str, key: str, now: datetime
) -> None:
    delivered = []
    for name in (tenant, f"{tenant}-b"):
        row = await recorded(database, name, key, flag(), now)
        delivered.append(await writes.deliver(database, ehr, name, row, now))
    assert delivered[0] != delivered[1]


async def test_what_is_not_fhir_does_not_leave(
    database: Database, ehr: Ehr, tenant: str, key: str, now: datetime
) -> None:
    broken = {**flag(), "status": 5, "nonsense": True}
    row = await recorded(database, tenant, key, broken, now)
    refused = await writes.deliver(database, ehr, tenant, row, now)
    assert isinstance(refused, writes.Refused)
    assert "nonsense" in refused.reason
    closed = await writes.load(database, tenant, key)
    assert closed is not None
    assert (closed.state, closed.error) == ("refused", refused.reason)
    assert await writes.deliver(database, ehr, tenant, closed, now) == refused


@pytest.mark.parametrize("kind", ["Nonsense", "", None, "Element"])
async def test_what_is_no_resource_at_all_does_not_leave(
    database: Database, ehr: Ehr, tenant: str, key: str, now: datetime, kind: Any
) -> None:
    row = await recorded(database, tenant, key, {"resourceType": kind, "status": "active"}, now)
    refused = await writes.deliver(database, ehr, tenant, row, now)
    assert refused == writes.Refused("not valid FHIR R4: resourceType: not a resource type of R4")


async def test_what_patients_type_can_be_stored_and_sent(
    database: Database, ehr: Ehr, tenant: str, key: str, now: datetime
) -> None:
    """Control characters and halves of emojis arrive on real channels; neither database nor EHR takes them."""
    said = "me duele\x00 \ud83d aquí\x1b[0m \U0001f622\n😀"
    row = await recorded(database, tenant, key, {**flag(), "code": {"text": said}}, now)
    delivered = await writes.deliver(database, ehr, tenant, row, now)
    assert isinstance(delivered, writes.Delivered)
    stored = await ehr.read("Flag", delivered.resource_id)
    assert stored is not None
    assert stored.raw["code"]["text"] == "me duele  aquí[0m \U0001f622\n😀"


async def test_what_the_ehr_refuses_is_kept_with_its_reason_and_not_logged(
    database: Database, ehr: Ehr, tenant: str, key: str, now: datetime
) -> None:
    row = await recorded(database, tenant, key, flag("nobody-of-that-name"), now)
    with structlog.testing.capture_logs() as logs:
        refused = await writes.deliver(database, ehr, tenant, row, now)
    assert isinstance(refused, writes.Refused)
    assert "nobody-of-that-name" in refused.reason
    assert [entry["event"] for entry in logs] == ["ehr.write_refused"]
    assert "nobody-of-that-name" not in str(logs)


async def test_an_ehr_that_is_down_costs_time_and_nothing_else(
    database: Database, ehr: Ehr, tenant: str, key: str, now: datetime
) -> None:
    row = await recorded(database, tenant, key, flag(), now)
    down = Ehr("http://127.0.0.1:9/fhir", timeout=0.5)
    waits = []
    at = now
    for attempt in range(1, 12):
        [due] = await writes.pending(database, tenant, now=at)
        assert due.key == key
        assert await writes.deliver(database, down, tenant, due, at) == writes.Waiting(key)
        late = await writes.load(database, tenant, key)
        assert late is not None
        assert late.attempts == attempt
        assert await writes.pending(database, tenant, now=at) == []
        waits.append(late.retry_at - at)
        at = late.retry_at
    await down.close()
    assert writes.FIRST_WAIT <= waits[0] <= writes.FIRST_WAIT * 1.25
    assert waits[3] > waits[1]
    assert max(waits) <= writes.LONGEST_WAIT * 1.25
    [due] = await writes.pending(database, tenant, now=at + timedelta(days=1))
    assert isinstance(await writes.deliver(database, ehr, tenant, due, at), writes.Delivered)
    assert await writes.pending(database, tenant, now=at + timedelta(days=9)) == []
    assert row.key == key


async def test_pending_is_oldest_first_bounded_and_of_one_tenant(
    database: Database, tenant: str, now: datetime
) -> None:
    for number in range(5):
        await recorded(database, tenant, f"k{number}", flag(), now + timedelta(seconds=number))
    await recorded(database, f"{tenant}-b", "other", flag(), now)
    later = now + timedelta(minutes=1)
    assert [row.key for row in await writes.pending(database, tenant, now=later)] == ["k0", "k1", "k2", "k3", "k4"]
    assert [row.key for row in await writes.pending(database, tenant, now=later, limit=2)] == ["k0", "k1"]
    assert [row.key for row in await writes.pending(database, tenant, now=now)] == ["k0"]


def test_the_identifier_fits_the_type() -> None:
    mark = writes.identifier("t", "k")
    assert writes.marked(response(), "t", "k")["identifier"] == mark
    assert writes.marked(flag(), "t", "k")["identifier"] == [mark]
    own = {**flag(), "identifier": [{"value": "own"}]}
    assert writes.marked(own, "t", "k")["identifier"] == [{"value": "own"}, mark]
    assert own["identifier"] == [{"value": "own"}]
    provenance = {"resourceType": "Provenance", "meta": {"tag": [{"code": "own"}]}}
    tags = [{"code": "own"}, {"system": mark["system"], "code": mark["value"]}]
    assert writes.marked(provenance, "t", "k")["meta"]["tag"] == tags


def test_the_identifier_tells_nothing() -> None:
    assert writes.write_id("riverbend", "message-1") == writes.write_id("riverbend", "message-1")
    assert writes.write_id("riverbend", "message-1") != writes.write_id("riverside", "message-1")
    assert "message" not in writes.write_id("riverbend", "message-1")
