"""The FHIR server under contract: the sandbox EHR, or the one whose base URL CARETHREAD_CONTRACT_FHIR_URL gives."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import pytest
from fhir_http import Fhir

from sandbox.ehr.testing import Sandbox, start_sandbox

OTHER_SERVER = "CARETHREAD_CONTRACT_FHIR_URL"


@pytest.fixture(scope="session")
def own_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """The sandbox EHR, with faults allowed, unless another server is asked for."""
    if OTHER_SERVER in os.environ:
        pytest.skip(f"about the sandbox itself; {OTHER_SERVER} names another server")
    sandbox = start_sandbox(tmp_path_factory.mktemp("ehr"), faults=True)
    yield sandbox
    sandbox.stop()


@pytest.fixture(scope="session")
def fhir(request: pytest.FixtureRequest) -> Fhir:
    """The server under contract: the sandbox EHR, or the one that the environment names."""
    if OTHER_SERVER in os.environ:
        return Fhir(os.environ[OTHER_SERVER])
    sandbox: Sandbox = request.getfixturevalue("own_sandbox")
    return Fhir(sandbox.base_url)


@pytest.fixture
def tag() -> str:
    """Something no other resource on the server contains."""
    return f"t{uuid.uuid4().hex[:10]}"
