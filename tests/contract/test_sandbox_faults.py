"""The sandbox EHR as a misbehaving one: what tests of faults elsewhere stand on. And what it must not tell anybody."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import requests
from fhir_http import TIMEOUT_S, Fhir, patient

from sandbox.clinic import DEFAULT_SEED, TIME_ZONE, build
from sandbox.clinic.__main__ import main
from sandbox.ehr.testing import Sandbox, start_sandbox

pytestmark = pytest.mark.server

FAULTS = "/_sandbox/faults"


class Faults:
    """The door for injected faults."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._address = sandbox.root_url + FAULTS

    def add(self, **fault: Any) -> requests.Response:
        return requests.post(self._address, json=fault, timeout=TIMEOUT_S)

    def clear(self) -> None:
        requests.delete(self._address, timeout=TIMEOUT_S)

    def left(self) -> list[dict[str, Any]]:
        return list(requests.get(self._address, timeout=TIMEOUT_S).json()["faults"])


@pytest.fixture
def faults(own_sandbox: Sandbox) -> Iterator[Faults]:
    """No faults before or after."""
    door = Faults(own_sandbox)
    door.clear()
    yield door
    door.clear()


@pytest.fixture
def fhir(own_sandbox: Sandbox) -> Fhir:
    return Fhir(own_sandbox.base_url)


def test_fails_as_often_as_asked_and_only_where_asked(fhir: Fhir, faults: Faults) -> None:
    faults.add(match="Slot?", status=503, count=2, retry_after_s=1)
    assert fhir.call("GET", "Patient?_count=1").status_code == 200
    first = fhir.call("GET", "Slot?_count=1")
    assert (first.status_code, first.headers["Retry-After"]) == (503, "1")
    assert first.json()["resourceType"] == "OperationOutcome"
    assert [fhir.call("GET", "Slot?_count=1").status_code for _ in range(2)] == [503, 200]
    assert faults.left() == []


def test_tells_methods_apart(fhir: Fhir, faults: Faults, tag: str) -> None:
    faults.add(match="/Patient", method="POST", status=500)
    assert fhir.create(patient(tag)).status_code == 500
    assert fhir.call("GET", f"Patient?family={tag}").json()["total"] == 0


def test_is_slow_for_one_while_others_are_served(fhir: Fhir, faults: Faults) -> None:
    faults.add(match="maria-lopez", delay_s=0.6, count=1)
    started = time.monotonic()
    assert fhir.call("GET", "Patient/james-carter").status_code == 200
    quick = time.monotonic() - started
    assert fhir.call("GET", "Patient/maria-lopez").status_code == 200
    assert time.monotonic() - started - quick >= 0.6


def test_may_do_what_was_asked_and_then_fail(fhir: Fhir, faults: Faults, tag: str) -> None:
    faults.add(match="/Patient", method="POST", status=504, when="after", count=1)
    assert fhir.create(patient(tag)).status_code == 504
    assert len(fhir.ids(f"Patient?family={tag}")) == 1


@pytest.mark.parametrize(("when", "done"), [("before", 0), ("after", 1)])
def test_may_hang_up_without_a_word(fhir: Fhir, faults: Faults, tag: str, when: str, done: int) -> None:
    faults.add(match="/Patient", method="POST", drop=True, when=when, count=1)
    with pytest.raises(requests.RequestException):
        fhir.create(patient(tag))
    assert len(fhir.ids(f"Patient?family={tag}")) == done


def test_stays_broken_until_cleared(fhir: Fhir, faults: Faults) -> None:
    faults.add(status=503)
    assert {fhir.call("GET", "metadata").status_code for _ in range(3)} == {503}
    faults.clear()
    assert fhir.call("GET", "metadata").status_code == 200


def test_refuses_a_fault_it_does_not_understand(faults: Faults) -> None:
    assert faults.add(status=200).status_code == 400
    assert faults.add(statuss=503).status_code == 400
    assert faults.left() == []


@pytest.fixture(scope="module")
def plain(own_sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sandbox, Path]]:
    """A sandbox as `make demo` starts it, and its folder."""
    folder = tmp_path_factory.mktemp("plain")
    sandbox = start_sandbox(folder)
    yield sandbox, folder
    sandbox.stop()


def test_has_no_door_for_faults_unless_asked(plain: tuple[Sandbox, Path]) -> None:
    sandbox, _ = plain
    answer = requests.post(sandbox.root_url + FAULTS, json={"status": 503}, timeout=TIMEOUT_S)
    assert answer.status_code in (404, 405)
    assert Fhir(sandbox.base_url).call("GET", "metadata").status_code == 200


def test_health_says_what_is_loaded(plain: tuple[Sandbox, Path]) -> None:
    sandbox, _ = plain
    health = requests.get(f"{sandbox.root_url}/health", timeout=TIMEOUT_S).json()
    assert (health["status"], health["seed"]) == ("ok", DEFAULT_SEED)
    assert health["counts"]["Patient"] >= 60


def test_holds_the_clinic_as_it_was_built(plain: tuple[Sandbox, Path]) -> None:
    sandbox, _ = plain
    client = Fhir(sandbox.base_url)
    today = requests.get(f"{sandbox.root_url}/health", timeout=TIMEOUT_S).json()["today"]
    for resource in build(date.fromisoformat(today), DEFAULT_SEED)[::97]:
        stored = client.call("GET", f"{resource['resourceType']}/{resource['id']}").json()
        assert stored.pop("meta")["versionId"] == "1"
        assert stored == resource


def test_logs_no_patient_whatever_goes_wrong(plain: tuple[Sandbox, Path], tag: str) -> None:
    sandbox, folder = plain
    client = Fhir(sandbox.base_url)
    client.made(patient(tag, birthDate="1980-03-04", telecom=[{"system": "phone", "value": "+13125550177"}]))
    client.call("GET", f"Patient?family={tag}&birthdate=notadate{tag}")
    client.call("GET", f"Patient?phone=%2B13125550177&_offset={tag}")  # a bug of the server: 500
    client.create({"resourceType": "Patient", "name": tag})
    client.call("GET", f"Patient/{tag}")
    client.call("DELETE", f"Patient?family={tag}")
    log = (folder / "sandbox.log").read_text()
    assert "Unhandled error" in log  # it did go wrong, and was noted
    assert tag not in log
    assert "5550177" not in log


@pytest.mark.slow  # starts the sandbox twice
def test_a_second_start_keeps_the_data_and_the_day(own_sandbox: Sandbox, tmp_path: Path, tag: str) -> None:
    first = start_sandbox(tmp_path, today=date(2026, 3, 2))
    made = Fhir(first.base_url).made(patient(tag))
    first.stop()
    second = start_sandbox(tmp_path, today=date(2026, 5, 5), seed=99)
    try:
        assert Fhir(second.base_url).call("GET", f"Patient/{made['id']}").json() == made
        health = requests.get(f"{second.root_url}/health", timeout=TIMEOUT_S).json()
        assert (health["today"], health["seed"]) == ("2026-03-02", DEFAULT_SEED)
        assert "its clinic is from 2026-03-02" in (tmp_path / "sandbox.log").read_text()
    finally:
        second.stop()


@pytest.mark.slow  # sends the whole clinic over HTTP
def test_the_clinic_can_be_put_into_another_server(plain: tuple[Sandbox, Path]) -> None:
    sandbox, _ = plain
    client = Fhir(sandbox.base_url)
    day = date(2027, 6, 1)
    main(["--to", sandbox.base_url, "--today", day.isoformat()])
    for resource in build(day, DEFAULT_SEED)[::101]:
        stored = client.call("GET", f"{resource['resourceType']}/{resource['id']}").json()
        del stored["meta"]
        assert stored == resource


@pytest.mark.slow  # loads the clinic twice
def test_a_first_start_killed_half_way_starts_over(tmp_path: Path) -> None:
    first = subprocess.Popen([sys.executable, "-m", "sandbox.ehr", "--port", "0", "--data", str(tmp_path)])
    deadline = time.monotonic() + TIMEOUT_S
    while not list(tmp_path.glob("*/*.db")) and time.monotonic() < deadline:
        time.sleep(0.01)
    first.kill()
    first.wait()
    assert not (tmp_path / "sandbox.db").exists()
    again = start_sandbox(tmp_path)
    try:
        health = requests.get(f"{again.root_url}/health", timeout=TIMEOUT_S).json()
        slots = sum(
            resource["resourceType"] == "Slot"
            for resource in build(datetime.now(ZoneInfo(TIME_ZONE)).date(), DEFAULT_SEED)
        )
        assert health["counts"]["Slot"] == slots
        assert {f.name for f in tmp_path.iterdir() if f.is_dir()} == set()
    finally:
        again.stop()


def test_says_that_a_port_is_taken(own_sandbox: Sandbox, tmp_path: Path) -> None:
    port = int(own_sandbox.root_url.rpartition(":")[2])
    with pytest.raises(RuntimeError, match=f"cannot listen on 127.0.0.1:{port}.*choose another --port"):
        start_sandbox(tmp_path, port=port)
