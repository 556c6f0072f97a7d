"""The client against a server that answers as told: slowly, wrongly, elsewhere, in pages, or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import structlog
from fhirclient.models.patient import Patient

from carethread.ehr.client import Ehr, escaped, query
from carethread.ehr.errors import (
    EhrConflict,
    EhrError,
    EhrMalformed,
    EhrNotFound,
    EhrRefused,
    EhrUnauthorized,
    EhrUnavailable,
)
from carethread.ehr.server import JSON_PATCH, LARGEST_BODY, TRIES, SafeServer

Answer = tuple[int, dict[str, str], bytes]


class Stub:
    """A server on this machine: `answer` decides, `seen` remembers."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.answer: Callable[[str, str], Answer] = lambda method, path: fhir(patient())
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                stub.seen.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                status, headers, content = stub.answer(self.command, self.path)
                self.send_response(status)
                for name, value in {"Content-Length": str(len(content)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                with contextlib.suppress(OSError):  # the client had enough
                    self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/fhir"

    def then(self, *answers: Answer) -> None:
        """Answer with these, one a request; the last one from then on."""
        left = list(answers)
        self.answer = lambda method, path: left.pop(0) if len(left) > 1 else left[0]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def fhir(body: Any, status: int = 200, **headers: str) -> Answer:
    return status, {"Content-Type": "application/fhir+json", **headers}, json.dumps(body).encode()


def patient(**more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": "p1", "meta": {"versionId": "7"}, **more}


def bundle(*resources: Any, next_link: str | None = None) -> dict[str, Any]:
    links = [{"relation": "next", "url": next_link}] if next_link else []
    entries = [{"resource": resource} for resource in resources]
    return {"resourceType": "Bundle", "type": "searchset", "link": links, "entry": entries}


def outcome(status: int, text: str = "the text", code: str = "processing") -> Answer:
    issue = {"severity": "error", "code": code, "diagnostics": text, "expression": ["Patient.name"]}
    return fhir({"resourceType": "OperationOutcome", "issue": [issue]}, status)


@pytest.fixture
def stub() -> Iterator[Stub]:
    stub = Stub()
    yield stub
    stub.close()


@pytest.fixture
async def ehr(stub: Stub) -> AsyncIterator[Ehr]:
    ehr = Ehr(stub.url, timeout=2)
    yield ehr
    await ehr.close()


# Reading


async def test_read_and_not_found(stub: Stub, ehr: Ehr) -> None:
    found = await ehr.read("Patient", "p1")
    assert found is not None
    assert (found.reference, found.version, found.model.id) == ("Patient/p1", "7", "p1")
    assert stub.seen[0][1] == "/fhir/Patient/p1"
    for status in (404, 410):
        stub.answer = lambda method, path, status=status: outcome(status)  # type: ignore[misc]
        assert await ehr.read("Patient", "gone") is None


async def test_fhirclients_own_models_work_over_it(stub: Stub) -> None:
    server = SafeServer(stub.url)
    assert Patient.read("p1", server).id == "p1"
    assert Patient({"resourceType": "Patient"}).create(server)["id"] == "p1"
    server.close()


async def test_search_follows_pages_and_sends_the_query_whole(stub: Stub, ehr: Ehr) -> None:
    pages = {
        "1": bundle(patient(id="a"), next_link="/fhir/Patient?page=2"),
        "2": bundle(patient(id="b"), next_link=f"{stub.url}/Patient?page=3"),
        "3": bundle(patient(id="c")),
    }
    stub.answer = lambda method, path: fhir(pages[path[-1] if "page=" in path else "1"])
    found = await ehr.search("Patient", {"name": "O,Neill & Söhne", "birthdate": ["ge2020", "le2021"]})
    assert [record.id for record in found] == ["a", "b", "c"]
    assert stub.seen[0][1] == "/fhir/Patient?_count=200&name=O%2CNeill+%26+S%C3%B6hne&birthdate=ge2020&birthdate=le2021"
    assert stub.seen[0][2]["cache-control"] == "no-cache"


async def test_pages_are_bounded_and_a_circle_is_no_endless_loop(stub: Stub, ehr: Ehr) -> None:
    count = iter(range(1000))
    stub.answer = lambda method, path: fhir(bundle(patient(), next_link=f"/fhir/Patient?page={next(count)}"))
    assert len(await ehr.search("Patient", {}, pages=4)) == 4
    stub.answer = lambda method, path: fhir(bundle(patient(), next_link="/fhir/Patient?page=same"))
    with pytest.raises(EhrMalformed, match="circle"):
        await ehr.search("Patient", {})


async def test_one_odd_entry_does_not_cost_the_others_and_no_content_is_logged(stub: Stub, ehr: Ehr) -> None:
    odd = patient(id="odd", name=[{"family": ["Secretname"]}], birthDate="19th of May")
    notes = {"resourceType": "OperationOutcome", "issue": [{"severity": "warning", "code": "informational"}]}
    stub.answer = lambda method, path: fhir(bundle(patient(id="a"), odd, notes, "nonsense", patient(id="b")))
    with structlog.testing.capture_logs() as logs:
        found = await ehr.search("Patient", {})
    assert [record.id for record in found] == ["a", "b"]
    assert len(logs) == 1
    assert "name" in logs[0]["problem"]
    assert "birthDate" in logs[0]["problem"]
    assert "Secretname" not in str(logs)
    assert "19th" not in str(logs)


async def test_extensions_of_primitives_survive_in_raw(stub: Stub, ehr: Ehr) -> None:
    raw = patient(birthDate="1980-01-01", _birthDate={"extension": [{"url": "u", "valueString": "x"}]})
    stub.answer = lambda method, path: fhir(raw)
    found = await ehr.read("Patient", "p1")
    assert found is not None
    assert found.raw == raw
    assert found.model.birthDate is not None


@pytest.mark.parametrize("content", [b"", b"<html>hello</html>", b"[1]", b'"x"', b"\xff\xfe"])
async def test_what_is_not_fhir_is_said_so(stub: Stub, ehr: Ehr, content: bytes) -> None:
    stub.answer = lambda method, path: (200, {}, content)
    with pytest.raises(EhrMalformed):
        await ehr.read("Patient", "p1")
    with pytest.raises(EhrMalformed):
        await ehr.search("Patient", {})


async def test_an_answer_without_end_is_cut_off(stub: Stub, ehr: Ehr) -> None:
    stub.answer = lambda method, path: (200, {}, b" " * (LARGEST_BODY + 1))
    with pytest.raises(EhrMalformed, match="more than"):
        await ehr.read("Patient", "p1")


# Errors


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, EhrRefused),
        (401, EhrUnauthorized),
        (403, EhrUnauthorized),
        (405, EhrRefused),
        (409, EhrConflict),
        (412, EhrConflict),
        (422, EhrRefused),
        (429, EhrUnavailable),
        (500, EhrUnavailable),
        (503, EhrUnavailable),
    ],
)
async def test_typed_errors_that_tell_staff_but_no_log(stub: Stub, ehr: Ehr, status: int, kind: type[EhrError]) -> None:
    stub.answer = lambda method, path: outcome(status, "María López was born 1968-04-12", "invalid")
    with pytest.raises(kind) as caught:
        await ehr.create(patient(id=None))
    assert type(caught.value) is kind
    assert caught.value.status == status
    assert str(caught.value) == f"POST Patient: {status} (invalid)"
    assert "López" not in repr(caught.value)
    assert "Patient.name María López" in caught.value.reason()


async def test_a_missing_target_of_a_write_is_not_found(stub: Stub, ehr: Ehr) -> None:
    stub.answer = lambda method, path: outcome(404)
    with pytest.raises(EhrNotFound):
        await ehr.patch(patient(), [])


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_refused(stub: Stub, ehr: Ehr, status: int) -> None:
    stub.answer = lambda method, path: (status, {"Location": f"{stub.url}/Patient/other"}, b"")
    with pytest.raises(EhrRefused):
        await ehr.read("Patient", "p1")
    assert len(stub.seen) == 1


async def test_a_link_to_another_origin_gets_no_request_and_no_token(stub: Stub) -> None:
    elsewhere = Stub()
    signed = Ehr(stub.url, auth=Signed())
    try:
        stub.answer = lambda method, path: fhir(bundle(patient(), next_link=f"{elsewhere.url}/Patient?page=2"))
        with pytest.raises(EhrRefused, match="another origin"):
            await signed.search("Patient", {})
        assert stub.seen[0][2]["authorization"] == "Bearer one"
        assert not elsewhere.seen
    finally:
        await signed.close()
        elsewhere.close()


class Signed:
    """A signer whose first token is too old."""

    def __init__(self) -> None:
        self.tokens = ["one", "two"]

    def can_sign_headers(self) -> bool:
        return True

    def signed_headers(self, headers: dict[str, str]) -> dict[str, str]:
        return {**headers, "Authorization": f"Bearer {self.tokens[0]}"}

    def forget(self, headers: Mapping[str, str]) -> None:
        if headers["Authorization"] == f"Bearer {self.tokens[0]}":
            self.tokens.pop(0)


async def test_a_stale_token_is_renewed_once_and_unseen(stub: Stub) -> None:
    signed = Ehr(stub.url, auth=Signed())
    stub.then(outcome(401), fhir(patient()))
    assert await signed.read("Patient", "p1")
    assert [headers["authorization"] for _, _, headers, _ in stub.seen] == ["Bearer one", "Bearer two"]
    stub.then(outcome(401))
    signed._server.auth.tokens += ["three", "four"]
    with pytest.raises(EhrUnauthorized):
        await signed.read("Patient", "p1")
    assert len(stub.seen) == 4
    await signed.close()


# Retries and time


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_a_read_is_tried_again(stub: Stub, ehr: Ehr, status: int) -> None:
    stub.then(outcome(status), outcome(status), fhir(patient()))
    assert await ehr.read("Patient", "p1")
    assert len(stub.seen) == 3


async def test_tries_are_bounded(stub: Stub, ehr: Ehr) -> None:
    stub.then(outcome(503))
    with pytest.raises(EhrUnavailable):
        await ehr.read("Patient", "p1")
    assert len(stub.seen) == TRIES


async def test_a_write_is_sent_once(stub: Stub, ehr: Ehr) -> None:
    stub.then(outcome(503))
    with pytest.raises(EhrUnavailable):
        await ehr.create(patient(id=None))
    with pytest.raises(EhrUnavailable):
        await ehr.patch(patient(), [])
    assert [method for method, *_ in stub.seen] == ["POST", "PATCH"]


async def test_a_wait_longer_than_the_time_left_is_not_waited(stub: Stub, ehr: Ehr) -> None:
    stub.then(fhir({}, 503, **{"Retry-After": "60"}))
    began = time.monotonic()
    with pytest.raises(EhrUnavailable):
        await ehr.read("Patient", "p1")
    assert len(stub.seen) == 1
    assert time.monotonic() - began < 1


async def test_nobody_there(stub: Stub) -> None:
    stub.close()
    nobody = Ehr(stub.url, timeout=1)
    for call in (nobody.read("Patient", "p1"), nobody.create(patient())):
        with pytest.raises(EhrUnavailable) as caught:
            await call
        assert "127.0.0.1" not in str(caught.value)
    await nobody.close()


async def test_a_server_that_hangs_costs_no_more_than_the_deadline(stub: Stub) -> None:
    patient_one = Ehr(stub.url, timeout=0.5)
    stub.answer = lambda method, path: (time.sleep(3), fhir(patient()))[1]  # type: ignore[func-returns-value]
    began = time.monotonic()
    with pytest.raises(EhrUnavailable):
        await patient_one.read("Patient", "p1")
    assert time.monotonic() - began < 2.5
    await patient_one.close()


async def test_a_server_that_trickles_costs_no_more_than_the_deadline() -> None:
    """Each byte comes in time, the whole never: a read timeout alone would wait for ever."""
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def trickle() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while not stop.wait(0.05):
                try:
                    connection.sendall(b" ")
                except OSError:
                    return

    thread = threading.Thread(target=trickle, daemon=True)
    thread.start()
    slow = Ehr(f"http://127.0.0.1:{listener.getsockname()[1]}/fhir", timeout=0.6)
    began = time.monotonic()
    with pytest.raises(EhrUnavailable):
        await slow.read("Patient", "p1")
    assert time.monotonic() - began < 2.5
    # And its thread is free again soon, not only its caller.
    await asyncio.wait_for(slow.close(), 3)
    stop.set()
    thread.join(2)
    listener.close()


async def test_waiting_for_a_thread_counts(stub: Stub) -> None:
    one_thread = Ehr(stub.url, timeout=0.5, threads=1)
    stub.answer = lambda method, path: (time.sleep(1), fhir(patient()))[1]  # type: ignore[func-returns-value]
    began = time.monotonic()
    found = await asyncio.gather(*(one_thread.read("Patient", "p1") for _ in range(6)), return_exceptions=True)
    assert all(isinstance(one, EhrUnavailable) for one in found)
    assert time.monotonic() - began < 2.5
    await one_thread.close()


async def test_sixteen_at_once(stub: Stub, ehr: Ehr) -> None:
    together = threading.Barrier(16, timeout=1.8)
    stub.answer = lambda method, path: (together.wait(), fhir(patient()))[1]
    assert len(await asyncio.gather(*(ehr.read("Patient", "p1") for _ in range(16)))) == 16


# Writing


async def test_create_says_what_must_not_exist_and_gives_the_resource(stub: Stub, ehr: Ehr) -> None:
    stub.answer = lambda method, path: fhir(patient(id="new"), 201)
    made = await ehr.create({"resourceType": "Patient"}, if_none_exist=query({"identifier": "sys|1"}))
    assert made.id == "new"
    method, path, headers, body = stub.seen[0]
    assert (method, path) == ("POST", "/fhir/Patient")
    assert headers["if-none-exist"] == "identifier=sys%7C1"
    assert headers["prefer"] == "return=representation"
    assert headers["content-type"] == "application/fhir+json"
    assert json.loads(body) == {"resourceType": "Patient"}


@pytest.mark.parametrize("content", [b"", json.dumps({"resourceType": "OperationOutcome", "issue": []}).encode()])
async def test_create_answered_with_a_location_only(stub: Stub, ehr: Ehr, content: bytes) -> None:
    stub.then((201, {"Location": f"{stub.url}/Patient/p1/_history/1"}, content), fhir(patient()))
    assert (await ehr.create({"resourceType": "Patient"})).id == "p1"
    assert stub.seen[1][:2] == ("GET", "/fhir/Patient/p1")


async def test_create_answered_with_nothing_at_all(stub: Stub, ehr: Ehr) -> None:
    stub.answer = lambda method, path: (201, {}, b"")
    with pytest.raises(EhrMalformed, match="not said where"):
        await ehr.create({"resourceType": "Patient"})


async def test_patch_names_the_version_it_was_decided_on(stub: Stub, ehr: Ehr) -> None:
    operations = [{"op": "replace", "path": "/active", "value": False}]
    await ehr.patch(patient(), operations)
    method, path, headers, body = stub.seen[0]
    assert (method, path) == ("PATCH", "/fhir/Patient/p1")
    assert headers["if-match"] == 'W/"7"'
    assert headers["content-type"] == JSON_PATCH
    assert json.loads(body) == operations
    await ehr.patch({"resourceType": "Patient", "id": "p1"}, operations)
    assert "if-match" not in stub.seen[1][2]


async def test_addresses_stay_out_of_the_log(stub: Stub, ehr: Ehr, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        await ehr.read("Patient", "p1")
        stub.answer = lambda method, path: fhir(bundle(patient()))
        await ehr.search("Patient", {"phone": "+13125550199"})
        stub.answer = lambda method, path: outcome(500)
        with pytest.raises(EhrUnavailable):
            await ehr.search("Patient", {"birthdate": "1980-01-01"})
    assert "5550199" not in caplog.text
    assert "1980-01-01" not in caplog.text


def test_values_are_escaped_where_they_would_mean_more() -> None:
    assert escaped(r"a,b|c$d\e") == r"a\,b\|c\$d\\e"
