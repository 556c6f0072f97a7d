"""A note for the record takes the form that the EHR accepts, is valid FHIR, and says which one it replaces."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from carethread.ehr.client import Ehr
from carethread.ehr.errors import EhrUnavailable
from carethread.ehr.summaries import NoteKind, note, note_kind
from carethread.ehr.writes import marked, problems, written_ids

NOW = datetime(2026, 11, 22, 15, tzinfo=UTC)


class Server(Ehr):
    """An EHR that answers `/metadata` with what it can create, or not at all."""

    def __init__(self, *creates: str) -> None:
        self.creates: tuple[str, ...] | None = creates
        self.asked = 0

    async def metadata(self) -> dict[str, Any]:
        self.asked += 1
        if self.creates is None:
            raise EhrUnavailable("no answer in time")
        resources = [{"type": kind, "interaction": [{"code": "create"}]} for kind in self.creates]
        rest = [{"mode": "server", "resource": resources}]
        return {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "rest": rest}


@pytest.mark.parametrize(
    ("creates", "kind"),
    [
        (("DocumentReference", "Communication"), "DocumentReference"),
        (("Communication", "Observation"), "Communication"),
        (("Observation",), "DocumentReference"),  # the ledger then holds the refusal, for staff to see
    ],
)
async def test_the_kind_is_what_the_ehr_creates(creates: tuple[str, ...], kind: str) -> None:
    assert await note_kind(Server(*creates), NOW) == kind


async def test_it_is_asked_once_an_hour_and_silence_changes_nothing() -> None:
    server = Server("Communication")
    assert [await note_kind(server, NOW + timedelta(minutes=m)) for m in (0, 5, 59)] == ["Communication"] * 3
    assert server.asked == 1
    server.creates = None
    assert await note_kind(server, NOW + timedelta(hours=2)) == "Communication"
    silent = Server()
    silent.creates = None
    assert await note_kind(silent, NOW) == "DocumentReference"


@pytest.mark.parametrize("kind", ["DocumentReference", "Communication"])
def test_a_note_is_valid_and_carries_its_text(kind: NoteKind) -> None:
    made = note(kind, tenant="t", patient_id="p", title="Title", text="¿Fiebre? sí", now=NOW)
    assert problems(marked(made, "t", "key")) == []
    assert made["subject"] == {"reference": "Patient/p"}
    if kind == "Communication":
        assert made["payload"] == [{"contentString": "¿Fiebre? sí"}]
    else:
        assert base64.b64decode(made["content"][0]["attachment"]["data"]).decode() == "¿Fiebre? sí"


@pytest.mark.parametrize(("kind", "where"), [("DocumentReference", "relatesTo"), ("Communication", "inResponseTo")])
def test_a_later_note_points_at_the_one_it_replaces(kind: NoteKind, where: str) -> None:
    first = marked(note(kind, tenant="t", patient_id="p", title="T", text="1", now=NOW), "t", "in:1:note")
    second = note(kind, tenant="t", patient_id="p", title="T", text="2", now=NOW, replaces="in:1:note")
    assert problems(second) == []
    [pointer] = second[where]
    target = pointer["target"] if kind == "DocumentReference" else pointer
    assert {target["identifier"]["value"]} == written_ids(first)
    assert where not in first
