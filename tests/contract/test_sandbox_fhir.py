"""What this product relies on from any FHIR R4 server: reading, writing, and who wins when two write at once.

Runs against the sandbox EHR, or against the base URL in CARETHREAD_CONTRACT_FHIR_URL.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue

import pytest
import requests
from fhir_http import Fhir, Json, is_outcome, patient, transaction
from fhir_world import MRN

from sandbox.ehr.testing import start_sandbox

pytestmark = pytest.mark.server

IN_PARALLEL = 20
NEEDED_TYPES = """
    Patient RelatedPerson Practitioner PractitionerRole Location Schedule Slot Appointment Encounter Questionnaire
    QuestionnaireResponse Communication CommunicationRequest Flag Task ServiceRequest Observation Condition Immunization
    MedicationRequest CarePlan Consent Group RiskAssessment DocumentReference Subscription
"""


def _with_mrn(family: str, mrn: str) -> Json:
    return patient(family, identifier=[{"system": MRN, "value": mrn}])


@pytest.fixture
def slot(fhir: Fhir, tag: str) -> Json:
    """A free slot of its own."""
    doctor = fhir.made({"resourceType": "Practitioner", "name": [{"family": tag}]})
    schedule = fhir.made(
        {"resourceType": "Schedule", "active": True, "actor": [{"reference": f"Practitioner/{doctor['id']}"}]}
    )
    return fhir.made(
        {
            "resourceType": "Slot",
            "schedule": {"reference": f"Schedule/{schedule['id']}"},
            "status": "free",
            "start": "2031-12-01T09:00:00-06:00",
            "end": "2031-12-01T09:30:00-06:00",
        }
    )


class TestCapabilities:
    def test_says_r4_and_every_type_we_use(self, fhir: Fhir) -> None:
        statement = fhir.call("GET", "metadata").json()
        assert statement["fhirVersion"].startswith("4.0")
        assert set(NEEDED_TYPES.split()) <= {resource["type"] for resource in statement["rest"][0]["resource"]}

    def test_advertises_the_search_parameters_it_answers(self, fhir: Fhir) -> None:
        statement = fhir.call("GET", "metadata").json()
        params = {r["type"]: {p["name"] for p in r["searchParam"]} for r in statement["rest"][0]["resource"]}
        assert {"phone", "birthdate", "name", "identifier"} <= params["Patient"]
        assert {"phone", "patient"} <= params["RelatedPerson"]
        assert {"questionnaire", "patient", "authored"} <= params["QuestionnaireResponse"]


class TestReadAndWrite:
    def test_create_gives_id_location_and_version(self, fhir: Fhir, tag: str) -> None:
        answer = fhir.create(patient(tag))
        assert answer.status_code == 201
        body = answer.json()
        assert f"Patient/{body['id']}" in answer.headers["Location"]
        assert answer.headers["ETag"] == f'W/"{body["meta"]["versionId"]}"'
        assert fhir.call("GET", f"Patient/{body['id']}").json()["name"][0]["family"] == tag

    def test_a_client_may_choose_the_id_by_put(self, fhir: Fhir, tag: str) -> None:
        assert fhir.put({**patient(tag), "id": tag}).status_code == 201
        assert fhir.call("GET", f"Patient/{tag}").json()["id"] == tag

    def test_unknown_is_404_with_an_outcome(self, fhir: Fhir, tag: str) -> None:
        answer = fhir.call("GET", f"Patient/{tag}")
        assert answer.status_code == 404
        assert is_outcome(answer)

    def test_a_put_replaces_the_whole_resource(self, fhir: Fhir, tag: str) -> None:
        made = fhir.made(patient(tag, gender="female"))
        fhir.put({**patient(tag), "id": made["id"]})
        assert "gender" not in fhir.call("GET", f"Patient/{made['id']}").json()

    def test_a_deleted_resource_is_gone_from_reads_and_searches(self, fhir: Fhir, tag: str) -> None:
        made = fhir.made(patient(tag))
        assert fhir.call("DELETE", f"Patient/{made['id']}").status_code in (200, 204)
        assert fhir.call("GET", f"Patient/{made['id']}").status_code in (404, 410)
        assert fhir.ids(f"Patient?family={tag}") == []

    def test_history_keeps_every_version(self, fhir: Fhir, tag: str) -> None:
        made = fhir.made(patient(tag))
        fhir.put({**patient(tag, active=False), "id": made["id"]})
        history = fhir.call("GET", f"Patient/{made['id']}/_history").json()
        versions = [entry["resource"]["meta"]["versionId"] for entry in history["entry"]]
        assert len(set(versions)) == 2
        first = fhir.call("GET", f"Patient/{made['id']}/_history/{made['meta']['versionId']}").json()
        assert "active" not in first

    def test_keeps_extensions_of_elements_and_of_primitives(self, fhir: Fhir, tag: str) -> None:
        note = {"url": "https://example.org/note", "valueString": "kept"}
        made = fhir.made(patient(tag, birthDate="1980", _birthDate={"extension": [note]}, extension=[note]))
        again = fhir.call("GET", f"Patient/{made['id']}").json()
        assert again["_birthDate"]["extension"] == [note]
        assert again["extension"] == [note]


class TestVersions:
    def test_put_with_the_current_version_succeeds_and_a_stale_one_is_refused(self, fhir: Fhir, tag: str) -> None:
        made = fhir.made(patient(tag))
        version = f'W/"{made["meta"]["versionId"]}"'
        changed = {**patient(tag, active=True), "id": made["id"]}
        assert fhir.put(changed, If_Match=version).status_code == 200
        assert fhir.put({**changed, "active": False}, If_Match=version).status_code in (409, 412)
        assert fhir.call("GET", f"Patient/{made['id']}").json()["active"] is True

    def test_json_patch_with_a_stale_version_is_refused_even_if_it_would_not_apply(
        self, fhir: Fhir, slot: Json
    ) -> None:
        version = f'W/"{slot["meta"]["versionId"]}"'
        take = [
            {"op": "test", "path": "/status", "value": "free"},
            {"op": "replace", "path": "/status", "value": "busy"},
        ]
        assert fhir.patch(f"Slot/{slot['id']}", take, If_Match=version).status_code == 200
        assert fhir.patch(f"Slot/{slot['id']}", take, If_Match=version).status_code in (409, 412)
        assert fhir.patch(f"Slot/{slot['id']}", take[1:], If_Match=version).status_code in (409, 412)

    def test_json_patch_whose_test_fails_changes_nothing(self, fhir: Fhir, slot: Json) -> None:
        operations = [
            {"op": "replace", "path": "/comment", "value": "changed"},
            {"op": "test", "path": "/status", "value": "busy"},
        ]
        operations[0]["op"] = "add"
        assert 400 <= fhir.patch(f"Slot/{slot['id']}", operations).status_code < 500
        after = fhir.call("GET", f"Slot/{slot['id']}").json()
        assert "comment" not in after
        assert after["meta"]["versionId"] == slot["meta"]["versionId"]

    def test_patch_touches_only_what_it_names(self, fhir: Fhir, tag: str) -> None:
        made = fhir.made(patient(tag, gender="female", birthDate="1980-01-01"))
        answer = fhir.patch(f"Patient/{made['id']}", [{"op": "replace", "path": "/birthDate", "value": "1981-01-01"}])
        assert answer.status_code == 200
        after = fhir.call("GET", f"Patient/{made['id']}").json()
        assert (after["birthDate"], after["gender"], after["name"]) == ("1981-01-01", "female", made["name"])


class TestConditions:
    def test_a_repeated_conditional_create_returns_the_first(self, fhir: Fhir, tag: str) -> None:
        condition = {"If_None_Exist": f"identifier={MRN}|{tag}"}
        first, second = (fhir.create(_with_mrn(tag, tag), **condition) for _ in range(2))
        assert (first.status_code, second.status_code) == (201, 200)
        assert fhir.ids(f"Patient?identifier={MRN}|{tag}") == [first.json()["id"]]

    def test_conditional_creates_at_once_make_one_resource(self, fhir: Fhir, tag: str) -> None:
        def create(_: int) -> int:
            return Fhir(fhir.base_url).create(_with_mrn(tag, tag), If_None_Exist=f"identifier={MRN}|{tag}").status_code

        with ThreadPoolExecutor(IN_PARALLEL) as pool:
            statuses = Counter(pool.map(create, range(IN_PARALLEL)))
        assert len(fhir.ids(f"Patient?identifier={MRN}|{tag}")) == 1
        assert statuses[201] == 1
        assert set(statuses) <= {200, 201, 409, 412}

    def test_a_condition_that_matches_several_is_refused(self, fhir: Fhir, tag: str) -> None:
        for _ in range(2):
            fhir.made(_with_mrn(tag, tag))
        assert fhir.create(_with_mrn(tag, tag), If_None_Exist=f"identifier={MRN}|{tag}").status_code == 412

    def test_conditional_update_creates_then_replaces(self, fhir: Fhir, tag: str) -> None:
        query = f"Patient?identifier={MRN}|{tag}"
        first = fhir.call("PUT", query, _with_mrn(tag, tag))
        second = fhir.call("PUT", query, {**_with_mrn(tag, tag), "active": True})
        assert (first.status_code, second.status_code) == (201, 200)
        assert [entry["resource"].get("active") for entry in fhir.search(query)["entry"]] == [True]


class TestTransactions:
    def test_links_new_resources_to_each_other(self, fhir: Fhir, tag: str) -> None:
        who = f"urn:uuid:{uuid.uuid4()}"
        flag = {"resourceType": "Flag", "status": "active", "code": {"text": "x"}, "subject": {"reference": who}}
        bundle = transaction(("POST", "Flag", flag), ("POST", "Patient", patient(tag)))
        bundle["entry"][1]["fullUrl"] = who
        answer = fhir.call("POST", "", bundle)
        assert answer.status_code == 200, answer.text
        assert [e["response"]["status"][:3] for e in answer.json()["entry"]] == ["201", "201"]
        [patient_id] = fhir.ids(f"Patient?family={tag}")
        assert len(fhir.ids(f"Flag?patient={patient_id}")) == 1

    def test_a_failing_entry_undoes_all(self, fhir: Fhir, tag: str, slot: Json) -> None:
        stale = transaction(
            ("POST", "Patient", patient(tag)), ("PUT", f"Slot/{slot['id']}", {**slot, "status": "busy"})
        )
        stale["entry"][1]["request"]["ifMatch"] = 'W/"9999"'
        assert fhir.call("POST", "", stale).status_code in (409, 412)
        assert fhir.ids(f"Patient?family={tag}") == []
        assert fhir.call("GET", f"Slot/{slot['id']}").json()["status"] == "free"

    def test_an_invalid_entry_undoes_all(self, fhir: Fhir, tag: str) -> None:
        bundle = transaction(
            ("POST", "Patient", patient(tag)), ("POST", "Patient", {"resourceType": "Patient", "gender": "F"})
        )
        answer = fhir.call("POST", "", bundle)
        assert 400 <= answer.status_code < 500
        assert is_outcome(answer)
        assert fhir.ids(f"Patient?family={tag}") == []

    def test_a_dangling_reference_undoes_all(self, fhir: Fhir, tag: str) -> None:
        nobody = {"reference": f"Patient/{tag}-nobody"}
        flag = {"resourceType": "Flag", "status": "active", "code": {"text": "x"}, "subject": nobody}
        answer = fhir.call("POST", "", transaction(("POST", "Patient", patient(tag)), ("POST", "Flag", flag)))
        assert 400 <= answer.status_code < 500
        assert fhir.ids(f"Patient?family={tag}") == []

    def test_a_batch_answers_for_each_entry(self, fhir: Fhir, tag: str) -> None:
        made = fhir.made(patient(tag))
        bundle = transaction(("GET", f"Patient/{made['id']}", None), ("GET", f"Patient/{tag}", None))
        answer = fhir.call("POST", "", {**bundle, "type": "batch"})
        assert [entry["response"]["status"][:3] for entry in answer.json()["entry"]] == ["200", "404"]


class TestBooking:
    """Two patients can never get the same slot."""

    def test_of_many_patches_of_one_version_one_wins(self, fhir: Fhir, slot: Json) -> None:
        version = f'W/"{slot["meta"]["versionId"]}"'

        def take(_: int) -> int:
            operations = [{"op": "replace", "path": "/status", "value": "busy"}]
            return Fhir(fhir.base_url).patch(f"Slot/{slot['id']}", operations, If_Match=version).status_code

        with ThreadPoolExecutor(IN_PARALLEL) as pool:
            statuses = Counter(pool.map(take, range(IN_PARALLEL)))
        assert statuses[200] == 1
        assert set(statuses) <= {200, 409, 412}
        assert fhir.call("GET", f"Slot/{slot['id']}").json()["status"] == "busy"

    def test_of_many_bookings_in_transactions_one_appointment_remains(self, fhir: Fhir, slot: Json, tag: str) -> None:
        who = fhir.made(patient(tag))
        version = f'W/"{slot["meta"]["versionId"]}"'

        def book(_: int) -> int:
            bundle = transaction(
                ("PUT", f"Slot/{slot['id']}", {**slot, "status": "busy"}),
                ("POST", "Appointment", _appointment(slot, who["id"])),
            )
            bundle["entry"][0]["request"]["ifMatch"] = version
            return Fhir(fhir.base_url).call("POST", "", bundle).status_code

        with ThreadPoolExecutor(IN_PARALLEL) as pool:
            statuses = Counter(pool.map(book, range(IN_PARALLEL)))
        assert statuses[200] == 1
        assert set(statuses) <= {200, 409, 412}
        assert len(fhir.ids(f"Appointment?patient={who['id']}")) == 1


def _appointment(slot: Json, patient_id: str) -> Json:
    return {
        "resourceType": "Appointment",
        "status": "booked",
        "slot": [{"reference": f"Slot/{slot['id']}"}],
        "start": slot["start"],
        "end": slot["end"],
        "participant": [{"actor": {"reference": f"Patient/{patient_id}"}, "status": "accepted"}],
    }


class TestSubscriptions:
    def test_a_rest_hook_hears_of_a_new_match_and_of_nothing_else(self, fhir: Fhir, tag: str) -> None:
        heard: Queue[tuple[str | None, Json]] = Queue()

        class Hook(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"] or 0))
                heard.put((self.headers["X-Secret"], json.loads(body or b"{}")))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Quiet."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            who, other = fhir.made(patient(tag)), fhir.made(patient(tag))
            subscription = fhir.made(
                {
                    "resourceType": "Subscription",
                    "status": "requested",
                    "reason": "contract",
                    "criteria": f"Flag?patient={who['id']}",
                    "channel": {
                        "type": "rest-hook",
                        "endpoint": f"http://127.0.0.1:{server.server_port}/hook",
                        "payload": "application/fhir+json",
                        "header": ["X-Secret: sesame"],
                    },
                }
            )
            for subject in (other, who):
                fhir.made(
                    {
                        "resourceType": "Flag",
                        "status": "active",
                        "code": {"text": "x"},
                        "subject": {"reference": f"Patient/{subject['id']}"},
                    }
                )
            secret, flag = heard.get(timeout=10)
            assert secret == "sesame"
            assert flag["subject"]["reference"] == f"Patient/{who['id']}"
            assert heard.empty()
            fhir.call("DELETE", f"Subscription/{subscription['id']}")
        finally:
            server.shutdown()


class TestSurvival:
    """Of the sandbox itself: what it acknowledged outlives a crash."""

    @pytest.mark.slow  # starts the sandbox twice
    def test_every_acknowledged_write_survives_kill_9(self, own_sandbox: object, tag: str, tmp_path: Path) -> None:
        sandbox = start_sandbox(tmp_path)
        acknowledged: list[str] = []

        def write_until_it_dies() -> None:
            client = Fhir(sandbox.base_url)
            try:
                while True:
                    acknowledged.append(client.made(patient(tag))["id"])
                    if len(acknowledged) == 60:
                        sandbox.process.kill()
            except requests.RequestException:
                return

        with ThreadPoolExecutor(4) as pool:
            for _ in range(4):
                pool.submit(write_until_it_dies)
        sandbox.kill()
        again = start_sandbox(tmp_path)
        try:
            client = Fhir(again.base_url)
            found = set(client.ids(f"Patient?family={tag}&_count=1000"))
            assert len(acknowledged) >= 60
            assert set(acknowledged) <= found
            assert client.ids("Patient?family=L%C3%B3pez&given=Mar%C3%ADa") == ["maria-lopez"]
        finally:
            again.stop()
