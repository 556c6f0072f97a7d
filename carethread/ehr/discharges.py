"""Who left hospital lately: what starts a check-in after discharge."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from carethread.ehr.client import Ehr
from carethread.ehr.elements import codes, label, moment, reference_id

INPATIENT = ("IMP", "ACUTE", "NONAC")  # http://terminology.hl7.org/CodeSystem/v3-ActCode
# Where a patient went. Only these go home; a nursing facility or another hospital has its own people to ask.
# http://terminology.hl7.org/CodeSystem/discharge-disposition
HOME = frozenset({"home", "alt-home"})
_UTC = ZoneInfo("UTC")
# A stay may be closed in the EHR days after the patient left; the search looks at when it was.
_CODES = ",".join(INPATIENT)


@dataclass(frozen=True, slots=True)
class Discharge:
    """One finished hospital stay."""

    encounter_id: str
    patient_id: str
    discharged_at: datetime
    reason: str = field(repr=False)
    # Code of where the patient went; None when the EHR does not say.
    disposition: str | None = None

    @property
    def went_home(self) -> bool:
        """Whether the patient is at home; taken to be so when nothing else is said."""
        return self.disposition is None or self.disposition in HOME


async def recent_discharges(ehr: Ehr, since: datetime, now: datetime) -> list[Discharge]:
    """Inpatient stays that ended from `since` up to `now`, oldest first."""
    records = await ehr.search(
        "Encounter",
        {"class": _CODES, "status": "finished", "date": f"ge{_instant(since - timedelta(days=1))}"},
    )
    found = []
    for record in records:
        if record.type != "Encounter":
            continue
        discharge = _discharge(record.model)
        if discharge is not None and since <= discharge.discharged_at <= now:
            found.append(discharge)
    return sorted(found, key=lambda d: (d.discharged_at, d.encounter_id))


def _discharge(model: Any) -> Discharge | None:
    patient_id = reference_id(model.subject, "Patient")
    end = moment(model.period.end, _UTC) if model.period is not None else None
    if patient_id is None or end is None:
        return None
    place = codes(model.hospitalization.dischargeDisposition) if model.hospitalization is not None else ()
    return Discharge(str(model.id), patient_id, end, label(model.reasonCode), place[0] if place else None)


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
