"""The search parameters of R4 that this product asks for and sekmet-fhir lacks, and range search that stays fast."""

from __future__ import annotations

import threading
from typing import Any

from sekmet.fhir import indexer, store
from sekmet.fhir.search import SearchEngine
from sekmet.fhir.search_params import PARAMS, SearchParam, get_param

# type: name:kind:path[|path][:target]. Names and paths are those of http://hl7.org/fhir/R4/searchparameter-registry.html
ADDED: dict[str, str] = {
    "Patient": """
        death-date:date:deceasedDateTime
        language:token:communication.language
        address-state:string:address.state
        address-use:token:address.use
    """,
    "RelatedPerson": """
        active:token:active
        birthdate:date:birthDate
        gender:token:gender
        phone:token:telecom[phone]
        email:token:telecom[email]
        telecom:token:telecom
        address:string:address
        address-postalcode:string:address.postalCode
    """,
    "Practitioner": """
        phone:token:telecom[phone]
        email:token:telecom[email]
        gender:token:gender
        communication:token:communication
    """,
    "PractitionerRole": """
        phone:token:telecom[phone]
        email:token:telecom[email]
        telecom:token:telecom
        date:date:period
    """,
    "Location": """
        address:string:address
        address-city:string:address.city
        address-postalcode:string:address.postalCode
    """,
    "Organization": """
        address:string:address
        address-postalcode:string:address.postalCode
    """,
    "Encounter": """
        diagnosis:reference:diagnosis.condition
        reason-reference:reference:reasonReference
    """,
    "Questionnaire": """
        url:uri:url
        version:token:version
        status:token:status
        name:string:name
        title:string:title
        identifier:token:identifier
        date:date:date
        publisher:string:publisher
        subject-type:token:subjectType
        code:token:item.code
    """,
    "QuestionnaireResponse": """
        identifier:token:identifier
        questionnaire:uri:questionnaire
        status:token:status
        authored:date:authored
        subject:reference:subject
        patient:reference:subject:Patient
        encounter:reference:encounter
        author:reference:author
        source:reference:source
        based-on:reference:basedOn
        part-of:reference:partOf
    """,
    "Communication": """
        medium:token:medium
        instantiates-uri:uri:instantiatesUri
    """,
    "CommunicationRequest": """
        occurrence:date:occurrenceDateTime|occurrencePeriod
        priority:token:priority
        category:token:category
        medium:token:medium
        sender:reference:sender
        based-on:reference:basedOn
        group-identifier:token:groupIdentifier
    """,
    "ServiceRequest": """
        body-site:token:bodySite
        performer-type:token:performerType
        instantiates-uri:uri:instantiatesUri
    """,
    "CarePlan": """
        condition:reference:addresses
        care-team:reference:careTeam
        goal:reference:goal
        part-of:reference:partOf
        instantiates-canonical:uri:instantiatesCanonical
        instantiates-uri:uri:instantiatesUri
    """,
    "CareTeam": """
        identifier:token:identifier
        status:token:status
        category:token:category
        subject:reference:subject
        patient:reference:subject:Patient
        participant:reference:participant.member
        encounter:reference:encounter
        date:date:period
    """,
    "Goal": """
        identifier:token:identifier
        lifecycle-status:token:lifecycleStatus
        category:token:category
        subject:reference:subject
        patient:reference:subject:Patient
        start-date:date:startDate
        target-date:date:target.dueDate
    """,
    "RiskAssessment": """
        identifier:token:identifier
        date:date:occurrenceDateTime|occurrencePeriod
        subject:reference:subject
        patient:reference:subject:Patient
        condition:reference:condition
        encounter:reference:encounter
        performer:reference:performer
        method:token:method
        risk:token:prediction.qualitativeRisk
        probability:number:prediction.probabilityDecimal
    """,
    "Immunization": """
        status-reason:token:statusReason
        reason-code:token:reasonCode
        target-disease:token:protocolApplied.targetDisease
        series:string:protocolApplied.series
    """,
    "ImmunizationRecommendation": """
        identifier:token:identifier
        patient:reference:patient
        date:date:date
        status:token:recommendation.forecastStatus
        vaccine-type:token:recommendation.vaccineCode
        target-disease:token:recommendation.targetDisease
    """,
    "DocumentReference": """
        description:string:description
        event:token:context.event
        custodian:reference:custodian
        authenticator:reference:authenticator
        relation:token:relatesTo.code
        language:token:content.attachment.language
    """,
    "Flag": "author:reference:author",
    "Consent": """
        scope:token:scope
        actor:reference:provision.actor.reference
        consentor:reference:performer
        organization:reference:organization
        period:date:provision.period
    """,
    "Group": """
        code:token:code
        actual:token:actual
        characteristic:token:characteristic.code
        managing-entity:reference:managingEntity
        value:token:characteristic.valueCodeableConcept|characteristic.valueBoolean
    """,
    "List": """
        identifier:token:identifier
        status:token:status
        code:token:code
        date:date:date
        title:string:title
        subject:reference:subject
        patient:reference:subject:Patient
        source:reference:source
        item:reference:entry.item
        encounter:reference:encounter
    """,
}

# A parameter of these kinds picks few enough resources to drive a query; the rest are then tested one by one.
SELECTIVE_TOKENS = {"identifier", "phone", "email", "telecom"}


def extend() -> None:
    """Adds the parameters to sekmet's table and teaches its indexer R4's `Patient?deceased`. Safe to call again."""
    for resource_type, block in ADDED.items():
        params = PARAMS.setdefault(resource_type, {})
        for line in block.split():
            name, kind, paths, *target = line.split(":")
            params[name] = SearchParam(name, kind, tuple(paths.split("|")), target[0] if target else None)
    store.extract = extract


def extract(resource: dict[str, Any]) -> list[indexer.IndexRow]:
    """The index rows of a resource."""
    rows: list[indexer.IndexRow] = indexer.extract(resource)
    if resource["resourceType"] == "Patient" and "deceasedBoolean" not in resource:
        # deceased=true means a boolean true or any date of death
        rows.append(indexer.IndexRow("deceased", code=str("deceasedDateTime" in resource).lower()))
    return rows


class SandboxSearch(SearchEngine):  # type: ignore[misc]
    """Tests ranges and low-cardinality codes per candidate, once a reference or identifier has narrowed the search.

    sekmet turns every condition into `id IN (all ids that match)`; `Slot?schedule=…&start=ge…&status=free` would then
    collect every free slot of the clinic three times over.
    """

    def __init__(self, store: Any) -> None:
        super().__init__(store)
        self._query = threading.local()  # requests are served by a pool of threads

    def build_where(
        self, rtype: str, params: list[tuple[str, str]], strict: bool, issues: list[Any], used: list[Any]
    ) -> tuple[str, list[Any]]:
        """The WHERE clause of a search and its arguments."""
        self._query.narrowed = any(self._selective(rtype, key) for key, _ in params)
        found: tuple[str, list[Any]] = super().build_where(rtype, params, strict, issues, used)
        return found

    def _selective(self, rtype: str, key: str) -> bool:
        name = key.partition(":")[0].partition(".")[0]
        param = get_param(rtype, name)
        return name == "_id" or name in SELECTIVE_TOKENS or (param is not None and param.kind == "reference")

    def _condition(self, alias: str, rtype: str, key: str, value: str, aliases: Any) -> tuple[str, list[Any]]:
        found: tuple[str, list[Any]] = super()._condition(alias, rtype, key, value, aliases)
        sql, args = found
        param = get_param(rtype, key)  # None for a key with a modifier or a chain
        if (
            param is None
            or alias != "r"
            or not self._query.narrowed
            or param.kind not in ("date", "number", "token")
            or key in SELECTIVE_TOKENS
        ):
            return found
        head, marker, tests = sql.partition(" AND (")
        if not marker or not head.startswith(f"{alias}.id IN (SELECT "):
            return found
        index = head.removeprefix(f"{alias}.id IN (SELECT ").split(".", 1)[0]
        per_row = (
            f"EXISTS (SELECT 1 FROM idx {index} INDEXED BY idx_res WHERE {index}.type=? AND {index}.id={alias}.id "
            f"AND {index}.param=? AND ({tests}"
        )
        return per_row, args
