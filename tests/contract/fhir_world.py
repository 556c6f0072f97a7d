"""A small world of resources for search tests: for each thing to be found, others that differ in one respect."""

from __future__ import annotations

from typing import Any

from fhir_http import Json

ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
MRN = "https://example.org/mrn"
CVX = "http://hl7.org/fhir/sid/cvx"
LOINC = "http://loinc.org"
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
SNOMED = "http://snomed.info/sct"


def world(tag: str) -> list[Json]:
    """Every resource, its id ending in `-{tag}`, in an order in which references resolve."""
    return [
        *_people(tag),
        *_calendar(tag),
        *_appointments(tag),
        *_encounters(tag),
        *_conversation(tag),
        *_work(tag),
        *_chart(tag),
    ]


def phone(tag: str, number: int) -> str:
    """A fictional number that no other run uses: digits of the tag, then the number."""
    digits = str(int(tag[1:], 16))[:8].rjust(8, "0")
    return f"+1999{digits[:6]}{number}"


def _r(kind: str, name: str, tag: str, /, **elements: Any) -> Json:
    return {"resourceType": kind, "id": f"{name}-{tag}", **elements}


def _to(kind: str, name: str, tag: str) -> Json:
    return {"reference": f"{kind}/{name}-{tag}"}


def _cc(system: str, code: str, display: str | None = None) -> Json:
    coding = {"system": system, "code": code}
    return {"coding": [{**coding, "display": display} if display else coding]}


def _people(tag: str) -> list[Json]:
    def person(name: str, family: str, given: str, born: str, number: int) -> Json:
        return _r(
            "Patient",
            name,
            tag,
            identifier=[{"system": MRN, "value": f"{name}{tag}"}],
            name=[{"family": f"{family}{tag}", "given": [given]}],
            birthDate=born,
            gender="female",
            telecom=[
                {"system": "phone", "value": phone(tag, number), "use": "mobile"},
                {"system": "email", "value": f"{name}.{tag}@example.org"},
            ],
        )

    def guardian(name: str, family: str, born: str, child: str, number: int) -> Json:
        return _r(
            "RelatedPerson",
            name,
            tag,
            patient=_to("Patient", child, tag),
            name=[{"family": f"{family}{tag}", "given": ["Pat"]}],
            birthDate=born,
            telecom=[{"system": "phone", "value": phone(tag, number)}],
        )

    def late(name: str, family: str, **death: str) -> Json:
        return _r("Patient", name, tag, name=[{"family": f"{family}{tag}"}], birthDate="1930-01-01", **death)

    return [
        person("ann", "Probe", "Ann", "1980-03-04", 1),
        person("ben", "Probe", "Ben", "1981-03-04", 1),  # shares Ann's name and phone
        person("cal", "Other", "Ann", "1980-03-04", 2),  # shares Ann's birth date
        person("kid", "Small", "Kid", "2018-01-01", 9),
        guardian("guardian", "Guardian", "1985-05-05", "kid", 3),
        guardian("namesake", "Guardian", "1986-06-06", "cal", 4),
        guardian("aunt", "Aunt", "1985-05-05", "cal", 5),
        late("gone", "Gone", deceasedDateTime="2026-01-01T10:00:00Z"),
        late("widow", "Gone"),
        late("neighbour", "Late", deceasedDateTime="2026-01-01T10:00:00Z"),
    ]


def _calendar(tag: str) -> list[Json]:
    found: list[Json] = []
    for name, system in (("doc", f"skin{tag}"), ("dan", f"heart{tag}"), ("eve", f"eyes{tag}")):
        found += [
            _r("Practitioner", name, tag, name=[{"family": f"{name.title()}{tag}"}]),
            _r(
                "PractitionerRole",
                f"role-{name}",
                tag,
                active=True,
                practitioner=_to("Practitioner", name, tag),
                specialty=[_cc("https://example.org/specialty", system, system)],
            ),
            _r("Schedule", f"of-{name}", tag, active=True, actor=[_to("Practitioner", name, tag)]),
        ]
    for day in range(1, 7):
        found.append(_slot(f"slot{day}", "of-doc", tag, "free" if day % 2 else "busy", day))
    found.append(_slot("slot-dan-taken", "of-dan", tag, "busy", 3))
    found += [_slot(f"slot-{name}", f"of-{name}", tag, "free", 3) for name in ("dan", "eve")]
    return found


def _slot(name: str, schedule: str, tag: str, status: str, day: int) -> Json:
    start, end = f"2031-12-{day:02}T09:00:00-06:00", f"2031-12-{day:02}T09:30:00-06:00"
    return _r("Slot", name, tag, schedule=_to("Schedule", schedule, tag), status=status, start=start, end=end)


def _appointments(tag: str) -> list[Json]:
    def visit(name: str, who: str, doctor: str, status: str, day: str, *slot: str) -> Json:
        actors = [_to("Patient", who, tag), _to("Practitioner", doctor, tag)]
        return _r(
            "Appointment",
            name,
            tag,
            status=status,
            start=f"{day}T09:00:00Z",
            end=f"{day}T09:30:00Z",
            slot=[_to("Slot", s, tag) for s in slot] or [_to("Slot", "slot-dan", tag)],
            participant=[{"actor": actor, "status": "accepted"} for actor in actors],
        )

    return [
        visit("next", "ann", "doc", "booked", "2031-12-02", "slot2"),
        visit("later", "ann", "dan", "booked", "2031-12-20"),
        visit("dropped", "ann", "doc", "cancelled", "2031-12-05"),
        visit("past", "ann", "doc", "booked", "2025-10-01"),
        visit("bens", "ben", "doc", "booked", "2031-12-02"),
        visit("missed", "cal", "doc", "noshow", "2025-12-02"),
    ]


def _encounters(tag: str) -> list[Json]:
    def stay(name: str, who: str, status: str, kind: str, day: str) -> Json:
        return _r(
            "Encounter",
            name,
            tag,
            status=status,
            **{"class": {"system": ACT, "code": kind}},
            subject=_to("Patient", who, tag),
            period={"start": f"{day}T08:00:00Z", "end": f"{day}T12:00:00Z"},
        )

    return [
        stay("home", "ann", "finished", "IMP", "2031-11-10"),
        stay("inside", "ann", "in-progress", "IMP", "2031-11-11"),
        stay("office", "ann", "finished", "AMB", "2031-11-12"),
        stay("long-ago", "ann", "finished", "IMP", "2025-01-10"),
        stay("bens-stay", "ben", "finished", "IMP", "2031-11-10"),
    ]


def _conversation(tag: str) -> list[Json]:
    url = f"https://example.org/questionnaire/{tag}"
    found = [
        _r(
            "Questionnaire",
            name,
            tag,
            url=f"{url}/{name}",
            status="active",
            item=[{"linkId": "1", "text": "Pain?", "type": "boolean"}],
        )
        for name in ("pain", "mood")
    ]
    for name, who, form, status, day in (
        ("answers", "ann", "pain", "completed", "2031-11-15"),
        ("half", "ann", "pain", "in-progress", "2031-11-16"),
        ("moods", "ann", "mood", "completed", "2031-11-15"),
        ("older", "ann", "pain", "completed", "2025-11-15"),
        ("bens-answers", "ben", "pain", "completed", "2031-11-15"),
    ):
        found.append(
            _r(
                "QuestionnaireResponse",
                name,
                tag,
                questionnaire=f"{url}/{form}",
                status=status,
                subject=_to("Patient", who, tag),
                authored=f"{day}T10:00:00Z",
                encounter=_to("Encounter", "home" if name == "answers" else "office", tag),
                item=[{"linkId": "1", "answer": [{"valueBoolean": True}]}],
            )
        )
    return found


def _work(tag: str) -> list[Json]:
    def told(name: str, who: str, day: str) -> Json:
        payload = [{"contentString": "x"}]
        return _r(
            "Communication", name, tag, status="completed", subject=_to("Patient", who, tag), sent=day, payload=payload
        )

    def to_tell(name: str, who: str, status: str, day: str) -> Json:
        subject = _to("Patient", who, tag)
        return _r("CommunicationRequest", name, tag, status=status, subject=subject, occurrenceDateTime=day)

    def flag(name: str, who: str, status: str) -> Json:
        return _r("Flag", name, tag, status=status, code={"text": "x"}, subject=_to("Patient", who, tag))

    def task(name: str, who: str, owner: str, status: str) -> Json:
        whom = {"for": _to("Patient", who, tag)}
        return _r("Task", name, tag, status=status, intent="order", owner=_to("Practitioner", owner, tag), **whom)

    def due(name: str, who: str, status: str, day: str, code: str = "24623002") -> Json:
        return _r(
            "ServiceRequest",
            name,
            tag,
            status=status,
            intent="plan",
            subject=_to("Patient", who, tag),
            code=_cc(SNOMED, code),
            occurrenceDateTime=day,
        )

    return [
        told("ann-told", "ann", "2031-11-15T10:00:00Z"),
        told("ann-old-news", "ann", "2025-01-01"),
        told("ben-told", "ben", "2031-11-15T10:00:00Z"),
        to_tell("ann-to-tell", "ann", "active", "2031-11-20T10:00:00Z"),
        to_tell("ann-was-to-tell", "ann", "completed", "2025-11-20T10:00:00Z"),
        to_tell("ben-to-tell", "ben", "active", "2031-11-20T10:00:00Z"),
        flag("ann-flag", "ann", "active"),
        flag("ann-old-flag", "ann", "inactive"),
        flag("ben-flag", "ben", "active"),
        task("ann-task", "ann", "doc", "requested"),
        task("ben-done", "ben", "doc", "completed"),
        task("ben-task", "ben", "dan", "requested"),
        due("ann-due", "ann", "active", "2031-10-01"),
        due("ann-done", "ann", "completed", "2033-10-01"),
        due("ben-due", "ben", "active", "2032-10-01"),
        due("ben-other", "ben", "active", "2032-10-01", "73761001"),
        due("cal-due", "cal", "active", "2031-10-01"),
    ]


def _pulse(name: str, who: str, tag: str, day: int, value: int) -> Json:
    return _r(
        "Observation",
        name,
        tag,
        status="final",
        code=_cc(LOINC, "8867-4"),
        subject=_to("Patient", who, tag),
        effectiveDateTime=f"2031-11-{day:02}T08:00:00Z",
        valueQuantity={"value": value, "unit": "/min"},
    )


def _chart(tag: str) -> list[Json]:
    found = [_pulse(f"obs{day:02}", "ann", tag, day, 59 + day) for day in range(1, 13)]
    found.append(_pulse("bens-obs", "ben", tag, 11, 99))
    found.append({**_pulse("breaths", "ann", tag, 11, 14), "code": _cc(LOINC, "9279-1")})
    for who in ("ann", "ben"):
        subject = _to("Patient", who, tag)
        found += [
            _r(
                "Condition",
                f"{who}-condition",
                tag,
                clinicalStatus=_cc(CLINICAL, "active"),
                subject=subject,
                code=_cc(SNOMED, "44054006"),
            ),
            _r(
                "Immunization",
                f"{who}-shot",
                tag,
                status="completed",
                vaccineCode=_cc(CVX, "140"),
                patient=subject,
                occurrenceDateTime="2031-10-01",
            ),
            _r(
                "MedicationRequest",
                f"{who}-medicine",
                tag,
                status="active",
                intent="order",
                medicationCodeableConcept={"text": "x"},
                subject=subject,
                authoredOn="2031-10-01",
            ),
            _r("CarePlan", f"{who}-plan", tag, status="active", intent="plan", subject=subject),
            _r(
                "RiskAssessment",
                f"{who}-risk",
                tag,
                status="final",
                subject=subject,
                occurrenceDateTime="2031-11-15",
                prediction=[{"probabilityDecimal": 0.3}],
            ),
            _consent(f"{who}-consent", who, tag, "active"),
            _r("Group", f"{who}-group", tag, type="person", actual=True, member=[{"entity": subject}]),
            _document(f"{who}-document", who, tag, "34133-9"),
        ]
    found += [
        _r(
            "Condition",
            "ann-healed",
            tag,
            clinicalStatus=_cc(CLINICAL, "resolved"),
            subject=_to("Patient", "ann", tag),
            code=_cc(SNOMED, "44054006"),
        ),
        _r(
            "Immunization",
            "ann-other-shot",
            tag,
            status="completed",
            vaccineCode=_cc(CVX, "08"),
            patient=_to("Patient", "ann", tag),
            occurrenceDateTime="2031-10-01",
        ),
        _r(
            "MedicationRequest",
            "ann-old-medicine",
            tag,
            status="active",
            intent="order",
            medicationCodeableConcept={"text": "x"},
            subject=_to("Patient", "ann", tag),
            authoredOn="2024-10-01",
        ),
        _r("CarePlan", "ann-old-plan", tag, status="completed", intent="plan", subject=_to("Patient", "ann", tag)),
        _consent("ann-old-consent", "ann", tag, "inactive"),
        _document("ann-other-document", "ann", tag, "11506-3"),
    ]
    return found


def _consent(name: str, who: str, tag: str, status: str) -> Json:
    return _r(
        "Consent",
        name,
        tag,
        status=status,
        scope=_cc("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"),
        category=[{"text": "text messages"}],
        patient=_to("Patient", who, tag),
        policyRule={"text": "x"},
    )


def _document(name: str, who: str, tag: str, code: str) -> Json:
    return _r(
        "DocumentReference",
        name,
        tag,
        status="current",
        subject=_to("Patient", who, tag),
        type=_cc(LOINC, code),
        content=[{"attachment": {"contentType": "text/plain", "data": "eA=="}}],
    )
