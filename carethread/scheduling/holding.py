"""Taking a slot and giving it back, so that no two patients ever hold the same one and nobody's is given away.

A held slot is `busy` and carries the identifier of the write that holds it. Every change names the version it was
decided on; whoever comes second hears of a conflict, reads again and decides again.
"""

from __future__ import annotations

from collections.abc import Collection

from carethread.ehr.client import Ehr, Json, Record
from carethread.ehr.errors import EhrConflict, EhrRefused, EhrUnavailable
from carethread.ehr.writes import WRITE_KEY, written_ids
from carethread.scheduling.appointments import COMING, LIVE

TRIES = 5


async def take(ehr: Ehr, slot_id: str, mark: Json) -> Record | None:
    """Make the slot busy for the write whose identifier is `mark`; None when somebody else has it or it is gone.

    A slot that this write holds already is returned as it is: a crash in between costs nothing.
    """
    for _ in range(TRIES):
        slot = await ehr.read("Slot", slot_id)
        if slot is None:
            return None
        if mark["value"] in written_ids(slot.raw):
            return slot
        if slot.raw.get("status") != "free":
            return None
        try:
            return await ehr.patch(slot.raw, taking(slot.raw, mark))
        except EhrConflict:
            continue
        except EhrRefused:
            # Some servers answer so to a `test` that fails. If nothing has changed, they do mean no.
            again = await ehr.read("Slot", slot_id)
            if again is not None and again.raw.get("status") == "free" and again.version == slot.version:
                raise
    raise EhrUnavailable("PATCH Slot: changed under us each time")


async def give_back(
    ehr: Ehr, slot_id: str, ours: Collection[str], *, appointment_id: str | None = None, unmarked: bool = False
) -> bool:
    """Make the slot free again; False when it is not ours to free.

    Ours is a slot marked by writes in `ours` alone or, with `unmarked`, by none (the clinic booked it before), as long
    as no live appointment but `appointment_id` points at it.
    """
    for _ in range(TRIES):
        slot = await ehr.read("Slot", slot_id)
        if slot is None or slot.raw.get("status") == "free":
            return False
        marks = written_ids(slot.raw)
        if marks - set(ours) or not (marks or unmarked):
            return False
        if await _needed(ehr, slot_id, appointment_id):
            return False
        try:
            await ehr.patch(slot.raw, freeing(slot.raw))
        except EhrConflict:
            continue
        return True
    raise EhrUnavailable("PATCH Slot: changed under us each time")


def taking(slot: Json, mark: Json) -> list[Json]:
    """The JSON Patch that makes a free slot busy and marks it."""
    add: Json = {"op": "add", "path": "/identifier/-", "value": mark}
    if "identifier" not in slot:
        add = {"op": "add", "path": "/identifier", "value": [mark]}
    return [
        {"op": "test", "path": "/status", "value": "free"},
        {"op": "replace", "path": "/status", "value": "busy"},
        add,
    ]


def freeing(slot: Json) -> list[Json]:
    """The JSON Patch that makes a slot free and takes our marks off."""
    held = slot.get("identifier", [])
    places = [i for i, entry in enumerate(held) if entry.get("system") == WRITE_KEY]
    # FHIR has no empty lists; and from the end, so that no index moves.
    paths = ["/identifier"] if places and len(places) == len(held) else [f"/identifier/{i}" for i in places[::-1]]
    status: list[Json] = [
        {"op": "test", "path": "/status", "value": slot["status"]},
        {"op": "replace", "path": "/status", "value": "free"},
    ]
    return status + [{"op": "remove", "path": path} for path in paths]


async def _needed(ehr: Ehr, slot_id: str, appointment_id: str | None) -> bool:
    """Whether a live appointment other than `appointment_id` has the slot."""
    statuses = ",".join(dict.fromkeys((*LIVE, *COMING)))
    found = await ehr.search("Appointment", {"slot": f"Slot/{slot_id}", "status": statuses}, pages=1)
    return any(record.type == "Appointment" and record.id != appointment_id for record in found)
